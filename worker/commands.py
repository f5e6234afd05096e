"""What each command does, between the command line and the composition root."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from worker import checks, logs, signals, views
from worker.app import ROSTER, build, one_pass, roster_for, rules_for, take_over, try_again
from worker.clock import SystemClock
from worker.core.overview import LATE_AFTER, ApiInUse
from worker.core.ports import SourceError
from worker.loops.preview import Preview
from worker.monitor import Monitor
from worker.notifiers import slack_check
from worker.notifiers.console import Console
from worker.notifiers.slack import Slack
from worker.service import Service
from worker.settings import Need, Settings, load, secrets
from worker.settings.surroundings import surroundings
from worker.sources.langsmith import LangSmith
from worker.stores import opening
from worker.stores.lock import hold_lock
from worker.systemd import from_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Polled, Queue, State
    from worker.core.ports import Clock
    from worker.stores.sql import SqlStore

log = structlog.get_logger(__name__)

DATABASE: frozenset[Need] = frozenset()
LANGSMITH = frozenset({Need.LANGSMITH})
PREVIEW = frozenset({Need.LANGSMITH, Need.QUEUES})
EVERYTHING = frozenset(Need)


def start(needs: frozenset[Need]) -> Settings:
    """Read the settings that a command needs and set up the logs. Raises ConfigError."""
    settings = load(needs)
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=secrets(settings))
    return settings


def run() -> None:
    """The service, until a signal ends it."""
    settings = start(EVERYTHING)
    clock = SystemClock()
    with (
        _held_store(settings, clock) as store,
        _langsmith(settings, clock, store) as source,
        _slack(settings) as slack,
    ):
        monitor = Monitor(settings, clock=clock, notify=from_environ(surroundings(), os.getpid()))
        parts = build(
            settings,
            clock=clock,
            store=store,
            source=source,
            notifier=slack,
            meter=monitor.meter,
            api=lambda: _api(source),
        )
        log.info("started", queues=len(settings.queues), all_queues=settings.all_queues, view=source.whose())
        Service(parts, monitor).run(signals.STOP)
        log.info("stopped")


def poll() -> bool:
    """One pass; whether every queue and every delivery went well."""
    settings = start(EVERYTHING)
    clock = SystemClock()
    with (
        _held_store(settings, clock) as store,
        _progress() as read,
        _langsmith(settings, clock, store, read) as source,
        _slack(settings) as slack,
    ):
        return one_pass(build(settings, clock=clock, store=store, source=source, notifier=slack))


def dry_run() -> bool:
    """Print what `poll` would post."""
    settings = start(PREVIEW)
    clock = SystemClock()
    with _rehearsal(settings) as store, _langsmith(settings, clock) as source:
        roster = roster_for(settings, clock=clock, source=source)
        roster.refresh()
        preview = Preview(source=source, store=store, clock=clock, rules=rules_for(settings))
        found = [preview(queue) for queue in roster.queues.values()]
    console = Console()
    for message in (message for messages in found if messages for message in messages):
        console.send(message)
    if not any(found):
        sys.stdout.write("Nothing to post.\n")
    return None not in found and not roster.is_failing and not roster.unknown


def queues(*, as_json: bool) -> bool:
    """List the queues that the key can see."""
    settings = start(LANGSMITH)
    with _langsmith(settings, SystemClock()) as source:
        try:
            found = [(queue, _waiting(source, queue)) for queue in source.queues()]
        except SourceError as error:
            sys.stderr.write(f"review-notifier: the queues cannot be listed: {error}\n")
            return False
    if as_json:
        views.print_json([{"id": str(q.queue_id), "name": q.name, "waiting": n} for q, n in found])
    else:
        rows = [(str(q.queue_id), q.name, "?" if n is None else str(n)) for q, n in found]
        views.print_table(("Id", "Name", "Waiting"), rows, empty="The key can see no queue.")
    return True


def status(*, as_json: bool) -> bool:
    """Show how each queue stands; whether all is well."""
    settings = start(DATABASE)
    now = SystemClock().now()
    with _store(settings) as store:
        found = [_status(settings, store, polled, now) for polled in _polls(store)]
    if as_json:
        views.print_json({"queues": [views.status_json(one, now) for one in found], "ok": _all_well(found)})
    else:
        views.print_status(found, now)
    return _all_well(found)


def deliveries(*, state: State | None, limit: int, as_json: bool) -> None:
    """Show the outbox."""
    settings = start(DATABASE)
    with _store(settings) as store:
        found = store.deliveries(state, limit)
    if as_json:
        views.print_json([views.delivery_json(delivery) for delivery in found])
    else:
        views.print_deliveries(found, SystemClock().now())


def retry(key: UUID) -> bool:
    """Put a delivery back to pending, and let paused destinations be tried at once."""
    settings = start(DATABASE)
    now = SystemClock().now()
    with _store(settings) as store:
        try_again(store, now)
        return store.retry(key, now)


def why(queue_run_id: UUID, *, as_json: bool) -> bool:
    """Tell the story of a run; False where it was never seen."""
    settings = start(DATABASE)
    now = SystemClock().now()
    with _store(settings) as store:
        stories = store.stories(queue_run_id)
    if as_json:
        views.print_json([views.story_json(story) for story in stories])
    else:
        sys.stdout.writelines(f"{line}\n" for story in stories for line in views.story_lines(story, now))
    return bool(stories)


def check(*, as_json: bool, live: bool) -> bool:
    """Check everything, with `live` also what only the live service can tell; whether all is well."""
    settings = start(EVERYTHING)
    clock = SystemClock()
    with _langsmith(settings, clock) as source, _slack(settings) as slack:
        roster = roster_for(settings, clock=clock, source=source)
        found = [
            *checks.check_settings(settings),
            *checks.check_database(settings),
            *checks.check_langsmith(source, roster, settings),
            *slack_check.examine(slack, sorted(checks.channels_of(settings, roster))),
            *(checks.ask_live(source, roster) if live else ()),
        ]
    if as_json:
        views.print_json([views.finding_json(finding) for finding in found])
    else:
        views.print_findings(found)
    return all(finding.ok for finding in found)


def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = start(DATABASE)
    with _lock(settings):
        opening.migrate(settings.database_url)
    sys.stdout.write("The database has the newest schema.\n")


def backup(file: Path) -> None:
    """Copy an SQLite database."""
    settings = start(DATABASE)
    opening.backup(settings.database_url, file)
    sys.stdout.write(f"Backed up to {file}.\n")


@contextlib.contextmanager
def _store(settings: Settings, *, migrate: bool = False) -> Iterator[SqlStore]:
    with contextlib.closing(opening.open_store(settings.database_url, migrate=migrate)) as store:
        yield store


@contextlib.contextmanager
def _lock(settings: Settings) -> Iterator[bool]:
    """Be the only process that works on an SQLite file; False for PostgreSQL, on which several may work."""
    path = opening.database_path(settings.database_url)
    with hold_lock(path) if path else contextlib.nullcontext():
        yield path is not None


@contextlib.contextmanager
def _held_store(settings: Settings, clock: Clock) -> Iterator[SqlStore]:
    with _lock(settings) as alone, _store(settings, migrate=True) as store:
        if alone:
            take_over(store, clock.now())
        yield store


@contextlib.contextmanager
def _rehearsal(settings: Settings) -> Iterator[SqlStore]:
    """The database to read from, or an empty one that is gone afterwards where there is none yet."""
    path = opening.database_path(settings.database_url)
    if path is None or path.exists():
        with _store(settings) as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'rehearsal.db'}"
        with contextlib.closing(opening.open_store(url, migrate=True)) as store:
            yield store


def _recall_nothing(_name: str) -> None:
    """A command that changes nothing knows nothing from before."""


def _remember_nothing(_name: str, _value: str) -> None:
    """A command that changes nothing remembers nothing."""


def _ignore(_queue_id: UUID, _runs: int) -> None:
    """Nobody waits for progress."""


@contextlib.contextmanager
def _langsmith(
    settings: Settings,
    clock: Clock,
    store: SqlStore | None = None,
    progress: Callable[[UUID, int], None] = _ignore,
) -> Iterator[LangSmith]:
    """The source; with a `store` it remembers over restarts which listing the server serves."""
    key = settings.langsmith_api_key
    source = LangSmith(
        root=settings.langsmith_endpoint,
        key=key.get_secret_value() if key else "",
        clock=clock,
        workspace_id=settings.langsmith_workspace_id or "",
        web_url=settings.langsmith_web_url or "",
        statuses=settings.statuses,
        api=settings.langsmith_api,
        requests_per_second=settings.requests_per_second,
        progress=progress,
        recall=store.recall if store else _recall_nothing,
        remember=store.remember if store else _remember_nothing,
    )
    with contextlib.closing(source):
        yield source


@contextlib.contextmanager
def _slack(settings: Settings) -> Iterator[Slack]:
    token = settings.slack_bot_token
    slack = Slack(token=token.get_secret_value() if token else "", base_url=settings.slack_base_url)
    with contextlib.closing(slack):
        yield slack


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[UUID, int], None]]:
    """Show how far a long listing has come, where a person waits for it."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    from rich.console import Console as Terminal  # noqa: PLC0415 - only where a person looks

    terminal = Terminal(stderr=True)
    with terminal.status("Reading the queues …") as shown:
        yield lambda queue_id, runs: shown.update(f"Reading queue {queue_id}: {runs:,} runs …")


def _api(source: LangSmith) -> ApiInUse:
    outlook = source.outlook
    return ApiInUse(outlook.api.value, outlook.ending.sunset if outlook.ending else None)


def _waiting(source: LangSmith, queue: Queue) -> int | None:
    try:
        return source.waiting(queue.queue_id)
    except SourceError as error:
        log.warning("queue_not_counted", queue=queue.name, error=str(error))
        return None


def _polls(store: SqlStore) -> Sequence[Polled]:
    """The queues that are polled at present: those of the last start, or all that ever were."""
    roster = store.recall(ROSTER)
    active = None if roster is None else set(roster.split())
    return [polled for polled in store.polls() if active is None or str(polled.queue.queue_id) in active]


def _status(settings: Settings, store: SqlStore, polled: Polled, now: datetime) -> views.QueueStatus:
    rules = settings.for_queue(polled.queue.queue_id, polled.queue.name)
    stale_before = None if rules.stale_after is None else now - rules.stale_after
    late = polled.completed_at is None or now - polled.completed_at > rules.poll_interval * LATE_AFTER
    return views.QueueStatus(polled, store.standing(polled.queue.queue_id, stale_before), late=late)


def _all_well(found: Sequence[views.QueueStatus]) -> bool:
    return not any(status.late or status.standing.dead for status in found)
