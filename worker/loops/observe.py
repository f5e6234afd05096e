"""Observes the state of the worker, and reports incidents that begin and that are over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from worker.core import incident_texts, incidents
from worker.core.cooldown import Cooldown
from worker.core.incidents import Group, Incident, report
from worker.core.leases import Task
from worker.core.message import EXPIRES_WITHIN
from worker.core.model import Polled
from worker.core.overview import PLAIN, Asked, Overview, QueueView
from worker.core.ports import StoreError
from worker.core.status.reasons import reasons
from worker.loops.assignments import ALONE
from worker.loops.incidents import Board

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from worker.core.model import Id, Queue, QueueTotals
    from worker.core.overview import Advice, ApiInUse
    from worker.core.owed import Backlog, Pause
    from worker.core.ports import Assignments, Clock
    from worker.core.store_roles import Channels, Notes, Polls
    from worker.loops.incidents import Ops
    from worker.loops.poll import Known, Seen
    from worker.loops.roster import Roster
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SET = timedelta(seconds=5)
"""A wall clock that differs from the monotonic one by more than this, since the last look, was set."""

COUNT_EVERY = timedelta(seconds=60)
"""The time between two counts of a queue's runs in the database: there may be hundreds of queues."""


class Look:
    """Makes an Overview. One thread at a time."""

    def __init__(  # noqa: PLR0913  (the parts that it looks at, all by name)
        self,
        *,
        store: Polls,
        channels: Channels,
        clock: Clock,
        poll: Known,
        roster: Roster,
        rules: RulesOf,
        api: Callable[[], ApiInUse | None] = lambda: None,
        counting: bool = False,
        assignments: Assignments = ALONE,
        board: Board | None = None,
        asked: Callable[[], Asked] = Asked,
        advice: Advice = PLAIN,
    ) -> None:
        """`rules` gives the rules of a queue, and for None the default ones.

        `api` gives the source's listing in use; `counting` says whether each queue's runs are counted, too.
        `assignments` says which queues are this worker's; the polls of the others are read from the database. `board`
        has the problems that parts of the worker announced, `asked` the last answer of the notifier, `advice` the names
        of services and settings.
        """
        self._store = store
        self._channels = channels
        self._clock = clock
        self._poll = poll
        self._roster = roster
        self._rules = rules
        self._api = api
        self._counting = counting
        self._assignments = assignments
        self._board = board or Board(clock)
        self._asked = asked
        self._advice = advice
        self.started_at = clock.now()
        """The start of this process, by the wall clock as it is set now."""
        self._noted: dict[Id, Polled] = {}
        self._counted_again = Cooldown()
        self._offset = self._measure()
        self._standings: dict[Id, QueueTotals] = {}
        self._counted: dict[Id, object] = {}
        """The state of each queue's polls when it was counted."""
        self._pauses: Sequence[Pause] = ()
        self._backlog: Sequence[Backlog] = ()

    def __call__(self) -> Overview:
        """Look now. Where the database does not answer, its last answers are used, and its error is shown."""
        error, clock_set = self._ask_store(), self._clock_set()
        self.started_at += clock_set
        return self.again(
            Overview(
                taken_at=self._clock.now(),
                store_error=error,
                pauses=self._pauses,
                backlog=self._backlog,
                api=self._api(),
                clock_set=clock_set,
                started_at=self.started_at,
                interval=self._rules(None).settings.poll_interval,
                advice=self._advice,
            )
        )

    def again(self, overview: Overview) -> Overview:
        """The same overview with the newest state of the loops; the database is not asked. From any thread."""
        return replace(
            overview,
            taken_at=self._clock.now(),
            queues=self.queues(),
            unknown=self._roster.unknown,
            unlisted_since=self._roster.failing_since,
            unlisted=self._roster.error,
            announced=self._board.standing,
            over=self._board.over,
            asked=self._asked(),
        )

    def _clock_set(self) -> timedelta:
        before, self._offset = self._offset, self._measure()
        return _by(self._offset - before)

    def _measure(self) -> timedelta:
        return self._clock.now() - _EPOCH - timedelta(seconds=self._clock.monotonic())

    def _ask_store(self) -> str:
        try:
            self._pauses = self._channels.pauses()
            self._backlog = self._channels.backlog()
            if self._assignments.is_shared:
                self._noted = {polled.queue.queue_id: polled for polled in self._store.polls()}
            if self._counting:
                self._count(self._clock.now())
        except StoreError as error:
            log.debug("store_not_looked_at", error=str(error))
            return str(error)
        return ""

    def _count(self, now: datetime) -> None:
        """Count every queue now and then, and a queue whose poll has changed something at once."""
        states = {each.polled.queue.queue_id: _state(each) for each in self._poll.seen()}
        queues = self._roster.queues
        ours = self._assignments.among(queues)
        is_time = self._counted_again.is_over(self._clock.monotonic())
        counted = {queue_id: self._standings[queue_id] for queue_id in ours & self._standings.keys()}
        for queue_id in ours:
            state = states.get(queue_id)
            if is_time or self._counted.get(queue_id) != state or self._is_first_stale(queues[queue_id], now):
                counted |= self._counted_now(queues[queue_id], now, is_polled=state is not None)
                self._counted[queue_id] = state
        self._standings = counted
        if is_time:
            self._counted_again = Cooldown.of(COUNT_EVERY, self._clock.monotonic())

    def _is_first_stale(self, queue: Queue, now: datetime) -> bool:
        """Whether a run has become stale since its queue was counted, and none was."""
        standing = self._standings.get(queue.queue_id)
        if standing is None or standing.stale or standing.oldest_since is None:
            return False
        stale_before = self._rules(queue).stale_before(now)
        return stale_before is not None and standing.oldest_since <= stale_before

    def _counted_now(self, queue: Queue, now: datetime, *, is_polled: bool) -> dict[Id, QueueTotals]:
        standing = self._store.standing(queue.queue_id, self._rules(queue).stale_before(now), now + EXPIRES_WITHIN)
        # Before the first poll of a new queue nothing is known: that is no figure, not 0.
        return {queue.queue_id: standing} if is_polled or standing.waiting else {}

    def queues(self) -> tuple[QueueView, ...]:
        """The views of all queues: the newest state of the loops, and the last counts. From any thread."""
        known = {seen.polled.queue.queue_id: seen for seen in self._poll.seen()}
        queues = self._roster.queues
        ours = self._assignments.among(queues)
        # Asked once: there may be very many queues.
        began_at = _EPOCH + self._measure()
        return tuple(
            self._view(queue, known.get(queue_id), began_at) if queue_id in ours else self._view_elsewhere(queue)
            for queue_id, queue in queues.items()
        )

    def _view_elsewhere(self, queue: Queue) -> QueueView:
        """The view of a queue that another worker polls, as that one noted it a while ago."""
        polled = self._noted.get(queue.queue_id, Polled(queue))
        rules = self._rules(polled.queue)
        interval, channel = rules.settings.poll_interval, rules.policy.destination.place
        return QueueView(polled, interval, trouble=polled.trouble, here=False, channel=channel)

    def _view(self, queue: Queue, seen: Seen | None, began_at: datetime) -> QueueView:
        polled = self._noted.get(queue.queue_id, Polled(queue)) if seen is None else _on_this_clock(seen, began_at)
        if polled.completed_at is None and queue.queue_id in self._noted:
            # The queue was just taken over from another worker: it is not late before its first poll here.
            polled = replace(polled, completed_at=self._noted[queue.queue_id].completed_at)
        rules, standing = self._rules(polled.queue), self._standings.get(queue.queue_id)
        interval, channel = rules.settings.poll_interval, rules.policy.destination.place
        if seen is None:
            waiting = standing.waiting if standing else 0
            return QueueView(polled, interval, waiting=waiting, standing=standing, channel=channel)
        return QueueView(
            polled,
            interval,
            trouble=seen.polled.trouble,
            waiting=max(seen.waiting - (standing.left_out if standing else 0), 0),
            unusable=seen.unusable,
            new=seen.new,
            gone=seen.gone,
            held_until=seen.held_until,
            standing=standing,
            channel=channel,
        )


def _on_this_clock(seen: Seen, began_at: datetime) -> Polled:
    """The state of a queue's polls, where the wall clock as it is set now says `began_at` for the monotonic one's 0."""
    polled = seen.polled
    if polled.completed_at is None:
        return polled
    moved = _by(began_at + timedelta(seconds=seen.completed) - polled.completed_at)
    return replace(polled, completed_at=polled.completed_at + moved) if moved else polled


def _state(seen: Seen) -> object:
    """A value that changes whenever a poll writes anything; None before the first complete one."""
    return seen.decisions if seen.polled.completed_at else None


def _by(moved: timedelta) -> timedelta:
    """The time by which the clock was set; zero for a small drift."""
    # Whole seconds, so that the next looks find the same value.
    return timedelta(seconds=round(moved.total_seconds())) if abs(moved) > SET else timedelta(0)


# The name is that of version 0.1: another one would lose the ends of incidents that an old database knows of.
_REPORTED = "incidents_told"
"""The name under which the store remembers reported incidents, so that their end is reported after a restart, too."""

SUNSET_DAYS = (60, 14, 3, 0)
"""Days before the end of the listing in use at which people are reminded of it."""

_DATABASE_PATIENCE = timedelta(seconds=25)
"""The time for which the database may fail before that is announced: another program's lock may last as long."""


class Observer:
    """Looks at the worker, and reports what has changed for better or worse. One thread at a time."""

    def __init__(
        self, *, look: Callable[[], Overview], store: Polls, notes: Notes, ops: Ops, assignments: Assignments = ALONE
    ) -> None:
        """`look` gives the overview. Of several workers the one that has the task in its `assignments` reports."""
        self._assignments = assignments
        self._look = look
        self._store = store
        self._notes = notes
        self._ops = ops
        self._reported: tuple[Incident, ...] | None = None
        self._sight = incidents.LastSeen()
        self._sunset: tuple[str, int] | None = None
        self._failing_since: datetime | None = None
        self._database_announced = False
        self.overview: Overview | None = None
        """The overview of the last look."""

    def __call__(self) -> Overview:
        """Look once, and report what has changed. Raises StoreError; the next call tries again."""
        overview = self.overview = self._look()
        self._sight = incidents.moved_by(self._sight, overview.clock_set)
        self._announce_database(overview)
        if overview.store_error:
            return overview
        if not self._assignments.has(Task.REPORTS):
            # Another worker reports now: should the task come back, what it wrote is read again.
            self._reported = None
            return overview
        if self._reported is None:
            self._reported = _loads(self._notes.recall(_REPORTED))
            self._sight = incidents.LastSeen(self._last_seen_at())
        before = self._reported
        self._reported = self._report_incidents(overview, before)
        # With those that ended just now: they explain a gap as well.
        self._report_outage(overview, (*before, *self._reported))
        self._report_sunset(overview)
        return overview

    def _announce_database(self, overview: Overview) -> None:
        """Report a failing database past its outbox, which cannot be written; its end goes the usual way."""
        failing = next((each for each in reasons(overview) if each.kind == "database_failing"), None)
        if failing is None:
            if self._database_announced and self._failing_since:
                began = self._failing_since
                text = f"The database works again. It had failed since {began:%Y-%m-%d %H:%M} UTC."
                self._ops.report(text, name=f"database works/{began}", ending=True)
            self._failing_since, self._database_announced = None, False
            return
        began = self._failing_since = self._failing_since or overview.taken_at
        if self._database_announced or not overview.taken_at - began >= _DATABASE_PATIENCE:
            return
        text = f"The database has failed since {began:%Y-%m-%d %H:%M} UTC: {failing.text}"
        self._database_announced = self._ops.announce_at_once(text, name=f"database/{began}")

    def _last_seen_at(self) -> datetime | None:
        """The time of the last complete poll of any queue before this start."""
        return max((polled.completed_at for polled in self._store.polls() if polled.completed_at), default=None)

    def _report_incidents(self, overview: Overview, before: Sequence[Incident]) -> tuple[Incident, ...]:
        reported = report(overview, before)
        # A report that was left out today has reached no one: the incident is as new at the next look.
        unheard = {
            incident.key
            for group in reported.begun
            if not self._ops.report_marked(incident_texts.begun(group, overview.advice), name=_name("begun", group))
            for incident in group
        }
        known = tuple(incident for incident in reported.known if incident.key not in unheard)
        for group in reported.ended:
            # With several workers, the counters of this one know only a part of what was found.
            found = None if self._assignments.is_shared else _found(group, overview)
            self._ops.report(
                incident_texts.ended(group, found, overview.advice), name=_name("ended", group), ending=True
            )
        if known != tuple(before):
            self._notes.remember(_REPORTED, _dumps(known))
        return known

    def _report_outage(self, overview: Overview, known: Iterable[Incident]) -> None:
        self._sight = incidents.seen_now(self._sight, overview, known)
        found = incidents.outage_to_report(self._sight, overview)
        if found is None:
            return
        log.warning("was_blind", since=found.since, until=found.until, new=found.new, gone=found.gone)
        text = incident_texts.outage(
            found.since, found.until, None if self._assignments.is_shared else (found.new, found.gone)
        )
        self._ops.report(text, name=f"outage/{found.since}", ending=True)
        self._sight = replace(self._sight, outage=None)

    def _report_sunset(self, overview: Overview) -> None:
        """Report that the listing in use ends: the nearer the end, the more often."""
        api = overview.api
        if api is None or api.sunset_at is None:
            return
        left = (api.sunset_at - overview.taken_at).days
        passed = min((days for days in SUNSET_DAYS if left <= days), default=None)
        if passed is None or self._sunset == (api.name, passed):
            return
        text = incident_texts.sunset(api.name, api.sunset_at, overview.taken_at, overview.advice)
        if self._ops.report(text, name=f"sunset/{api.name}/{api.sunset_at:%Y-%m-%d}/{passed}"):
            self._sunset = (api.name, passed)


def _found(group: Sequence[Incident], overview: Overview) -> tuple[int, int]:
    """The numbers of runs that were announced, and that left, since the group was reported."""
    views = {str(queue.polled.queue.queue_id): queue for queue in overview.queues}
    if group[0].group is Group.KEY:
        new, gone = incidents.counters(overview)
    else:
        seen = [views[incident.subject] for incident in group if incident.subject in views]
        new, gone = sum(view.new for view in seen), sum(view.gone for view in seen)
    return new - sum(incident.new for incident in group), gone - sum(incident.gone for incident in group)


def _name(what: str, group: Sequence[Incident]) -> str:
    """The name of a report about a group."""
    # Made of the incidents alone: after a crash between owing and remembering, the same report has the same name.
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
    # Counters are not stored: those of the loops begin at zero after a restart, too.
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
