"""Forgets what is old, notes that this process lives, and notices a loop that hangs."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.structs import replace

from worker.core.cooldown import Cooldown
from worker.core.history import HISTORY_KEPT
from worker.core.overview import Process
from worker.core.status.reasons import only_here, reasons

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.overview import LinkState, Overview, Reason
    from worker.core.ports import Clock
    from worker.core.store_roles import History, Processes, Upkeep

log = structlog.get_logger(__name__)

A_DAY = timedelta(days=1)


class Housekeep:
    """Prunes settled deliveries, closed reviews and the oldest history. To be called each hour or so."""

    def __init__(
        self, *, store: Upkeep, history: History, clock: Clock, keep_deliveries: timedelta, keep_reviews: timedelta
    ) -> None:
        """Keep settled deliveries, and closed reviews, for these times."""
        self._store = store
        self._history = history
        self._newer = 0
        self._clock = clock
        self._keep_deliveries = keep_deliveries
        self._keep_reviews = keep_reviews

    def __call__(self) -> int:
        """Delete rows that are too old; returns their number. Raises StoreError: the next call goes on from there."""
        now = self._clock.now()
        pruned = self._store.prune(
            settled_before=now - self._keep_deliveries,
            closed_before=now - self._keep_reviews,
            hours_before=now - HISTORY_KEPT,
        )
        # After the deletions: it gives back the space that they freed.
        self._store.maintain()
        self._say_newer(self._history.newer_days())
        if pruned:
            log.info("pruned", rows=pruned)
        return pruned

    def _say_newer(self, days: int) -> None:
        """One line where a newer program wrote days of the history, and none before their number changes."""
        if days and days != self._newer:
            log.warning("history_is_newer", days=days, fix="install the version that wrote it, or a later one")
        self._newer = days


class AllWell:
    """Says once a day in the log that all is well, so that a quiet log is no dead one."""

    def __init__(self, clock: Clock) -> None:
        """The first line comes a day after the start."""
        self._clock = clock
        self._wait = Cooldown.of(A_DAY, clock.monotonic())
        self._posted = 0

    def __call__(self, overview: Overview, posted: int) -> None:
        """Take a look; `posted` counts the messages since the start."""
        now = self._clock.monotonic()
        # The wait is not begun again while something is wrong: the line comes as soon as all is well.
        if not self._wait.is_over(now) or reasons(overview):
            return
        self._wait = Cooldown.of(A_DAY, now)
        messages, self._posted = posted - self._posted, posted
        log.info("all_well", queues=len(overview.queues), waiting=overview.waiting, messages=messages)


class Pulse:
    """The last sign of life of each loop. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """Begin without any loop."""
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}

    def expect(self, loop: str, limit: timedelta) -> None:
        """Expect a sign of life of `loop` at least once in each `limit` from now on."""
        with self._lock:
            # As if it had just made progress: a loop that never does hangs, too.
            self._limits[loop] = limit.total_seconds()
            self._beats[loop] = self._clock.monotonic()

    def beat(self, loop: str) -> None:
        """Take note that `loop` has made progress."""
        with self._lock:
            self._beats[loop] = self._clock.monotonic()

    def hanging(self) -> tuple[str, ...]:
        """The names of the loops that give no sign of life any more."""
        now = self._clock.monotonic()
        with self._lock:
            return tuple(sorted(loop for loop, limit in self._limits.items() if now - self._beats[loop] > limit))


PONG_EVERY = timedelta(minutes=1)
"""The time between two signs of life of a link that are written."""


class Presence:
    """The row of this process in the database. Thread-safe; every method may raise StoreError."""

    def __init__(self, store: Processes, process_id: UUID, host: str, pid: int, version: str) -> None:
        """Write nothing yet: that is for `begin`."""
        self._store = store
        self._who = (host, pid, version)
        self._process_id = process_id
        self._process: Process | None = None
        self._written: Process | None = None
        self._lock = threading.Lock()

    def begin(self, command: str, now: datetime) -> None:
        """Write that the process works from now on."""
        self._process = Process(self._process_id, command, *self._who, started_at=now)
        self._write()

    def show(self, overview: Overview, more: Sequence[Reason] = (), link: LinkState | None = None) -> None:
        """Write the reasons of an overview, and `more`, why the worker is not well, unless they are written already.

        The same holds for its `link`, of which a sign of life is written once a minute.
        """
        self._write(reasons=(*only_here(overview), *more), link=self._lasting(link))

    def _lasting(self, link: LinkState | None) -> LinkState | None:
        """A link with its last sign of life as it was written, unless that is a minute old."""
        written = self._written.link if self._written is not None else None
        if link is None or link.pong_at is None or written is None or written.pong_at is None:
            return link
        is_late = link.pong_at - written.pong_at >= PONG_EVERY
        return link if is_late else replace(link, pong_at=written.pong_at)

    def passed(self, overview: Overview, now: datetime) -> None:
        """Write the end of a single pass, with the reasons that it found."""
        self._write(reasons=only_here(replace(overview, started_at=None)), ended_at=now)

    def end(self, now: datetime) -> None:
        """Write that the process has stopped by itself."""
        self._write(ended_at=now)

    def _write(self, **news: Any) -> None:  # noqa: ANN401  the fields of a Process
        with self._lock:
            if self._process is None:
                return
            self._process = replace(self._process, **news)
            if self._process != self._written:
                # Within the lock: two threads could otherwise write in the wrong order, and the older state would stay.
                self._store.note(self._process)
                self._written = self._process
