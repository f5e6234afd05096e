"""Notices that nothing was polled for a while: the worker was stopped, asleep, or without its database. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.overview import LATE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from worker.core.incidents import Incident
    from worker.core.overview import Overview

_SHORTEST = timedelta(minutes=15)
"""A restart or an upgrade is no outage."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing was polled between `since` and `until`; the counters are those from before."""

    since: datetime
    until: datetime
    new: int
    gone: int


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The last sight of the queues: time of a complete poll, counters of all queues, an outage not yet reported."""

    seen_at: datetime | None = None
    new: int = 0
    gone: int = 0
    outage: Outage | None = None


def moved_by(sight: LastSeen, clock_set: timedelta) -> LastSeen:
    """The same sight by a wall clock that was set by `clock_set`."""
    # Without this a clock that is set forward by an hour would be reported as an outage of an hour.
    return replace(sight, seen_at=sight.seen_at and sight.seen_at + clock_set)


def seen_now(before: LastSeen, overview: Overview, known: Iterable[Incident]) -> LastSeen:
    """The sight of now. A gap that incidents explain which people `known` already is no outage."""
    completed = [queue.polled.completed_at for queue in overview.queues if queue.polled.completed_at is not None]
    if not completed:
        return before
    # An outage that was found stays until it is reported: the next look would not see the gap any more.
    outage = before.outage or _gap(before, overview, completed, known)
    seen_at = max(completed)
    new, gone = counters(overview)
    return LastSeen(seen_at, new, gone, outage)


def outage_to_report(sight: LastSeen, overview: Overview) -> Outage | None:
    """The outage to report now, with the number of runs that came and left in it; None while that is not known."""
    outage = sight.outage
    if outage is None:
        return None
    # Every queue that can be polled must have been polled since: before that, the numbers would be too small.
    for queue in overview.queues:
        completed_at = queue.polled.completed_at
        if not queue.trouble and (completed_at is None or completed_at < outage.until):
            return None
    return replace(outage, new=sight.new - outage.new, gone=sight.gone - outage.gone)


def counters(overview: Overview) -> tuple[int, int]:
    """The numbers of runs that were announced, and that left, since the process started."""
    return sum(queue.new for queue in overview.queues), sum(queue.gone for queue in overview.queues)


def _gap(before: LastSeen, overview: Overview, completed: list[datetime], known: Iterable[Incident]) -> Outage | None:
    since = before.seen_at
    if since is None:
        return None
    shortest = min(queue.interval for queue in overview.queues)
    if max(completed) - since <= max(_SHORTEST, LATE_AFTER * shortest):
        return None
    # Polling failed before the gap, and people were notified of that: one trouble is not reported twice.
    if any(incident.since <= since + _SHORTEST for incident in known):
        return None
    return Outage(since, min(at for at in completed if at > since), before.new, before.gone)
