"""Incidents: the worker's own problems, each reported once when it begins and once when it is over. Pure.

An outage, in which nothing was polled at all, is found and reported here, too.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.overview import LATE_AFTER
from worker.core.ports import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.overview import Overview, QueueView, Reason


_PATIENCE = timedelta(minutes=15)
"""The time for which polling may fail before that is reported, and for which an end waits for the rest of its group."""

_JOIN = 2 / 3
"""From this share of the patience on, a failing queue joins a message that goes out anyway."""


class Group(StrEnum):
    """The kind of an incident; incidents of one group share a message."""

    QUEUE = "queue"  # it cannot be polled
    NAME = "name"  # no queue has it
    LIST = "list"  # the list of queues cannot be read
    KEY = "key"  # the source refuses it
    PART = "part"  # a part of the worker announced it, in its own words


_AT_ONCE = frozenset({Group.NAME, Group.KEY, Group.PART})
"""Groups that do not get better by waiting, or have waited already."""


class Incident(Struct, frozen=True):
    """One problem; `group` and `subject` identify it from look to look. `ended_at` is None while it lasts.

    Where a part of the worker announced it, `subject` is its kind and subject, `name` its kind, `error` and `fix` its
    words. A queue's messages go to the `channel`, and `waiting` runs are there as far as is known. `new` and `gone` are
    the queue's counters when it was reported: their growth until its end is what polling found when it worked again.
    """

    group: Group
    subject: str
    name: str
    since: datetime
    error: str = ""
    trouble: str = ""
    channel: str = ""
    waiting: int = 0
    new: int = 0
    gone: int = 0
    ended_at: datetime | None = None
    fix: str = ""

    @property
    def family(self) -> tuple[Group, str]:
        """The key of the incidents that share a message."""
        return (self.group, self.name if self.group is Group.PART else "")

    @property
    def key(self) -> tuple[Group, str]:
        """The identity of the incident, the same at every look."""
        return (self.group, self.subject)


class Reported(Struct, frozen=True):
    """The outcome of one look: incidents to report as begun or as ended, a message for each group.

    `known` are all that people know of after that.
    """

    begun: tuple[tuple[Incident, ...], ...] = ()
    ended: tuple[tuple[Incident, ...], ...] = ()
    known: tuple[Incident, ...] = ()


def current(overview: Overview) -> list[Incident]:
    """Every problem at this look, reported or not."""
    now = overview.taken_at
    incidents = [Incident(Group.NAME, name, name, now) for name in sorted(overview.unknown)]
    if overview.unlisted_since is not None:
        incidents.append(Incident(Group.LIST, "", "", overview.unlisted_since))
    failing = [_of_queue(queue, since) for queue in overview.queues if (since := queue.polled.failing_since)]
    # A key that every queue refuses is one problem of the key, not one of each queue.
    if failing and len(_refused(failing)) == len(overview.queues):
        first = min(failing, key=lambda incident: incident.since)
        new, gone = sum(incident.new for incident in failing), sum(incident.gone for incident in failing)
        waiting = sum(incident.waiting for incident in failing)
        key = replace(first, group=Group.KEY, subject="", name="", waiting=waiting, new=new, gone=gone)
        incidents.append(key)
    return [*incidents, *failing, *(_announced(reason, now) for reason in overview.announced)]


def _announced(reason: Reason, now: datetime) -> Incident:
    subject = f"{reason.kind} {reason.subject}"
    return Incident(Group.PART, subject, reason.kind, reason.since or now, reason.text, fix=reason.fix)


def report(overview: Overview, known: Iterable[Incident]) -> Reported:
    """Compare the state of the worker with the incidents that people know of."""
    found, now = current(overview), overview.taken_at
    here = {incident.key for incident in found}
    followed = [_follow(each, now, lasts=each.key in here or not _is_refuted(each, overview)) for each in known]
    begun = [ripe for group in _grouped(_fresh(found, followed)) if (ripe := _ripe(group, now))]
    ended = [over for group in _grouped(followed) if (over := _over(group, now, refused=bool(_refused(found))))]
    gone = {incident.key for group in ended for incident in group}
    kept = [incident for incident in followed if incident.key not in gone]
    return Reported(tuple(begun), tuple(ended), (*kept, *(incident for group in begun for incident in group)))


def _is_refuted(incident: Incident, overview: Overview) -> bool:
    """Whether something shows that the incident is over."""
    if incident.group is Group.PART:
        # Not being announced shows nothing: after a restart the part may not have tried yet.
        kind, _, subject = incident.subject.partition(" ")
        return (kind, subject) in overview.over
    if incident.group not in {Group.QUEUE, Group.KEY}:
        return True
    concerned = [
        queue.polled
        for queue in overview.queues
        if incident.group is Group.KEY or str(queue.polled.queue.queue_id) == incident.subject
    ]
    # Only a complete poll counts: a queue may also have gone on to fail for another reason.
    return not concerned or any(polled.completed_at and polled.completed_at > incident.since for polled in concerned)


def _refused(incidents: Iterable[Incident]) -> list[Incident]:
    return [incident for incident in incidents if incident.group == Group.QUEUE and incident.trouble == Trouble.REFUSED]


def _fresh(found: Sequence[Incident], known: Sequence[Incident]) -> list[Incident]:
    """The incidents that people do not know of."""
    keys = {incident.key for incident in known}
    # A refused key is reported once, not once for each queue that it is refused for.
    by_key = any(incident.group == Group.KEY for incident in (*found, *known))
    refused = {incident.key for incident in _refused(found)} if by_key else set()
    return [incident for incident in found if incident.key not in keys | refused]


def _of_queue(queue: QueueView, since: datetime) -> Incident:
    polled = queue.polled
    return Incident(
        group=Group.QUEUE,
        subject=str(polled.queue.queue_id),
        name=queue.name,
        since=since,
        error=polled.error,
        trouble=queue.trouble,
        channel=queue.channel,
        waiting=queue.standing.waiting if queue.standing else queue.waiting,
        new=queue.new,
        gone=queue.gone,
    )


def _follow(incident: Incident, now: datetime, *, lasts: bool) -> Incident:
    """The incident as it is now."""
    # One that comes back before its end was reported has not ended: people would hear of it twice.
    return replace(incident, ended_at=None if lasts else incident.ended_at or now)


def _ripe(group: Sequence[Incident], now: datetime) -> tuple[Incident, ...]:
    """The incidents of a group that are to be reported now."""
    patience = timedelta(0) if group[0].group in _AT_ONCE else _PATIENCE
    if not any(now - incident.since >= patience for incident in group):
        return ()
    # Queues begin to fail one after the other: those that are nearly due join, or each would have its own message.
    return tuple(incident for incident in group if now - incident.since >= patience * _JOIN)


def _over(group: Sequence[Incident], now: datetime, *, refused: bool) -> tuple[Incident, ...]:
    """The incidents of a group whose end is to be reported now: all have ended, or the first waited long enough."""
    over = tuple(incident for incident in group if incident.ended_at is not None)
    # A key is good again when no queue is refused; a queue that is still refused after that is a problem of its own.
    complete = len(over) == len(group) and not (refused and group[0].group == Group.KEY)
    waited = any(now - (incident.ended_at or now) >= _PATIENCE for incident in over)
    return over if complete or waited else ()


def _grouped(incidents: Iterable[Incident]) -> list[list[Incident]]:
    groups: dict[tuple[Group, str], list[Incident]] = {}
    for incident in incidents:
        groups.setdefault(incident.family, []).append(incident)
    return list(groups.values())


_SHORTEST = timedelta(minutes=15)
"""A restart or an upgrade is no outage."""


class Outage(Struct, frozen=True):
    """Nothing was polled between `since` and `until`; the counters are those from before."""

    since: datetime
    until: datetime
    new: int
    gone: int


class LastSeen(Struct, frozen=True):
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
