"""Reports the worker's own incidents to the operators and the log: once when they begin, once when they end."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid5

import structlog

from worker.core.incident_texts import message_named
from worker.core.message import Message
from worker.core.model import Kind
from worker.core.overview import Area, Reason
from worker.core.owed import EVERYWHERE, Delivery
from worker.core.plan import NAMESPACE
from worker.core.ports import DeliveryError, Limits, Outcome, RefusedError
from worker.core.text import marked_place, unmarked

if TYPE_CHECKING:
    from worker.core.owed import Destination, Pause
    from worker.core.ports import Clock, Incidents, Notifier, StoreError
    from worker.core.store_roles import Notes, Outbox

log = structlog.get_logger(__name__)

MOST_A_DAY = 10
"""The number of incidents that are reported in 24 hours, and of ends of incidents; others are in the log alone."""

_LAST = (
    f"(This is incident {MOST_A_DAY} within a day: further ones are only in the log, and are reported tomorrow if they "
    "last.)"
)

_KEPT = (
    "Nothing is lost: what is due there is kept and sent when it works again; `review-notifier deliveries` lists it."
)

REPORT_WINDOW = timedelta(days=1)
# The first name is that of version 0.1: another one would forget what an old database has counted.
BEGUN, ENDED = "ops_told", "ops_ended"
"""The names under which the store remembers the times of reports, so that a restart does not start a new count."""


class Ops:
    """Owes messages to the operators' channel; does nothing where there is none."""

    def __init__(
        self,
        *,
        store: Outbox,
        notes: Notes,
        clock: Clock,
        channel: Destination | None,
        notifier: Notifier | None = None,
        host: str = "",
    ) -> None:
        """`channel` is None where the operators want no messages; `notifier` posts when the outbox cannot be used.

        Reports of what begins name the `host`.
        """
        self._host = f" Host: {unmarked(host)}." if host else ""
        self._notifier = notifier
        self._everywhere = (notifier.limits if notifier else Limits()).name
        self._store = store
        self._notes = notes
        self._clock = clock
        self._channel = channel
        self._lock = threading.Lock()
        self._left_out: set[str] = set()

    def held(self, pause: Pause, error: str, message: str = "") -> bool:
        """Report that a destination cannot be posted to, not even a `message`; returns and raises as `report` does."""
        waits = f" {_capital(unmarked(message))} waits for it." if message else ""
        text = f"Posting to {self._where(pause)} fails: {unmarked(error)}.{waits} {_KEPT}"
        return self.report_marked(text, name=f"held/{pause.destination.place}/{pause.since}")

    def works_again(self, pause: Pause) -> None:
        """Report that a destination can be posted to again."""
        failed = f"It had failed since {pause.since:%Y-%m-%d %H:%M} UTC ({unmarked(pause.reason)})."
        text = f"Posting to {self._where(pause)} works again. {failed}"
        self.report_marked(text, name=f"works/{pause.destination.place}/{pause.since}", ending=True)

    def dead(self, delivery: Delivery, runs: int) -> None:
        """Report that a delivery, of so many runs, was given up."""
        what = _capital(unmarked(delivery_named(delivery, runs)))
        failed = f"{what} for {marked_place(delivery.destination.place)} could not be delivered"
        retry = f"When the cause is fixed, run `review-notifier retry {delivery.key}`."
        text = f"{failed}: {unmarked(delivery.last_error)}. {retry}"
        # A report about a report that cannot be delivered could not be delivered either.
        if delivery.kind is not Kind.OPS:
            self.report_marked(text, name=f"dead/{delivery.key}/{delivery.attempts}")

    def report(self, text: str, *, name: str, ending: bool = False) -> bool:
        """Owe one message; `name` identifies the incident, or its `ending`, so that it is reported once.

        False where there were enough reports today: an incident that lasts should be reported later. Raises StoreError.
        """
        return self.report_marked(unmarked(text), name=name, ending=ending)

    def report_marked(self, text: str, *, name: str, ending: bool = False) -> bool:
        """Report a text that has marks of ours, and none from outside."""
        if self._channel is None:
            return True
        with self._lock:
            now = self._clock.now()
            kept = ENDED if ending else BEGUN
            reported = self._reported(kept, now)
            if len(reported) >= MOST_A_DAY:
                self._leave_out(text, name, len(reported))
                return False
            last = f" {_LAST}" if not ending and len(reported) + 1 == MOST_A_DAY else ""
            # Counted only where it was not owed already: a repetition must not use up the day's reports.
            host = "" if ending else self._host
            if self._owe(self._channel, f"{text}{host}{last}", name, now):
                self._notes.remember(kept, json.dumps([at.isoformat() for at in (*reported, now)]))
            self._left_out.clear()
            return True

    def announce_at_once(self, text: str, name: str) -> bool:
        """Post one message past the outbox, which cannot be written; returns whether nothing is left to do."""
        if self._channel is None or self._notifier is None:
            return True
        key = uuid5(NAMESPACE, f"ops/{name}")
        text = f"{unmarked(text)}{self._host}"
        message = Message(key=key, kind=Kind.OPS, destination=self._channel, as_of=self._clock.now(), text=text)
        try:
            self._notifier.send(message)
        except DeliveryError as error:
            log.warning("ops_report_failed", error=str(error), text=text)
            # It may have arrived, and cannot be looked up later: better not at all than every few seconds.
            return error.outcome is Outcome.UNKNOWN
        return True

    def _where(self, pause: Pause) -> str:
        return self._everywhere if pause.destination == EVERYWHERE else marked_place(pause.destination.place)

    def _leave_out(self, text: str, name: str, reported: int) -> None:
        # Only one line for each, however often it is tried.
        if name not in self._left_out:
            log.warning("ops_report_left_out", text=unmarked(text), reported=reported)
        self._left_out.add(name)

    def _owe(self, destination: Destination, text: str, name: str, now: datetime) -> bool:
        key = uuid5(NAMESPACE, f"ops/{name}")
        owed = Delivery(key=key, kind=Kind.OPS, destination=destination, created_at=now, due_at=now, text=text)
        return self._store.owe(owed)

    def _reported(self, kept: str, now: datetime) -> list[datetime]:
        """The times of the reports of the last day."""
        times = [datetime.fromisoformat(at) for at in json.loads(self._notes.recall(kept) or "[]")]
        # Times in the future come from before a clock was set back: they would keep reports out for too long.
        return [at for at in times if now - REPORT_WINDOW < at <= now]


def delivery_named(delivery: Delivery, runs: int) -> str:
    """What a delivery of so many runs is called."""
    return message_named(delivery.kind, runs, delivery.queue.name if delivery.queue else "")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


REFUSES = "database_refuses"
"""The kind of the incident that lasts while the database denies a loop what it needs, such as a privilege."""

FIX = "`review-notifier check` lists all that is missing; nothing is lost meanwhile, and the service goes on by itself"


class Complaint:
    """Logs one line when the database fails the first loop, and one when it works for all again. Thread-safe."""

    def __init__(self, incidents: Incidents | None = None) -> None:
        """Begin with nothing failing. A failure that does not end by waiting is announced to `incidents`."""
        self._incidents = incidents
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._refused: set[str] = set()

    def failed(self, who: str, error: StoreError) -> None:
        """Take note that the database failed `who`, a loop or the poll of a queue."""
        with self._lock:
            if not self._failing:
                log.error("store_failing", loop=who, error=str(error))
            self._failing.add(who)
            if isinstance(error, RefusedError):
                # The words of the first one are kept: each loop may be denied something else, and they would alternate.
                if self._incidents and not self._refused:
                    self._incidents.begin(REFUSES, Area.DATABASE, str(error), FIX)
                self._refused.add(who)

    def worked(self, who: str) -> None:
        """Take note that the database works for `who`, or is not used by it any more."""
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
    """The Incidents of one process, kept in memory. Thread-safe."""

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
            log.error("incident_began", kind=kind, subject=subject, text=text, fix=fix)

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
        """The problems that have begun and not ended, the oldest first."""
        with self._lock:
            return tuple(self._standing.values())

    @property
    def over(self) -> frozenset[tuple[str, str]]:
        """The kind and subject of the problems that are known not to exist, since the start of the process."""
        with self._lock:
            return frozenset(self._over)
