"""What `simulate` shows: a table with a column per policy for people, and JSON for programs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from worker.commands.tables import age_text, queue_json, stamp
from worker.core.model import Queue
from worker.core.simulation import Delay
from worker.core.text import day_time_in, plain
from worker.notifiers.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from worker.core.model import Id
    from worker.core.simulation import Figures, Past, QueueFigures

_BY_THE_CLOCK = "- with closed hours"


@dataclass(frozen=True, slots=True)
class Played:
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
