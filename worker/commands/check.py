"""The `check` and `queues` commands: settings, database, LangSmith with every queue, Slack with every channel."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import structlog

from worker.app import roster_for
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.hours import calendar_name, state_of
from worker.commands.startup import EVERYTHING, LANGSMITH, langsmith, progress_shown, rehearsal, slack, start
from worker.core.audience import TURN, Audience, email_key
from worker.core.directory import listed as listed_reviewers
from worker.core.model import Reviewer
from worker.core.overview import Finding
from worker.core.ports import ConfigError, SourceError, StoreError, Trouble
from worker.core.status.reasons import rows_text
from worker.loops.preview import Preview
from worker.notifiers.slack import check as slack_check
from worker.notifiers.slack.reach import Whom, examine_people
from worker.rules import corrections, rules_for
from worker.settings import loading
from worker.settings.calendars import calendar_of
from worker.settings.names import ADVICE, named
from worker.settings.origins import in_force, places
from worker.sources.langsmith.choice import Api, meaning
from worker.stores.opening import database_path, open_store
from worker.stores.sqlite import check_directory, check_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from datetime import datetime

    from worker.core.model import Queue, Snapshot
    from worker.core.owed import Destination
    from worker.loops.roster import Roster
    from worker.notifiers.slack.notifier import Slack
    from worker.rules import RulesOf
    from worker.settings import Settings
    from worker.sources.langsmith.source import LangSmith

_FIXES = {
    **ADVICE.troubles,
    Trouble.THROTTLED: "try again later; WORKER_REQUESTS_PER_SECOND lowers the rate",
}


HOURS_HINT = "WORKER_ZONE and WORKER_HOURS keep them within working hours"

UNENCRYPTED = (
    "the connection crosses a network without TLS, so that its contents can be read on the way:"
    " add ?sslmode=verify-full&sslrootcert=FILE to WORKER_DATABASE_URL where the network is not your own"
)


def _unseen(_snapshot: Snapshot) -> None:
    """Do nothing with a listing."""


def check_settings(settings: Settings, found_at: str) -> Iterator[Finding]:
    """Check that the settings say what was probably meant; `found_at` are the places that they come from."""
    # They can be read: otherwise the command would have ended before this.
    found = loading.findings(settings)
    for text in found:
        what, _, fix = text.partition("; ")
        yield Finding("settings", ok=False, text=what, fix=fix or "correct the setting or remove it")
    if not found:
        text = f"complete: {found_at}; `review-notifier config` shows each with its line"
        yield Finding("settings", ok=True, text=text)


def check_calendars(settings: Settings, now: datetime) -> Iterator[Finding]:
    """When each calendar that is used is open next, or that none is set."""
    used = {queue.calendar: queue for queue in (settings.defaults, *settings.queues)}
    for queue in used.values():
        calendar = calendar_of(settings.calendar_table(queue.calendar), now.year)
        hint = f"; {HOURS_HINT}" if calendar.is_always and not queue.calendar else ""
        yield Finding(f"calendar {calendar_name(queue)}", ok=True, text=f"{state_of(calendar, now)}{hint}")


class _FirstPoll:
    """How many messages the next poll posts where, from the listings that are read anyway."""

    def __init__(self, stack: contextlib.ExitStack, source: LangSmith, settings: Settings, rules: RulesOf) -> None:
        """Open the database where that is possible: what is wrong with it is a finding of its own."""
        self._seen = 0
        self._preview: Preview | None = None
        with contextlib.suppress(ConfigError, StoreError):
            store = stack.enter_context(rehearsal(settings))
            self._preview = Preview(
                source=source,
                store=store,
                deliveries=store,
                budgets=store,
                channels=store,
                clock=SystemClock(),
                rules=rules,
            )

    def see(self, snapshot: Snapshot) -> None:
        """Plan what a listing leads to."""
        if self._preview is None:
            return
        try:
            self._preview.see(snapshot)
            self._seen += 1
        except StoreError:
            self._preview = None

    def findings(self) -> Iterator[Finding]:
        """One line, where anything could be read."""
        if self._preview is not None and self._seen:
            yield Finding("next poll", ok=True, text=tables.preview_text(self._seen, self._preview))


def check_database(settings: Settings) -> Iterator[Finding]:
    """Check that the database can be opened and has the right schema."""
    try:
        path = database_path(settings.database_url)
        if path is not None:
            check_directory(path)
            check_writable(path)
            if not path.exists():
                yield Finding("database", ok=True, text=f"will be made at {path} by the first start")
                return
        # PostgreSQL is opened as `run` opens it, which checks every right that it needs; it is never migrated here.
        with contextlib.closing(open_store(settings.database_url, migrate=path is None)) as store:
            store.ping()
            exposed = store.is_exposed()
    except (ConfigError, StoreError) as error:
        yield Finding("database", ok=False, text=named(str(error)))
    else:
        yield Finding("database", ok=True, text="opens, and its schema is the newest")
        if exposed:
            yield Finding("database", ok=True, text=UNENCRYPTED)


def check_langsmith(
    source: LangSmith, roster: Roster, settings: Settings, rules: RulesOf, see: Callable[[Snapshot], None] = _unseen
) -> Iterator[Finding]:
    """Check the key, whose view it gives, and every queue; `see` gets each listing."""
    try:
        many = len(source.queues())
        text = f"the key can see {many} {'queue' if many == 1 else 'queues'}; {source.whose()}"
        yield Finding("LangSmith", ok=True, text=text)
    except SourceError as error:
        what, fix = _unlisted(error)
        served = "; queues given by id can be served all the same" if roster.queues else ""
        is_well = bool(roster.queues) and error.trouble is Trouble.MISSING
        yield Finding("LangSmith", ok=is_well, text=f"{what}{served}", fix="" if is_well else fix)
    roster.refresh()
    for name in sorted(roster.unknown):
        fix = f"{roster.meant(name)}correct the name, or give the queue's id; `review-notifier queues` lists them"
        yield Finding(f"queue {name}", ok=False, text="no queue has this name", fix=fix)
    was_one_read = False
    for queue in roster.queues.values():
        if settings.has_two_tables(queue.queue_id, queue.name):
            text = f"has two tables in worker.toml; the one with its id holds, not the one with its name {queue.name!r}"
            yield Finding(f"queue {queue.name}", ok=False, text=text, fix="write one table, with the id or the name")
        is_read = yield from _check_queue(source, queue, rules, see)
        was_one_read |= is_read
    yield from _check_names(source, roster.queues.values(), rules)
    # Until a queue has been read, which listing it will be is a guess.
    if was_one_read:
        yield from _check_listing(source)


def _unlisted(error: SourceError) -> tuple[str, str]:
    """Why the queues cannot be listed, and the fix."""
    what, _, fix = str(error).removeprefix("listing the queues: ").partition("; ")
    return f"the queues cannot be listed: {what}", fix or _FIXES[error.trouble]


def _check_queue(
    source: LangSmith, queue: Queue, rules: RulesOf, see: Callable[[Snapshot], None]
) -> Generator[Finding, None, bool]:
    """Check that the queue can be read as a poll would, and that the key sees all of it; whether it was read."""
    show = rules(queue).fields
    try:
        snapshot = source.snapshot(queue.queue_id, show)
        remarks = source.remarks(queue.queue_id)
    except SourceError as error:
        yield Finding(f"queue {queue.name}", ok=False, text=str(error), fix=_FIXES[error.trouble])
        return False
    see(snapshot)
    name = f"queue {snapshot.queue.name}"
    yield Finding(name, ok=True, text=f"{len(snapshot.runs)} waiting")
    if snapshot.unusable:
        yield Finding(name, ok=False, text=rows_text(snapshot), fix=snapshot.fix)
    for remark in remarks:
        yield Finding(name, ok=False, text=remark.text, fix=remark.fix)
    return True


def _check_listing(source: LangSmith) -> Iterator[Finding]:
    """Check which listing is read, and that the server will go on serving it."""
    outlook = source.outlook
    text = f"`{outlook.api}` is read; {meaning(outlook.in_use)}"
    if outlook.ending is None:
        yield Finding("LangSmith listing", ok=True, text=text)
        return
    fix = (
        "update the worker"
        if outlook.api is Api.ITEMS
        else "set WORKER_LANGSMITH_API=auto, and upgrade a self-hosted LangSmith to 0.16.14 or later"
    )
    text = f"{text}, and no successor can be read: {outlook.obstacle}"
    yield Finding("LangSmith listing", ok=False, text=text, fix=fix)


def _check_names(source: LangSmith, polled: Iterable[Queue], rules: RulesOf) -> Iterator[Finding]:
    """Check that runs can be looked up by their ids, where the listing in use has no names."""
    if source.outlook.api is not Api.ITEMS:
        return
    for queue in polled:
        show = rules(queue).fields
        try:
            if source.ask_for_a_name(queue.queue_id, show=show):
                yield Finding("LangSmith names", ok=True, text="a run was looked up by its id")
                return
        except SourceError as error:
            what, _, fix = str(error).partition("; ")
            text = f"messages show ids instead of names: {what}"
            yield Finding("LangSmith names", ok=False, text=text, fix=fix or _FIXES[error.trouble])
            return


def whom(settings: Settings, source: LangSmith, roster: Roster, rules: RulesOf, listed: Iterable[Snapshot]) -> Whom:
    """The people whom the settings mean, with the reviewers whom these listings name."""
    wanted = [each for each in listed if rules(each.queue).settings.people is not Audience.NOBODY]
    of_queues = [rules(queue).settings for queue in roster.queues.values()]
    reviewers = [one for each in wanted if _is_assigned(each.queue, rules) for one in _reviewers(each, source)]
    emails = {email for each in of_queues if isinstance(each.people, tuple) for email in each.people}
    if any(each.people is not Audience.NOBODY for each in of_queues):
        emails |= settings.persons.keys()
    by_email = {email_key(one.email) or one.reviewer_id: one for one in [*listed_reviewers(emails), *reviewers]}
    mentions = (one for each in of_queues if each.escalate_after for one in each.escalate_mention if one != TURN)
    corrected = corrections(settings)
    return Whom(
        reviewers=tuple(sorted(by_email.values(), key=lambda one: (one.email.casefold(), one.name))),
        corrected={email: one.user for email, one in corrected.items() if one.user},
        unnotified=frozenset(email for email, one in corrected.items() if not one.is_notified),
        owners=tuple(sorted({each.owner for each in of_queues if each.owner})),
        mentions=tuple(dict.fromkeys(mentions)),
        is_direct=any(each.is_direct for each in of_queues),
    )


def _is_assigned(queue: Queue, rules: RulesOf) -> bool:
    return rules(queue).settings.people is Audience.ASSIGNED


def _reviewers(snapshot: Snapshot, source: LangSmith) -> Iterator[Reviewer]:
    """The reviewers of a queue, and those whom its runs alone name."""
    yield from snapshot.queue.assigned
    known = {one.reviewer_id for one in snapshot.queue.assigned}
    strangers = {one for run in snapshot.runs for one in run.who.assigned_to} - known
    named: Mapping[str, Reviewer] = {}
    if strangers:
        with contextlib.suppress(SourceError):
            named = source.members(strangers) or {}
    yield from (named.get(one) or Reviewer(one) for one in sorted(strangers))


def ask_live(source: LangSmith, roster: Roster) -> Iterator[Finding]:
    """Report facts that only the live service shows, to be pasted into an issue. None of them is a fault."""
    for queue in roster.queues.values():
        for line in source.live(queue.queue_id):
            yield Finding(f"live {queue.queue_id}", ok=True, text=line)


def channels_of(settings: Settings, roster: Roster, rules: RulesOf) -> set[Destination]:
    """Every channel that messages may be posted to."""
    channels = {step.destination for queue in roster.queues.values() for step in rules(queue).policy.steps}
    channels |= {settings.ops_channel} if settings.ops_channel else set()
    return {channel for channel in channels if channel.place}


log = structlog.get_logger(__name__)


def queues(*, as_json: bool) -> bool:
    """List the queues that the key can see."""
    settings = start(LANGSMITH)
    with langsmith(settings, SystemClock()) as source:
        try:
            found = [(queue, _waiting(source, queue)) for queue in source.queues()]
        except SourceError as error:
            what, fix = _unlisted(error)
            sys.stderr.write(f"review-notifier: {what}. Fix: {fix}\n")
            return False
    if as_json:
        tables.print_json({"queues": [{**tables.queue_json(queue), "waiting": count} for queue, count in found]})
    else:
        rows = [(str(q.queue_id), q.name, "?" if n is None else str(n)) for q, n in found]
        tables.print_table(("Id", "Name", "Waiting"), rows, empty="The key can see no queue.")
    return True


def check(*, as_json: bool, live: bool) -> bool:
    """Check everything, and with `live` add facts about the live service; returns whether all is well."""
    settings = start(EVERYTHING)
    clock = SystemClock()
    with (
        progress_shown() as read,
        langsmith(settings, clock, progress=read) as source,
        slack(settings) as notifier,
        contextlib.ExitStack() as stack,
    ):
        roster, rules = roster_for(settings, clock=clock, source=source), rules_for(settings, clock)
        first_poll = _FirstPoll(stack, source, settings, rules)
        listed: list[Snapshot] = []

        def see(snapshot: Snapshot) -> None:
            listed.append(snapshot)
            first_poll.see(snapshot)

        found = [
            *check_settings(settings, places(in_force())),
            *check_calendars(settings, clock.now()),
            *check_database(settings),
            *check_langsmith(source, roster, settings, rules, see),
            *first_poll.findings(),
            *slack_check.examine(notifier, sorted(channels_of(settings, roster, rules))),
            *_acting(settings, notifier),
            *examine_people(notifier, whom(settings, source, roster, rules, listed)),
            *(ask_live(source, roster) if live else ()),
        ]
    if as_json:
        tables.print_json(tables.findings_json(found))
    else:
        tables.print_findings(found)
    return all(finding.ok for finding in found)


def _acting(settings: Settings, notifier: Slack) -> Iterator[Finding]:
    if settings.slack_app_token is not None:
        with slack(settings, settings.slack_app_token) as client:
            yield from slack_check.examine_app_token(client)
        yield from slack_check.examine_acting(notifier)


def _waiting(source: LangSmith, queue: Queue) -> int | None:
    try:
        return source.waiting(queue.queue_id)
    except SourceError as error:
        log.warning("queue_not_counted", queue=queue.name, error=str(error))
        return None
