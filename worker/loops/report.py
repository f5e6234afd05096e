"""Reports the worker's own incidents to the operators and the log: once when they begin, once when they end."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid5

import structlog

from worker.core.message import Message
from worker.core.model import Kind
from worker.core.owed import EVERYWHERE, Delivery
from worker.core.plan import NAMESPACE
from worker.core.ports import DeliveryError, Limits, Outcome, RefusedError
from worker.core.status.process import Area, Reason

if TYPE_CHECKING:
    from worker.core.owed import Pause
    from worker.core.ports import Clock, Incidents, Notifier, StoreError
    from worker.core.roles import Notes, Outbox

log = structlog.get_logger(__name__)

MOST_A_DAY = 10
"""So many troubles are told in 24 hours, and as many ends of troubles; what is left out is in the log."""

_LAST = f"(These are {MOST_A_DAY} troubles in a day: others stand in the log, and are told tomorrow if they last.)"

REPORT_WINDOW = timedelta(days=1)
BEGUN, ENDED = "ops_told", "ops_ended"
"""Under these names the store remembers when something was told, so that a restart does not begin to count afresh."""


class Ops:
    """Owes messages to the operators' channel; says nothing where there is none."""

    def __init__(
        self, *, store: Outbox, notes: Notes, clock: Clock, channel: str | None, notifier: Notifier | None = None
    ) -> None:
        """`channel` is None where the operators want no messages; `notifier` posts what cannot be owed."""
        self._notifier = notifier
        self._everywhere = (notifier.limits if notifier else Limits()).name
        self._store = store
        self._notes = notes
        self._clock = clock
        self._channel = channel
        self._lock = threading.Lock()
        self._left_out: set[str] = set()

    def held(self, pause: Pause, error: str) -> bool:
        """A destination cannot be posted to; as `tell`."""
        where = self._where(pause)
        remedy = "Nothing is lost: what is owed there is kept and sent when it works again."
        return self.tell(f"Posting to {where} fails: {error}. {remedy}", name=f"held/{pause.channel}/{pause.since}")

    def works_again(self, pause: Pause) -> None:
        """A destination can be posted to again."""
        where = self._where(pause)
        text = f"Posting to {where} works again. It failed since {pause.since:%Y-%m-%d %H:%M} UTC ({pause.reason})."
        self.tell(text, name=f"works/{pause.channel}/{pause.since}", ending=True)

    def dead(self, delivery: Delivery) -> None:
        """A delivery was given up."""
        text = (
            f"A notice ({delivery.kind}) for {delivery.channel} could not be delivered: {delivery.last_error}. "
            f"When the reason is mended, run `review-notifier retry {delivery.key}`."
        )
        if delivery.kind is not Kind.OPS:
            self.tell(text, name=f"dead/{delivery.key}/{delivery.attempts}")

    def tell(self, text: str, *, name: str, ending: bool = False) -> bool:
        """Owe one message; `name` identifies the trouble, or its `ending`, so that it is told once.

        False where enough was told today: what lasts is worth telling again. Raises StoreError.
        """
        if self._channel is None:
            return True
        with self._lock:
            now = self._clock.now()
            kept = ENDED if ending else BEGUN
            told = self._told(kept, now)
            if len(told) >= MOST_A_DAY:
                self._leave_out(text, name, len(told))
                return False
            last = f" {_LAST}" if not ending and len(told) + 1 == MOST_A_DAY else ""
            if self._owe(self._channel, text + last, name, now):
                self._notes.remember(kept, json.dumps([at.isoformat() for at in (*told, now)]))
            self._left_out.clear()
            return True

    def announce_at_once(self, text: str, name: str) -> bool:
        """Post one message past the outbox, which cannot be written; whether it is done with."""
        if self._channel is None or self._notifier is None:
            return True
        key = uuid5(NAMESPACE, f"ops/{name}")
        message = Message(key=key, kind=Kind.OPS, channel=self._channel, as_of=self._clock.now(), text=text)
        try:
            self._notifier.send(message)
        except DeliveryError as error:
            log.warning("ops_report_failed", error=str(error), text=text)
            # Where it may have arrived, it is not repeated: nobody can look it up later.
            return error.outcome is Outcome.UNKNOWN
        return True

    def _where(self, pause: Pause) -> str:
        return self._everywhere if pause.channel == EVERYWHERE else pause.channel

    def _leave_out(self, text: str, name: str, told: int) -> None:
        """Say so once, however often it is tried."""
        if name not in self._left_out:
            log.warning("ops_report_left_out", text=text, told=told)
        self._left_out.add(name)

    def _owe(self, channel: str, text: str, name: str, now: datetime) -> bool:
        key = uuid5(NAMESPACE, f"ops/{name}")
        return self._store.owe(Delivery(key=key, kind=Kind.OPS, channel=channel, created_at=now, due_at=now, text=text))

    def _told(self, kept: str, now: datetime) -> list[datetime]:
        """When something was told in the last day; a time ahead of a clock that was set back counts no longer."""
        times = [datetime.fromisoformat(at) for at in json.loads(self._notes.recall(kept) or "[]")]
        return [at for at in times if now - REPORT_WINDOW < at <= now]


REFUSES = "database_refuses"
"""The kind of the incident that lasts while the database denies a loop what it needs, such as by a privilege."""

FIX = "`review-notifier check` lists all that is missing; nothing is lost meanwhile, and the service goes on by itself"


class Complaint:
    """One line when the first of its users fails, one when the last of them works again. Thread-safe."""

    def __init__(self, incidents: Incidents | None = None) -> None:
        """All is well. What waiting does not end is announced to `incidents`."""
        self._incidents = incidents
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._refused: set[str] = set()

    def failed(self, who: str, error: StoreError) -> None:
        """The database has failed a loop, or the poll of a queue."""
        with self._lock:
            if not self._failing:
                log.error("store_failing", loop=who, error=str(error))
            self._failing.add(who)
            if isinstance(error, RefusedError):
                # The words of the first: each loop may be denied something else.
                if self._incidents and not self._refused:
                    self._incidents.begin(REFUSES, Area.DATABASE, str(error), FIX)
                self._refused.add(who)

    def worked(self, who: str) -> None:
        """It has not, this time; or nobody asks it for `who` any more."""
        with self._lock:
            self._refused.discard(who)
            if self._incidents and not self._refused:
                self._incidents.end(REFUSES)
            if who in self._failing:
                self._failing.remove(who)
                if not self._failing:
                    log.info("store_recovered")


@dataclass
class Board:
    """The Incidents of one process. Thread-safe, and without the database."""

    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _standing: dict[tuple[str, str], Reason] = field(default_factory=dict)
    _over: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, kind: str, area: Area, text: str, fix: str, *, subject: str = "") -> None:
        """See `Incidents.begin`."""
        key = (kind, subject)
        with self._lock:
            former = self._standing.get(key)
            since = former.since if former else self.clock.now()
            self._standing[key] = Reason(kind, area, text, fix, subject, since)
            self._over.discard(key)
        if former is None:
            log.error("incident_began", kind=kind, subject=subject, text=text, remedy=fix)

    def end(self, kind: str, *, subject: str = "") -> None:
        """See `Incidents.end`."""
        key = (kind, subject)
        with self._lock:
            former = self._standing.pop(key, None)
            self._over.add(key)
        if former is not None:
            log.info("incident_ended", kind=kind, subject=subject, text=former.text, since=former.since)

    @property
    def standing(self) -> tuple[Reason, ...]:
        """Those that have begun and not ended, the oldest first."""
        with self._lock:
            return tuple(self._standing.values())

    @property
    def over(self) -> frozenset[tuple[str, str]]:
        """Kind and subject of those that are known not to hold, since the start of the process."""
        with self._lock:
            return frozenset(self._over)
