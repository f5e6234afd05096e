"""Which of the worker's own troubles people are told of: each once, and its end once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.core.ports import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.overview import Overview, QueueView
    from worker.core.status.process import Reason

_PATIENCE = timedelta(minutes=15)
"""How long polling may fail before people are told, and how long an end waits for the others of its group."""

_JOIN = 2 / 3
"""From this share of the patience on, a failing queue joins a message that goes out anyway."""


class Group(StrEnum):
    """What incidents have in common; those of one group share a message."""

    QUEUE = "queue"  # it cannot be polled
    NAME = "name"  # no queue has it
    LIST = "list"  # the list of queues cannot be read
    KEY = "key"  # the source refuses it
    PART = "part"  # a part of the worker has announced it, in its own words


_AT_ONCE = frozenset({Group.NAME, Group.KEY, Group.PART})
"""Groups that do not get better by waiting, or have waited already."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble; `group` and `subject` identify it over looks. `ended_at` is None while it lasts.

    Of one that a part has announced, `subject` is its kind and subject, `name` its kind, `error` and `fix` its words.
    `new` and `gone` are the queue's counters when it was told: what they have grown by at its end is what was found.
    """

    group: Group
    subject: str
    name: str
    since: datetime
    error: str = ""
    trouble: str = ""
    new: int = 0
    gone: int = 0
    ended_at: datetime | None = None
    fix: str = ""

    @property
    def family(self) -> tuple[Group, str]:
        """Those of one family share a message."""
        return (self.group, self.name if self.group is Group.PART else "")

    @property
    def key(self) -> tuple[Group, str]:
        """What makes it the same at every look."""
        return (self.group, self.subject)


@dataclass(frozen=True, slots=True)
class Reported:
    """What one look leads to: incidents to tell as begun or as ended, one message a group; and all that is told now."""

    begun: tuple[tuple[Incident, ...], ...] = ()
    ended: tuple[tuple[Incident, ...], ...] = ()
    told: tuple[Incident, ...] = ()


def current(overview: Overview) -> list[Incident]:
    """Every trouble of polling at this look, told or not."""
    now = overview.taken_at
    incidents = [Incident(Group.NAME, name, name, now) for name in sorted(overview.unknown)]
    if overview.unlisted_since is not None:
        incidents.append(Incident(Group.LIST, "", "", overview.unlisted_since))
    failing = [_of_queue(queue, since) for queue in overview.queues if (since := queue.polled.failing_since)]
    if failing and len(_refused(failing)) == len(overview.queues):
        first = min(failing, key=lambda incident: incident.since)
        new, gone = sum(incident.new for incident in failing), sum(incident.gone for incident in failing)
        incidents.append(replace(first, group=Group.KEY, subject="", name="", new=new, gone=gone))
    return [*incidents, *failing, *(_announced(reason, now) for reason in overview.announced)]


def _announced(reason: Reason, now: datetime) -> Incident:
    subject = f"{reason.kind} {reason.subject}"
    return Incident(Group.PART, subject, reason.kind, reason.since or now, reason.text, fix=reason.fix)


def report(overview: Overview, told: Iterable[Incident]) -> Reported:
    """Compare what is with what people know."""
    found, now = current(overview), overview.taken_at
    here = {incident.key for incident in found}
    known = [_follow(each, now, lasts=each.key in here or not _is_refuted(each, overview)) for each in told]
    begun = [ripe for group in _grouped(_fresh(found, known)) if (ripe := _ripe(group, now))]
    ended = [over for group in _grouped(known) if (over := _over(group, now, refused=bool(_refused(found))))]
    gone = {incident.key for group in ended for incident in group}
    kept = [incident for incident in known if incident.key not in gone]
    return Reported(tuple(begun), tuple(ended), (*kept, *(incident for group in begun for incident in group)))


def _is_refuted(incident: Incident, overview: Overview) -> bool:
    """Whether something shows that it is over: that another trouble has taken its place, or a start, shows nothing."""
    if incident.group is Group.PART:
        kind, _, subject = incident.subject.partition(" ")
        return (kind, subject) in overview.over
    if incident.group not in {Group.QUEUE, Group.KEY}:
        return True
    concerned = [
        queue.polled
        for queue in overview.queues
        if incident.group is Group.KEY or str(queue.polled.queue.queue_id) == incident.subject
    ]
    return not concerned or any(polled.completed_at and polled.completed_at > incident.since for polled in concerned)


def _refused(incidents: Iterable[Incident]) -> list[Incident]:
    return [incident for incident in incidents if incident.group == Group.QUEUE and incident.trouble == Trouble.REFUSED]


def _fresh(found: Sequence[Incident], known: Sequence[Incident]) -> list[Incident]:
    """Those that nobody was told of; of a refused key people are told once, not once a queue."""
    keys = {incident.key for incident in known}
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
        new=queue.new,
        gone=queue.gone,
    )


def _follow(incident: Incident, now: datetime, *, lasts: bool) -> Incident:
    """One that came back before its end was told has not ended."""
    return replace(incident, ended_at=None if lasts else incident.ended_at or now)


def _ripe(group: Sequence[Incident], now: datetime) -> tuple[Incident, ...]:
    """Those of a group to tell now. Queues begin to fail one after the other: who is nearly due goes along."""
    patience = timedelta(0) if group[0].group in _AT_ONCE else _PATIENCE
    if not any(now - incident.since >= patience for incident in group):
        return ()
    return tuple(incident for incident in group if now - incident.since >= patience * _JOIN)


def _over(group: Sequence[Incident], now: datetime, *, refused: bool) -> tuple[Incident, ...]:
    """Those of a group whose end to tell now: when all have ended, or the first has waited long enough for them.

    A key is good again when no queue is refused; one that still is after that long is a trouble of its own.
    """
    over = tuple(incident for incident in group if incident.ended_at is not None)
    complete = len(over) == len(group) and not (refused and group[0].group == Group.KEY)
    waited = any(now - (incident.ended_at or now) >= _PATIENCE for incident in over)
    return over if complete or waited else ()


def _grouped(incidents: Iterable[Incident]) -> list[list[Incident]]:
    groups: dict[tuple[Group, str], list[Incident]] = {}
    for incident in incidents:
        groups.setdefault(incident.family, []).append(incident)
    return list(groups.values())
