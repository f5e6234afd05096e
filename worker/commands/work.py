"""The commands that do the work: the service, a single pass, and a dry run of it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import structlog

from worker import process
from worker.app import (
    build,
    is_full_cycle,
    is_refused,
    join,
    one_pass,
    roster_for,
    take_over,
    undelivered,
    with_assignments,
)
from worker.clock import SystemClock
from worker.commands.reloading import Reload
from worker.commands.startup import (
    EVERYTHING,
    PREVIEW,
    langsmith,
    opened,
    progress_shown,
    rehearsal,
    slack,
    sole_process,
    start,
)
from worker.core.ports import DeliveryError
from worker.core.text import day_time_in
from worker.loops.assignments import ALONE
from worker.loops.incidents import Board
from worker.notifiers.slack.notifier import LIMITS
from worker.notifiers.slack.people import SlackPeople
from worker.notifiers.words import counted
from worker.rules import calendars_for, corrections, rules_for
from worker.service import Service
from worker.settings.loading import surroundings
from worker.stores import opening
from worker.stores.lock import Busy, note_file
from worker.version import commit, release
from worker.web.heartbeat import Heartbeat
from worker.web.monitor import Monitor
from worker.web.sockets import refuse_unusable_address
from worker.web.systemd import from_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.app import Parts
    from worker.commands.socket_mode import Listening
    from worker.core.ports import Assignments, Clock
    from worker.loops.roster import Roster
    from worker.notifiers.slack.notifier import Slack
    from worker.settings import Settings
    from worker.stores.sql import SqlStore
    from worker.web.shown import Reading

log = structlog.get_logger(__name__)

_ALL = 1_000_000


def run() -> None:
    """Run the service until a signal ends it."""
    settings = start(EVERYTHING, asks=False)
    machine = SystemClock()
    with (
        _at_work(settings, machine, before=lambda: _check_port(settings)) as (clock, store, assignments),
        contextlib.ExitStack() as whole,
    ):
        board = Board(clock)

        def reading() -> Reading:
            from worker.commands.page_data import PageReader  # noqa: PLC0415  only where somebody looks

            # Links to messages need the team's name, which takes a request; the first page need not wait for it.
            threading.Thread(target=_introduced, args=(notifier,), name="identity", daemon=True).start()
            return PageReader(reload.settings, notifier.address)

        monitor = Monitor(settings, clock=clock, notify=from_environ(surroundings(), os.getpid()), reading=reading)
        reload, listening, is_over = Reload(settings, board), None, False
        for name in settings.unknown_names():
            log.warning("setting_unknown", problem=name)
        while not is_over:
            is_first, settings = settings is reload.settings, reload.settings
            with langsmith(settings, clock, store, monitor.read) as source, slack(settings) as notifier:
                parts = build(
                    settings,
                    clock=clock,
                    store=store,
                    source=source,
                    notifier=notifier,
                    descriptions=source,
                    blindness=source,
                    accounts=SlackPeople(notifier),
                    members=source,
                    meter=monitor.meter,
                    api=lambda: source.outlook.in_use,
                    assignments=assignments,
                    board=board,
                )
                about = _about(settings) | {"view": source.whose()}
                if is_first:
                    log.info("started", **about)
                else:
                    log.info("reloaded", **about)
                service = Service(parts, monitor, machine)
                if listening is None and settings.slack_app_token is not None:
                    listening = whole.enter_context(_listening(machine))
                inbox = listening.inbox(settings, parts, notifier, service.hurry_edits) if listening else None
                is_over = service.run(process.STOP, inbox, has_changed=reload, is_first=is_first)
        log.info("stopped")


def _about(settings: Settings) -> dict[str, Any]:
    """What a log should say of a start, so that nobody has to ask for it later."""
    address = settings.http_address
    return {
        "version": release(),
        "commit": commit(),
        "database": settings.database_url.partition(":")[0].partition("+")[0],
        "queues": len(settings.queues),
        "all_queues": settings.all_queues,
        "interval": f"{settings.defaults.poll_interval.total_seconds():g} s",
        "listing": settings.langsmith_api.value,
        "address": f"{address[0]}:{address[1]}" if address else None,
    }


def _listening(machine: Clock) -> Listening:
    from worker.commands.socket_mode import Listening  # noqa: PLC0415  nothing of it is imported without an app token

    return Listening(machine)


def poll() -> bool:
    """Make one pass; returns whether every queue and every delivery went well."""
    settings = start(EVERYTHING, asks=False)
    with (
        _at_work(settings, SystemClock(), beside_others=False) as (clock, store, assignments),
        progress_shown() as read,
        langsmith(settings, clock, store, read) as source,
        slack(settings) as notifier,
    ):
        parts = build(
            settings,
            clock=clock,
            store=store,
            source=source,
            notifier=notifier,
            descriptions=source,
            accounts=SlackPeople(notifier),
            members=source,
            assignments=assignments,
            looks=1,
        )
        with with_assignments(parts):
            well = one_pass(parts)
        sys.stdout.write(f"{_summary(parts)}\n")
    if settings.heartbeat_url and is_full_cycle(parts):
        url = settings.heartbeat_url.get_secret_value()
        heartbeat = Heartbeat(url, clock=SystemClock(), route=settings.route(url))
        heartbeat.beat()
        heartbeat.wait()
    return well


def _summary(parts: Parts) -> str:
    """What a pass did, and what it could not do, in one line."""
    queues = max(len(parts.roster.queues), 1)
    read = sum(bool(each.completed_at) and not each.failing_since for each in parts.poll.known.polled())
    all_of_them = counted(queues, "queue")
    did = f"Polled {all_of_them}" if read >= queues else f"Could not read {queues - read} of {all_of_them}"
    posted = f"posted {counted(parts.deliver.posted, 'message')}" if parts.deliver.posted else "nothing was posted"
    owed = undelivered(parts)
    left = f"; {owed} not delivered, see `review-notifier deliveries`" if owed else ""
    left += "; Slack refuses SLACK_BOT_TOKEN, see `review-notifier check`" if is_refused(parts) else ""
    return f"{did}; {posted}{left}."


def dry_run() -> bool:
    """Print the messages that `poll` would post; returns whether every queue could be read."""
    from worker.commands import tables  # noqa: PLC0415  what draws for people is no part of a service
    from worker.core.direct_inbox import Allowance  # noqa: PLC0415
    from worker.loops.direct_preview import DirectPreview  # noqa: PLC0415
    from worker.loops.people import KnownPersons  # noqa: PLC0415
    from worker.loops.preview import Preview  # noqa: PLC0415
    from worker.loops.queue_reports import Reports  # noqa: PLC0415
    from worker.notifiers.console import Console  # noqa: PLC0415

    settings = start(PREVIEW)
    clock = SystemClock()
    with rehearsal(settings) as store, progress_shown() as shown, langsmith(settings, clock, progress=shown) as source:
        roster = roster_for(settings, clock=clock, source=source)
        roster.refresh()
        persons = KnownPersons(store, clock, corrections(settings))
        rules, calendars = rules_for(settings, clock, persons), calendars_for(settings, clock, persons)
        direct = DirectPreview(
            inboxes=store,
            deliveries=store,
            clock=clock,
            rules=rules,
            persons=persons,
            calendars=calendars,
            budget=Allowance(settings.nag_per_person_day, settings.nag_per_run),
            scheme=LIMITS.scheme,
        )
        preview = Preview(
            source=source,
            store=store,
            deliveries=store,
            budgets=store,
            channels=store,
            clock=clock,
            rules=rules,
            descriptions=source,
            mentions_a_day=settings.nag_per_person_day,
            calendars=calendars,
            direct=direct,
        )
        for queue in roster.queues.values():
            preview.poll(queue)
        reports = Reports(
            outbox=store,
            history=store,
            polls=store,
            notes=store,
            clock=clock,
            rules=rules,
            queues=lambda: roster.queues,
        )
        # One that was posted already, by hand, is not posted again.
        if due := list(reports.due()):
            known = {delivery.key for delivery in store.deliveries(limit=_ALL)}
            for owed in due:
                if owed.key not in known:
                    preview.owe(owed)
        messages, later = preview.messages(), preview.held()
        # While the database is there: direct messages are decided on in it.
        summary = tables.preview_text(len(roster.queues), preview)
    console = Console()
    for message in messages:
        console.send(message)
    for held in later:
        tables.say(f"Held until {day_time_in(held.until, held.zone)}, and posted then:", "")
        for message in held.messages:
            console.send(message)
    unread = [*preview.unread, *_unfound(roster)]
    is_something = messages or later or preview.entering
    if unread:
        tables.say(
            *unread, tables.unread_text(len(preview.unread), len(roster.queues), is_something=bool(is_something))
        )
    tables.say(*([summary] if is_something else [] if unread else ["Nothing to post."]))
    return not unread


def _introduced(notifier: Slack) -> None:
    """Ask Slack whose token it is; where it does not answer, other calls ask again."""
    with contextlib.suppress(DeliveryError):
        notifier.identity()


def _unfound(roster: Roster) -> Iterator[str]:
    """Sentences about queues that are missing from a dry run."""
    if roster.is_failing:
        yield f"The list of queues could not be read, and queues that are given by name with it: {roster.error}"
    for name in sorted(roster.unknown):
        yield f"{name}: no queue has this name; `review-notifier queues` lists what the key can see"


@contextlib.contextmanager
def _at_work(
    settings: Settings, machine: Clock, *, beside_others: bool = True, before: Callable[[], None] = lambda: None
) -> Iterator[tuple[Clock, SqlStore, Assignments]]:
    """The clock, the store and the assignments to work with: alone on an SQLite file, or among several on PostgreSQL.

    Raises Busy where others work there and `beside_others` is False. `before` is called once no other process can have
    the file, and before it is touched.
    """
    with _taken_over(settings, machine, before) as store:
        others = sorted(set(store.assigned().values()))
        if others and not beside_others:
            raise Busy(f"{', '.join(others)} polls with this database already: stop it first, or leave polling to it")
        only = opening.database_path(settings.database_url) is not None
        yield (machine, store, ALONE) if only else join(store, machine, LIMITS.pace)


@contextlib.contextmanager
def _taken_over(settings: Settings, clock: Clock, before: Callable[[], None]) -> Iterator[SqlStore]:
    """The database, after taking over from a process that was killed."""
    with sole_process(settings) as is_alone:
        before()
        with opened(settings, migrate=True) as store:
            if is_alone and (path := opening.database_path(settings.database_url)):
                note_file(path)
                take_over(store, clock.now())
            yield store


def _check_port(settings: Settings) -> None:
    """Raise ConfigError where the pages cannot be served."""
    if settings.http_address:
        refuse_unusable_address(settings.http_address)
