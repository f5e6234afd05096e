"""Watches the worker itself: tells its troubles and outages to the operators, and each end of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core import outage, reports
from worker.core.incidents import Group, Incident, report
from worker.core.model import Task
from worker.core.status.reasons import reasons
from worker.loops.shift import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from worker.core.overview import Overview
    from worker.core.ports import Shift
    from worker.core.roles import Notes, Polls
    from worker.loops.ops import Ops

log = structlog.get_logger(__name__)

TOLD = "incidents_told"
"""Under this name the store remembers what people know of, so that an end is told after a restart too."""

SUNSET_DAYS = (60, 14, 3, 0)
"""So many days before the source ends the listing in use, people are told of it."""


DATABASE_PATIENCE = timedelta(seconds=25)
"""How long the database may fail before it is announced: another program's lock may last as long."""


class Watch:
    """Looks, and tells what has changed for better or worse. One thread at a time."""

    def __init__(
        self, *, look: Callable[[], Overview], store: Polls, notes: Notes, ops: Ops, shift: Shift = ALONE
    ) -> None:
        """`look` gives how the worker stands; of several workers one tells: who has the task in its `shift`."""
        self._shift = shift
        self._look = look
        self._store = store
        self._notes = notes
        self._ops = ops
        self._told: tuple[Incident, ...] | None = None
        self._sight = outage.Sight()
        self._sunset: tuple[str, int] | None = None
        self._failing_since: datetime | None = None
        self._database_announced = False
        self.overview: Overview | None = None
        """How the worker stood at the last look."""

    def __call__(self) -> Overview:
        """Look once, and tell what is to be told. Raises StoreError, and tries again at the next call."""
        overview = self.overview = self._look()
        self._sight = outage.follow(self._sight, overview.clock_set)
        self._announce_database(overview)
        if overview.store_error:
            return overview
        if not self._shift.has(Task.REPORTS):
            self._told = None
            return overview
        if self._told is None:
            self._told = _loads(self._notes.recall(TOLD))
            self._sight = outage.Sight(self._last_seen_at())
        before = self._told
        self._told = self._tell_incidents(overview, before)
        self._tell_outage(overview, (*before, *self._told))
        self._tell_sunset(overview)
        return overview

    def _announce_database(self, overview: Overview) -> None:
        """Announce that the database fails, past its outbox; its end goes the usual way."""
        failing = next((each for each in reasons(overview) if each.kind == "database_failing"), None)
        if failing is None:
            if self._database_announced and self._failing_since:
                began = self._failing_since
                text = f"The database works again. It failed since {began:%Y-%m-%d %H:%M} UTC."
                self._ops.tell(text, name=f"database works/{began}", ending=True)
            self._failing_since, self._database_announced = None, False
            return
        began = self._failing_since = self._failing_since or overview.taken_at
        if self._database_announced or not overview.taken_at - began >= DATABASE_PATIENCE:
            return
        text = f"The database fails since {began:%Y-%m-%d %H:%M} UTC: {failing.text}"
        self._database_announced = self._ops.announce_at_once(text, name=f"database/{began}")

    def _last_seen_at(self) -> datetime | None:
        """When, before this start, a queue was last polled completely."""
        return max((polled.completed_at for polled in self._store.polls() if polled.completed_at), default=None)

    def _tell_incidents(self, overview: Overview, told: Sequence[Incident]) -> tuple[Incident, ...]:
        reported = report(overview, told)
        # What was left out today nobody knows of: it is as new at the next look.
        unheard = {
            incident.key
            for group in reported.begun
            if not self._ops.tell(reports.begun(group, overview.advice), name=_name("begun", group))
            for incident in group
        }
        known = tuple(incident for incident in reported.told if incident.key not in unheard)
        for group in reported.ended:
            text = reports.ended(group, None if self._shift.is_shared else _found(group, overview), overview.advice)
            self._ops.tell(text, name=_name("ended", group), ending=True)
        if known != tuple(told):
            self._notes.remember(TOLD, _dumps(known))
        return known

    def _tell_outage(self, overview: Overview, told: Iterable[Incident]) -> None:
        self._sight = outage.look(self._sight, overview, told)
        found = outage.found(self._sight, overview)
        if found is None:
            return
        log.warning("was_blind", since=found.since, until=found.until, new=found.new, gone=found.gone)
        text = reports.outage(found.since, found.until, None if self._shift.is_shared else (found.new, found.gone))
        self._ops.tell(text, name=f"outage/{found.since}", ending=True)
        self._sight = replace(self._sight, outage=None)

    def _tell_sunset(self, overview: Overview) -> None:
        """Tell that the listing in use ends, the nearer the end the more often."""
        api = overview.api
        if api is None or api.sunset_at is None:
            return
        left = (api.sunset_at - overview.taken_at).days
        passed = min((days for days in SUNSET_DAYS if left <= days), default=None)
        if passed is None or self._sunset == (api.name, passed):
            return
        text = reports.sunset(api.name, api.sunset_at, overview.taken_at, overview.advice)
        if self._ops.tell(text, name=f"sunset/{api.name}/{api.sunset_at:%Y-%m-%d}/{passed}"):
            self._sunset = (api.name, passed)


def _found(group: Sequence[Incident], overview: Overview) -> tuple[int, int]:
    """How many runs were announced, and left, since the group was told."""
    views = {str(queue.polled.queue.queue_id): queue for queue in overview.queues}
    if group[0].group is Group.KEY:
        new, gone = outage.counters(overview)
    else:
        seen = [views[incident.subject] for incident in group if incident.subject in views]
        new, gone = sum(view.new for view in seen), sum(view.gone for view in seen)
    return new - sum(incident.new for incident in group), gone - sum(incident.gone for incident in group)


def _name(what: str, group: Sequence[Incident]) -> str:
    """The same for the same trouble, also where the process ended between telling and remembering."""
    each = sorted(f"{incident.subject}@{incident.since.isoformat()}" for incident in group)
    return f"{what}/{group[0].group}/{' '.join(each)}"


def _dumps(incidents: Iterable[Incident]) -> str:
    return json.dumps(
        [
            {
                "group": incident.group,
                "subject": incident.subject,
                "name": incident.name,
                "error": incident.error if incident.group is Group.PART else "",
                "since": incident.since.isoformat(),
                "ended_at": incident.ended_at and incident.ended_at.isoformat(),
            }
            for incident in incidents
        ]
    )


def _loads(text: str | None) -> tuple[Incident, ...]:
    """The counters begin at zero again, as those of the loops do."""
    return tuple(
        Incident(
            group=Group(each["group"]),
            subject=each["subject"],
            name=each["name"],
            error=each.get("error", ""),
            since=datetime.fromisoformat(each["since"]),
            ended_at=each["ended_at"] and datetime.fromisoformat(each["ended_at"]),
        )
        for each in json.loads(text or "[]")
    )
