"""The `simulate` command: a policy on the remembered time, beside the present one and what was posted in fact."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from worker.clock import SystemClock
from worker.commands.simulate_play import Simulation
from worker.commands.startup import quiet, start, start_aside
from worker.commands.tables import age_text, print_json, print_table, queue_json, say, stamp
from worker.core.model import Queue
from worker.core.simulation import Delay, Ruled, measure, past_from, with_everyone, working_days
from worker.core.text import day_time_in, plain
from worker.notifiers.slack.notifier import LIMITS
from worker.notifiers.words import counted
from worker.rules import rules_for
from worker.settings import Need
from worker.settings.names import DATABASE_SETTING
from worker.stores import opening
from worker.stores.imagined import Imagined
from worker.stores.imagined_rows import Outages
from worker.stores.past import recall_past
from worker.stores.reviews import every_poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo
    from multiprocessing.connection import Connection
    from pathlib import Path

    from worker.core.model import Id
    from worker.core.ports import Clock
    from worker.core.simulation import Figures, Past, QueueFigures
    from worker.core.store_roles import Store
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

    Policy = tuple[Path | None, Settings]

_QUEUES = frozenset({Need.QUEUES})
_NOTHING = "nothing is remembered of these queues: let `review-notifier run` poll them for some days first"

WARM_UP = timedelta(days=4)
"""So long before the time that counts a policy is played, so that what waits then has been spoken of by it."""


def simulate(*, days: int, config: Path | None, as_json: bool) -> bool:
    """Show what the present policy, and that of a file, make of the remembered time; False where there is none."""
    present = start(_QUEUES)
    policies: list[Policy] = [(None, present)]
    if config is not None:
        policies.append((config, start_aside(_QUEUES, config)))
    quiet()
    clock = SystemClock()
    with opening.open_copy(present.database_url, setting=DATABASE_SETTING) as store:
        past = _remembered(store, clock, timedelta(days=days), present.keep_reviews)
    played = [] if past is None else play_policies(past, policies, side_by_side)
    if past is None or not any(each.figures.queues for each in played):
        sys.stderr.write(f"review-notifier: {_NOTHING}\n")
        return False
    if as_json:
        print_json(simulation_json(past, days, played))
        return True
    say(*heading(past, days, played, rules_for(present, clock)(None).calendar.zone))
    print_table(columns(played), figure_rows(past, played), empty="")
    say(*notes(played))
    return True


def _remembered(store: SqlStore, clock: Clock, wanted: timedelta, kept: timedelta) -> Past | None:
    now = store.now(clock)
    first = past_from(store.search(every_poll), now - kept)
    if first is None or first >= now:
        return None
    begin: datetime = max(now - wanted, first)
    return store.search(lambda connection: recall_past(connection, max(begin - WARM_UP, first), begin, now))


def one_by_one(works: Sequence[Callable[[], Played]]) -> list[Played]:
    """What all of them give."""
    return [work() for work in works]


def side_by_side(works: Sequence[Callable[[], Played]]) -> list[Played]:
    """The same, but each beside the first works in a process of its own; only for a process without threads."""
    context = get_context("fork")
    answers: list[Connection] = []
    for work in works[1:]:
        ours, theirs = context.Pipe(duplex=False)
        context.Process(target=_answer, args=(work, theirs), daemon=True).start()
        # Else the end of a process that was killed would not be noticed.
        theirs.close()
        answers.append(ours)
    found = [work() for work in works[:1]]
    for work, answer in zip(works[1:], answers, strict=True):
        try:
            found.append(answer.recv())
        except EOFError:
            found.append(work())
    return found


def _answer(work: Callable[[], Played], answer: Connection) -> None:
    answer.send(work())


def play_policies(
    past: Past,
    policies: Sequence[Policy],
    run: Callable[[Sequence[Callable[[], Played]]], list[Played]] = one_by_one,
) -> list[Played]:
    """What comes of each policy; `run` says how the work is done."""
    simulations: list[tuple[Path | None, Simulation, Imagined]] = []
    for config, settings in policies:
        whose = (queue.people for queue in (*settings.queues, settings.defaults))
        store = Imagined(with_everyone(past, whose), Outages(past.outages))
        simulation = Simulation(settings, past, cast("Store", store), scheme=LIMITS.scheme)
        simulations.append((config, simulation, store))
    zone = simulations[0][1].rules(None).calendar.zone
    days = _days(past, [simulation for _, simulation, _ in simulations])

    def played(config: Path | None, simulation: Simulation, store: Imagined) -> Played:
        simulation.play()
        figures = measure(past, store.posted, store.entered, _ruled(simulation), days, zone)
        return Played(config, figures, sorted(simulation.missing))

    return run([partial(played, *each) for each in simulations])


def _days(past: Past, simulations: Sequence[Simulation]) -> Mapping[Id, int]:
    """The working days of each queue: the same for all policies, by the last that has hours."""
    queues = {queue_id: queue for each in simulations for queue_id, queue in each.queues.items()}
    return {
        queue_id: len(
            working_days((each.rules(queue).calendar for each in reversed(simulations)), past.begin, past.end)
        )
        for queue_id, queue in queues.items()
    }


def _ruled(simulation: Simulation) -> Mapping[Id, Ruled]:
    rules = {queue_id: simulation.rules(queue) for queue_id, queue in simulation.queues.items()}
    return {queue_id: Ruled(each.calendar, each.policy.stale_at) for queue_id, each in rules.items()}


_BY_THE_CLOCK = "- with closed hours"


class Played(Struct, frozen=True):
    """A policy that was played, by the name of its file (None: the present one), and what came of it."""

    config: Path | None
    figures: Figures
    missing: Sequence[str]

    @property
    def name(self) -> str:
        """What its column is called."""
        return "Present policy" if self.config is None else self.config.name

    @property
    def working_days(self) -> int:
        """The working days of the queue that has most."""
        return max((queue.days for queue in self.figures.queues), default=0)


def heading(past: Past, days: int, played: Sequence[Played], zone: tzinfo) -> Iterator[str]:
    """The time that was played, and why it is shorter than what was asked for."""
    came = max(each.figures.every.came for each in played if each.figures.every)
    begin = f"{past.begin.astimezone(zone):%a %d %b %H:%M}"
    yield f"{counted(came, 'run')} came from {begin} to {day_time_in(past.end, zone)}."
    if past.end - past.begin < timedelta(days=days):
        yield f"Only {age_text(past.end - past.begin)} of the {counted(days, 'day')} are remembered."
    for polled in past.polls:
        if polled.baselined_at is not None and polled.baselined_at > past.begin:
            yield f"{polled.queue.name} has been polled only since {day_time_in(polled.baselined_at, zone)}."


def notes(played: Sequence[Played]) -> Iterator[str]:
    """What has to be known to read the table."""
    for each in played:
        if each.missing:
            yield f"{each.name} names queues of which nothing is remembered: {', '.join(sorted(each.missing))}."
    yield "Times are the median and the 95th percentile; closed hours do not count unless the line says so."
    yield "Nothing was posted, and nothing was written."


def columns(played: Sequence[Played]) -> list[str]:
    """The heads of the columns."""
    return ["", *(each.name for each in played), "In fact"]


def figure_rows(past: Past, played: Sequence[Played]) -> Iterator[list[str]]:
    """The figures, a column per policy, and what was posted in fact in the last one."""
    yield from _posts(past, played)
    people = _people(past, played)
    if people:
        working = played[0].working_days
        calls = [_decimal(each.figures.calls_a_day(people, each.working_days)) for each in played]
        in_fact = _decimal(_share(sum(past.calls.values()), people * working))
        yield ["Calls per person and working day", *calls, in_fact]
        yield ["- most per person and day", *(str(each.figures.most_calls) for each in played), ""]
    every = [each.figures.every for each in played]
    yield ["A message shows a run after", *_delays(every, lambda each: each.shown)]
    yield [_BY_THE_CLOCK, *_delays(every, lambda each: each.shown_wall)]
    yield ["A message is posted for it after", *_delays(every, lambda each: each.called)]
    yield [_BY_THE_CLOCK, *_delays(every, lambda each: each.called_wall)]
    yield ["Runs that became overdue", *(_overdue(each) for each in every), ""]


def _posts(past: Past, played: Sequence[Played]) -> Iterator[list[str]]:
    named = {queue.queue.queue_id: queue.queue.name for each in played for queue in each.figures.queues}
    by_id = [{queue.queue.queue_id: queue for queue in each.figures.queues} for each in played]
    days = {queue_id: next(found[queue_id].days for found in by_id if queue_id in found) for queue_id in named}
    every = [_decimal(each.figures.every.a_day if each.figures.every else 0) for each in played]
    sent = sum(past.sent.get(queue_id, 0) for queue_id in named)
    yield ["Posts per queue and working day", *every, _decimal(_share(sent, sum(days.values())))]
    for queue_id, name in named.items() if len(named) > 1 else ():
        shown = [_decimal(found[queue_id].a_day) if queue_id in found else "-" for found in by_id]
        yield [f"- {plain(name)}", *shown, _decimal(_share(past.sent.get(queue_id, 0), days[queue_id]))]
    most = (max((queue.most for queue in each.figures.queues), default=0) for each in played)
    yield ["- most per queue and day", *map(str, most), ""]


def _people(past: Past, played: Sequence[Played]) -> int:
    """How many people any of the policies calls, or were called in fact: all are measured by as many."""
    return len(set().union(past.calls, *(each.figures.calls for each in played)))


def _delays(every: Sequence[QueueFigures | None], pick: Callable[[QueueFigures], Delay]) -> Iterator[str]:
    for each in every:
        delay = Delay() if each is None else pick(each)
        known = [age_text(value) for value in (delay.p50, delay.p95) if value is not None]
        yield ", ".join(known) or "-"
    yield ""


def _share(total: float, of: int) -> float:
    return total / of if of else 0.0


def _decimal(value: float) -> str:
    return f"{value:.1f}"


def _overdue(each: QueueFigures | None) -> str:
    return "-" if each is None else f"{each.overdue} ({_share(100 * each.overdue, each.came):.1f} %)"


def simulation_json(past: Past, days: int, played: Sequence[Played]) -> dict[str, Any]:
    """The figures for programs."""
    people = _people(past, played)
    return {
        "begin": stamp(past.begin),
        "end": stamp(past.end),
        "days": days,
        "remembered_days": round((past.end - past.begin) / timedelta(days=1), 3),
        "policies": [_policy_json(each, people) for each in played],
        "in_fact": {
            "queues": [{**queue_json(_queue(queue_id, played)), "posts": sent} for queue_id, sent in past.sent.items()],
            "calls": sum(past.calls.values()),
        },
    }


def _queue(queue_id: Id, played: Sequence[Played]) -> Queue:
    """A queue by its id, with its name where a policy has it."""
    every = (queue.queue for each in played for queue in each.figures.queues)
    return next((queue for queue in every if queue.queue_id == queue_id), Queue(queue_id, ""))


def _policy_json(each: Played, people: int) -> dict[str, Any]:
    figures = each.figures
    return {
        "config": None if each.config is None else str(each.config),
        "queues": [{**queue_json(queue.queue), **_queue_json(queue)} for queue in figures.queues],
        "all_queues": None if figures.every is None else _queue_json(figures.every),
        "called": {
            "people_called": people,
            "calls": sum(figures.calls.values()),
            "direct_messages": figures.direct,
            "calls_per_person_and_working_day": round(figures.calls_a_day(people, each.working_days), 3),
            "most_per_person_and_day": figures.most_calls,
        },
        "not_remembered": sorted(each.missing),
    }


def _queue_json(queue: QueueFigures) -> dict[str, Any]:
    return {
        "working_days": queue.days,
        "came": queue.came,
        "posts": queue.posts,
        "posts_per_working_day": round(queue.a_day, 3),
        "most_posts_per_day": queue.most,
        "overdue": queue.overdue,
        "shown_after": {"open_time": _delay_json(queue.shown), "wall_time": _delay_json(queue.shown_wall)},
        "posted_after": {"open_time": _delay_json(queue.called), "wall_time": _delay_json(queue.called_wall)},
    }


def _delay_json(delay: Delay) -> dict[str, float | None]:
    return {
        "p50_seconds": None if delay.p50 is None else delay.p50.total_seconds(),
        "p95_seconds": None if delay.p95 is None else delay.p95.total_seconds(),
    }
