"""Writes down, for `status` in another process, that this one works, and why it is not well."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from worker.core.status.process import Process
from worker.core.status.reasons import only_here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.overview import Overview
    from worker.core.roles import Processes
    from worker.core.status.process import Reason


class Presence:
    """The row of this process in the database. Thread-safe; every method may raise StoreError."""

    def __init__(self, store: Processes, process_id: UUID, host: str, pid: int, version: str) -> None:
        """Nothing is written before it begins."""
        self._store = store
        self._who = (host, pid, version)
        self._process_id = process_id
        self._process: Process | None = None
        self._written: Process | None = None
        self._lock = threading.Lock()

    def begin(self, command: str, now: datetime) -> None:
        """Write that it works from now on."""
        self._process = Process(self._process_id, command, *self._who, started_at=now)
        self._write()

    def show(self, overview: Overview, more: Sequence[Reason] = ()) -> None:
        """Write why it is not well, as an overview shows it, with `more` reasons; nothing where that is written."""
        self._write(reasons=(*only_here(overview), *more))

    def passed(self, overview: Overview, now: datetime) -> None:
        """Write how a single pass has ended: nobody is at work any more."""
        self._write(reasons=only_here(replace(overview, started_at=None)), ended_at=now)

    def end(self, now: datetime) -> None:
        """Write that it has stopped by itself."""
        self._write(ended_at=now)

    def _write(self, **news: Any) -> None:  # noqa: ANN401  the fields of a Process
        with self._lock:
            if self._process is None:
                return
            self._process = replace(self._process, **news)
            if self._process != self._written:
                self._store.note(self._process)
                self._written = self._process
