"""Readiness of the worker: one condition for each area. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.core.overview import LATE_AFTER, NAMED
from worker.core.status.process import Area
from worker.core.status.reasons import last_poll, reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from worker.core.overview import Overview
    from worker.core.status.process import Reason


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready; `text` says what is wrong, or that nothing is."""

    name: str
    ok: bool
    text: str


def readiness(overview: Overview) -> tuple[Check, ...]:
    """The conditions: no reason against it, and the first polls and the notifier's first answer have come."""
    found = reasons(overview)
    wrong = {area: [reason.text for reason in found if reason.area is area] for area in _GOOD}
    wrong[Area.QUEUES] += _awaited_polls(overview, found)
    if not any(reason.kind == "token_refused" for reason in found):
        wrong[Area.NOTIFIER] += _awaited_answer(overview)
    name = overview.advice.area
    return tuple(Check(name(area), not texts, _joined(texts) or _GOOD[area](overview)) for area, texts in wrong.items())


def _awaited_polls(overview: Overview, found: Sequence[Reason]) -> Sequence[str]:
    """The polls that are still awaited: no reason yet, but not ready either."""
    known = {reason.subject for reason in found if reason.kind == "queue_late"}
    late = [queue for queue in overview.queues if queue.is_late(overview.taken_at)]
    awaited = [last_poll(queue) for queue in late if str(queue.polled.queue.queue_id) not in known]
    if overview.queues or any(reason.area is Area.QUEUES for reason in found):
        return awaited
    return [f"no queue is polled yet ({overview.unlisted})" if overview.unlisted else "no queue is polled yet"]


def _awaited_answer(overview: Overview) -> Sequence[str]:
    asked = overview.asked
    if asked.taken_at is not None:
        return ()
    return [f"has not answered yet ({asked.error})" if asked.error else "not asked yet"]


def _taken(overview: Overview) -> str:
    at = overview.asked.taken_at
    return f"took the token at {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


_GOOD: Mapping[Area, Callable[[Overview], str]] = {
    Area.DATABASE: lambda _: "answers",
    Area.QUEUES: lambda overview: f"{len(overview.queues)} polled within {LATE_AFTER} intervals",
    Area.NOTIFIER: _taken,
    Area.DELIVERIES: lambda _: "none is dead or held",
}


def _joined(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more
