"""The `status` command: the processes at work, the state of each queue, and every reason why all is not well."""

from __future__ import annotations

import json
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace
from rich.text import Text

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.startup import DATABASE, opened, start
from worker.commands.upcoming import held_of, unpolled_lines, unpolled_of
from worker.core.calendar import NO_WEEK
from worker.core.leases import assignment_name
from worker.core.message import EXPIRES_WITHIN
from worker.core.overview import LISTING_IN_USE, Area, Overview, QueueView
from worker.core.status.reasons import reasons
from worker.core.text import day_time_in, plain
from worker.rules import rules_for
from worker.settings.names import ADVICE, some
from worker.stores import acts, lock, opening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.commands.upcoming import Unpolled
    from worker.core.calendar import Calendar
    from worker.core.model import Id, QueueTotals
    from worker.core.overview import LinkState, Process, Reason
    from worker.core.owed import State
    from worker.core.status.upcoming import Held
    from worker.rules import RulesOf
    from worker.settings import Settings
    from worker.stores.sql import SqlStore


class ActsOfQueue(Struct, frozen=True):
    """What people have said of one queue: how many runs are claimed and snoozed, and until when it is muted."""

    claimed: int = 0
    snoozed: int = 0
    muted_until: datetime | None = None

    @property
    def is_any(self) -> bool:
        """Whether there is anything to show."""
        return self != ActsOfQueue()


class Status(Struct, frozen=True):
    """Everything that the command shows.

    `alive` are the processes at work; `last` is the last one, where none is; `holder` names a process that holds the
    database and is none of these. `workers` names the worker that polls each queue, where there are several;
    `calendars` and `held` are those of each queue. `listing` is the listing of LangSmith that is read, with its end;
    empty where none was read yet.
    """

    overview: Overview
    standings: Sequence[QueueTotals]
    reasons: Sequence[Reason]
    alive: Sequence[Process] = ()
    last: Process | None = None
    holder: str = ""
    workers: Sequence[str | None] = ()
    calendars: Sequence[Calendar] = ()
    held: Sequence[Held] = ()
    unpolled: Sequence[Unpolled] = ()
    acts: Sequence[ActsOfQueue] = ()
    listing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def services(self) -> list[Process]:
        """The processes at work that are the service."""
        return [process for process in self.alive if process.command == "run"]

    def count(self, state: State) -> int:
        """The number of deliveries of this state, with those of no queue."""
        return sum(backlog.count for backlog in self.overview.backlog if backlog.state is state)


WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J"


def status(*, as_json: bool, watch: bool = False) -> bool:
    """Show the state of each queue, and with `watch` again and again; returns whether all is well."""
    settings, pause = start(DATABASE), threading.Event()
    with opened(settings) as store:
        while True:
            found = read_status(settings, store, store.now(SystemClock()))
            if not watch:
                break
            sys.stdout.write(CLEAR if sys.stdout.isatty() else "")
            _print(found)
            sys.stdout.flush()
            pause.wait(WATCH_SECONDS)
    if as_json:
        tables.print_json(tables.status_json(found))
    else:
        _print(found)
    return not found.reasons


def read_status(settings: Settings, store: SqlStore, now: datetime, rules: RulesOf | None = None) -> Status:
    """The state of the worker, as far as the database shows it; with `rules` that are made already, none are made."""
    rules = rules or rules_for(settings, SystemClock())
    processes, assigned, polls = store.processes(), store.assigned(), last_polls(store)
    holder = _holder(settings)
    living = store.alive()
    alive = [process for process in processes if _is_alive(process, holder, living)]
    queues = [QueueView(polled, rules(polled.queue).settings.poll_interval, polled.trouble) for polled in polls]
    overview = Overview(
        taken_at=now,
        queues=queues,
        pauses=store.pauses(),
        backlog=store.backlog(),
        started_at=min((process.started_at for process in alive if process.command == "run"), default=None),
        interval=rules(None).settings.poll_interval,
        advice=ADVICE,
    )
    last = processes[0] if processes and not alive else None
    found = Status(
        overview=replace(overview, announced=_known_to_them(alive, last)),
        standings=[
            store.standing(each.queue.queue_id, rules(each.queue).stale_before(now), now + EXPIRES_WITHIN)
            for each in polls
        ],
        reasons=(),
        alive=alive,
        last=last,
        holder="" if alive else holder or "",
        workers=[assigned.get(assignment_name(polled.queue.queue_id)) for polled in polls],
        calendars=[rules(polled.queue).calendar for polled in polls],
        held=held_of(store, polls, [rules(polled.queue).policy_for(polled.queue) for polled in polls], now),
        unpolled=unpolled_of(store, polls, rules, now),
        acts=_acts(store, [polled.queue.queue_id for polled in polls], now),
        listing=json.loads(store.recall(LISTING_IN_USE) or "{}"),
    )
    return replace(found, reasons=_once(reasons(found.overview)))


def _acts(store: SqlStore, queue_ids: Iterable[Id], now: datetime) -> list[ActsOfQueue]:
    spared, mutes = store.search(partial(acts.spared_runs, now=now)), store.search(acts.mutes)
    muted = {queue_id: until for queue_id, until in mutes.items() if until > now}
    return [ActsOfQueue(*spared.get(each, (0, 0)), muted.get(each)) for each in queue_ids]


def _holder(settings: Settings) -> str | None:
    path = opening.database_path(settings.database_url)
    return None if path is None else lock.holder(path)


def _is_alive(process: Process, holder: str | None, living: Iterable[object]) -> bool:
    """Whether a process works at present: it holds the file, or its lease lasts."""
    if process.ended_at is not None:
        return False
    # An empty name counts: on a full disk the holder could not write it.
    return process.process_id in living or holder in {"", lock.words_for(process.pid, process.host)}


def _known_to_them(alive: Sequence[Process], last: Process | None) -> Sequence[Reason]:
    """The reasons that only the processes at work know."""
    # With single passes none is at work most of the time: the last one's reasons still hold.
    if last is not None and last.command == "poll":
        return last.reasons
    return [reason for process in alive for reason in process.reasons]


def _once(every: Iterable[Reason]) -> tuple[Reason, ...]:
    """The reasons without repetitions."""
    # Several processes may report the same. The last one wins: announced reasons come last, and are the most exact.
    return tuple({(reason.kind, reason.subject): reason for reason in every}.values())


def _print(found: Status) -> None:
    now = found.overview.taken_at
    tables.say(*_first_lines(found), *_listing_lines(found))
    columns = ["Queue", "Waiting", "Stale", "Oldest", "Last complete poll", "Not yet delivered"]
    queues = zip(found.overview.queues, found.standings, strict=True)
    rows = [_row(queue, standing, now) for queue, standing in queues]
    if any(queue.polled.queue.disagreed for queue in found.overview.queues):
        columns.append("Reviewers disagree")
        rows = [
            [*row, str(queue.polled.queue.disagreed or "")]
            for row, queue in zip(rows, found.overview.queues, strict=True)
        ]
    if any(found.workers):
        columns.append("Polled by")
        rows = [[*row, worker or ""] for row, worker in zip(rows, found.workers, strict=True)]
    tables.print_table(columns, rows, empty="No queue has been polled yet.")
    tables.say(
        *_hours_lines(found),
        *unpolled_lines(found.unpolled),
        *_acts_lines(found),
        *_expiry_lines(found),
        *_reason_lines(found),
        *_remark_lines(found),
    )


def _expiry_lines(found: Status) -> list[str]:
    """The queues with runs that soon no one can review any more, because LangSmith deletes their traces."""
    counted = zip(found.overview.queues, found.standings, strict=True)
    lines = [_expiry_line(queue.name, each) for queue, each in counted if each.expiring]
    return ["", *lines] if lines else []


def _expiry_line(name: str, standing: QueueTotals) -> str:
    first = f"{standing.expires_at:%Y-%m-%d %H:%M} UTC"
    if standing.expiring == 1:
        return f"{name}: the trace of 1 run expires on {first}; after that no one can review it"
    expiring = f"the traces of {standing.expiring} runs expire within {EXPIRES_WITHIN.days} days, the first on {first}"
    return f"{name}: {expiring}; after that no one can review them"


def _first_lines(found: Status) -> list[str]:
    """The lines about the services that run, or about the last process."""
    now = found.overview.taken_at
    if found.services:
        running = [f"A service is running: {_who(process, now)}" for process in found.services]
        return running + link_lines(found.services, now)
    if found.alive:
        return [f"No service is running; a single pass is at work: {_who(process, now)}" for process in found.alive]
    if found.holder:
        return [f"No service is running; {found.holder} works on the database"]
    last = found.last
    if last is None:
        return ["No service is running"]
    ended = "did not stop by itself" if last.ended_at is None else f"ended {tables.ago_text(last.ended_at, now)}"
    what = "service" if last.command == "run" else "pass"
    return [f"No service is running; the last {what} {ended}: {_who(last, now)}"]


def link_lines(services: Sequence[Process], now: datetime) -> list[str]:
    """Whether people are heard, by which process, since when, and over how many links; nothing where none is to."""
    links = [(each.pid, each.link) for each in services if each.link is not None]
    # Of several workers two hear people, and the others stand by.
    up = [(pid, link) for pid, link in links if link.connected_at is not None]
    if links and not up:
        return ["What people do in Slack is not heard at present"]
    return [_link_text(pid, link, now) for pid, link in up]


def _link_text(pid: int, link: LinkState, now: datetime) -> str:
    count = "1 link" if link.links == 1 else f"{link.links} links"
    counted = f" (Slack counts {link.counted})" if link.counted != link.links else ""
    since = f"{link.connected_at:%Y-%m-%d %H:%M:%S} UTC ({tables.ago_text(link.connected_at, now)})"
    alive = f"last sign of life {tables.ago_text(link.pong_at, now)}"
    return f"Process {pid} has heard what people do in Slack since {since} over {count}{counted}, {alive}"


def _listing_lines(found: Status) -> list[str]:
    listing = found.listing
    return [f"LangSmith's listing `{listing['name']}` is read; {listing['meaning']}"] if listing else []


def _who(process: Process, now: datetime) -> str:
    since = f"since {process.started_at:%Y-%m-%d %H:%M:%S} UTC ({tables.age_text(now - process.started_at)})"
    return f"process {process.pid} on {process.host}, {since}, version {process.version}"


def _row(queue: QueueView, standing: QueueTotals, now: datetime) -> list[str | Text]:
    style = "red" if queue.is_late(now) else ""
    return [
        queue.name,
        str(standing.waiting) + (f" (+{standing.left_out} left out)" if standing.left_out else ""),
        str(standing.stale),
        "" if standing.oldest_since is None else tables.age_text(now - standing.oldest_since),
        Text(tables.ago_text(queue.polled.completed_at, now), style=style),
        str(standing.undelivered or ""),
    ]


def _hours_lines(found: Status) -> list[str]:
    """Whether queues are open, until when, and what is held; nothing where no queue has hours."""
    now, names = found.overview.taken_at, [plain(queue.name) for queue in found.overview.queues]
    states: dict[str, list[str]] = {}
    for name, calendar in zip(names, found.calendars, strict=True):
        states.setdefault(hours_text(calendar, now), []).append(name)
    if all(calendar.is_always and calendar.quiet == NO_WEEK for calendar in found.calendars):
        return []
    lines = [f"  {some(queues)}: {state}" for state, queues in states.items()]
    lines += [f"  {name}: {held_text(held, calendar)}" for name, calendar, held in _held(found, names)]
    return ["", "Hours:", *lines]


def _held(found: Status, names: Iterable[str]) -> Iterator[tuple[str, Calendar, Held]]:
    queues = zip(names, found.calendars, found.held, strict=True)
    return ((name, calendar, held) for name, calendar, held in queues if held.until is not None)


def _acts_lines(found: Status) -> list[str]:
    """What people have taken, put off and muted; nothing where there is none."""
    queues = zip(found.overview.queues, found.acts, found.calendars, strict=True)
    lines = [f"  {plain(queue.name)}: {acts_text(each, calendar)}" for queue, each, calendar in queues if each.is_any]
    return ["", "Acts of people:", *lines] if lines else []


def acts_text(of: ActsOfQueue, calendar: Calendar) -> str:
    """How many runs are claimed and snoozed, and until when the queue is muted."""
    muted = "" if of.muted_until is None else f"muted until {day_time_in(of.muted_until, calendar.zone)}"
    counts = (f"{count} {word}" for count, word in ((of.claimed, "claimed"), (of.snoozed, "snoozed")) if count)
    return ", ".join(part for part in (*counts, muted) if part)


def hours_text(calendar: Calendar, now: datetime) -> str:
    """Whether a calendar is open, and until when."""
    is_open = calendar.is_open(now)
    change = calendar.next_closing(now) if is_open else calendar.next_opening(now)
    state = "always open" if calendar.is_always else "open" if is_open else "closed"
    until = "" if change is None else f" until {day_time_in(change, calendar.zone)}"
    quiet = is_open and not calendar.may_post(now)
    return f"{state}{until}" + (f", quiet until {day_time_in(calendar.opens(now), calendar.zone)}" if quiet else "")


def held_text(held: Held, calendar: Calendar) -> str:
    """What is held, and until when."""
    if held.until is None:
        return "nothing is held"
    parts = [(held.runs, "run"), (held.deliveries, "message")]
    what = " and ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in parts if count)
    return f"{what} held until {day_time_in(held.until, calendar.zone)}"


def _reason_lines(found: Status) -> list[str]:
    if not found.reasons:
        return []
    lines = ["", "Not well:"]
    for reason in found.reasons:
        is_dated = reason.since is None or " since " in reason.text
        since = "" if is_dated else f", since {reason.since:%Y-%m-%d %H:%M} UTC"
        lines += [f"  {_area(reason)}: {reason.text}{since}", f"    Fix: {reason.fix}"]
    return lines


def _area(reason: Reason) -> str:
    """The area of a reason as people read it."""
    return ADVICE.notifier if reason.area is Area.NOTIFIER else reason.area.capitalize()


def _remark_lines(found: Status) -> list[str]:
    """The lines about queues that fail, but not for long enough to be a reason."""
    known = {reason.subject for reason in found.reasons}
    failing = [
        queue.polled
        for queue in found.overview.queues
        if queue.polled.error and str(queue.polled.queue.queue_id) not in known
    ]
    return ["", *(f"Tried again soon: {each.queue.name}: {each.error}" for each in failing)] if failing else []
