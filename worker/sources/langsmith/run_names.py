"""What the runs of `items` are called: one look-up for all queues, within a budget of its own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import structlog
from msgspec import Struct

from worker.core.cooldown import Cooldown
from worker.core.delivery import clamp_wish
from worker.core.model import Show, Trait
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import unlawful
from worker.sources.langsmith.rows import identity
from worker.sources.langsmith.wire import QueriedRow, UnlawfulError, envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from worker.core.model import Field, Id
    from worker.core.ports import Clock
    from worker.sources.langsmith.http import Http
    from worker.sources.langsmith.rows import Trace, Wanted

log = structlog.get_logger(__name__)

_PATH = "/api/v2/runs/query"
_WHAT = "looking up the names of runs"
NAMES_FIX = (
    "the key may not read runs in this workspace: give it the right to (runs:read), or set LANGSMITH_WORKSPACE_ID to "
    "the queue's workspace"
)
BATCH = 1000
"""Runs that one query may ask for."""

PER_SECOND = 1.0
"""Queries of runs have a limit of their own: 15 in 10 seconds, and fewer on some servers."""

_PATIENCE_SECONDS = 5.0
"""How long a poll waits for its turn."""

_DEADLINE_SECONDS = 10.0
"""How long one query may take."""

_PAUSES = {Trouble.THROTTLED: timedelta(seconds=10), Trouble.UNREACHABLE: timedelta(minutes=1)}
"""After what whatever was asked for would have met, where the server does not say how long to wait."""

REFUSED_PAUSE = timedelta(hours=1)
"""After a refusal, which may come of the project that was asked for."""

_MOST_REFUSALS = 3
"""So many projects that are refused one after the other, and the next will be, too: every poll would wait for one."""

MARGIN = timedelta(minutes=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

SELECTS: Mapping[Field, str] = {
    Show.NAME: "NAME",
    Show.TYPE: "RUN_TYPE",
    Show.TAGS: "TAGS",
    Show.ERROR: "ERROR",
    Show.INPUTS_PREVIEW: "INPUTS_PREVIEW",
    Show.OUTPUTS_PREVIEW: "OUTPUTS_PREVIEW",
    Show.THREAD: "THREAD_ID",
    Show.TOKENS: "TOTAL_TOKENS",
    Show.COST: "TOTAL_COST",
    Trait.NAME: "NAME",
    Trait.TYPE: "RUN_TYPE",
    Trait.TAGS: "TAGS",
    Trait.ERROR: "ERROR",
    Trait.FEEDBACK: "FEEDBACK_STATS",
}


class Lot(NamedTuple):
    """What can be asked for in one query: runs of one workspace, with the same fields.

    `project_id` is set where a project has to be asked for alone, because it was in a query that was refused.
    """

    tenant_id: UUID | None
    selects: tuple[str, ...]
    project_id: Id | None = None


class Sought(Struct):
    """A run that somebody waits for; `row` is what LangSmith said of it."""

    trace: Trace
    tenant_id: UUID | None
    selects: tuple[str, ...]
    is_done: bool = False
    row: QueriedRow | None = None


class Names:
    """Facts of runs by look-up. Whoever asks while another is being served goes along with the next query.

    Thread-safe.
    """

    def __init__(
        self,
        http: Http,
        *,
        clock: Clock,
        per_second: float = PER_SECOND,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Ask not more often than `per_second`, whatever is asked for; `wait` passes a number of seconds."""
        self._http = http
        self._clock = clock
        self._gap = timedelta(seconds=1 / per_second)
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._sought: list[list[Sought]] = []
        self._pace = Cooldown()
        self._pause = Cooldown()
        self._apart: dict[Id, Cooldown] = {}
        self._refusals = 0

    @property
    def waiting(self) -> int:
        """How many ask at present."""
        with self._lock:
            return len(self._sought)

    def close(self) -> None:
        """Wait no longer."""
        self._stopping.set()

    def of(self, traces: Mapping[Id, Trace], wanted: Wanted) -> dict[Id, QueriedRow]:
        """What LangSmith says of those that could be looked up now. Never raises."""
        try:
            return self._all(traces, wanted)
        except SourceError:
            return {}

    def ask(self, trace: Trace, wanted: Wanted) -> None:
        """Look one run up, to see whether that can be done. Raises SourceError."""
        self._all({trace.run_id: trace}, wanted)

    def _all(self, traces: Mapping[Id, Trace], wanted: Wanted) -> dict[Id, QueriedRow]:
        """What is known of each. Raises the last error where nothing could be had."""
        selects = tuple(sorted({SELECTS[shown] for shown in wanted.show if shown in SELECTS}))
        if not selects or not traces:
            return {}
        mine = {one: Sought(trace, wanted.tenant_id, selects) for one, trace in traces.items()}
        seeking = list(mine.values())
        with self._lock:
            # Seen by whoever has the turn, who asks for it along with the others.
            self._sought.append(seeking)
        try:
            error = self._serve(seeking)
        finally:
            with self._lock:
                self._sought = [other for other in self._sought if other is not seeking]
        if error is not None and not any(sought.is_done for sought in seeking):
            raise error
        return {one: sought.row for one, sought in mine.items() if sought.row is not None}

    def _serve(self, seeking: Sequence[Sought]) -> SourceError | None:
        """Ask until all is known, it takes too long, or it is of no use; the last error, if any."""
        until = self._clock.monotonic() + _PATIENCE_SECONDS
        error: SourceError | None = None
        while (left := until - self._clock.monotonic()) > 0 and not self._stopping.is_set():
            # No longer than the patience: a poll must not hang on names.
            if not self._turn.acquire(timeout=left):
                break
            try:
                due = [self._lot(sought) for sought in seeking if not sought.is_done]
                # None is due where another thread has asked for all of ours meanwhile.
                lot = min(due, key=self._due, default=None)
                if lot is None or not self._wait_for(lot, until):
                    break
                error = self._query(lot, seeking) or error
            finally:
                self._turn.release()
        return error

    def _lot(self, sought: Sought) -> Lot:
        project = sought.trace.project_id
        return Lot(sought.tenant_id, sought.selects, project if project in self._apart else None)

    def _due(self, lot: Lot) -> Cooldown:
        held = Cooldown() if lot.project_id is None else self._apart[lot.project_id]
        return max(self._pace, self._pause, held)

    def _wait_for(self, lot: Lot, until: float) -> bool:
        """Wait until a lot may be asked for; False where that would take too long."""
        due = self._due(lot)
        # A wait that would end in vain only holds the turn up for others.
        if due.until >= until:
            return False
        self._wait(due.left(self._clock.monotonic()).total_seconds())
        return not self._stopping.is_set()

    def _query(self, lot: Lot, mine: Sequence[Sought]) -> SourceError | None:
        """One query for everybody who waits for something of a lot, the one whose turn it is first."""
        with self._lock:
            waiting = [*mine, *(sought for each in self._sought if each is not mine for sought in each)]
        batch = [sought for sought in waiting if not sought.is_done and self._lot(sought) == lot][:BATCH]
        try:
            rows = self._ask(lot, [sought.trace for sought in batch])
        except SourceError as error:
            self._failed(error, {sought.trace.project_id for sought in batch})
            return error
        finally:
            # Also after a failure: a refused query counts against the limit too.
            self._pace = Cooldown.of(self._gap, self._clock.monotonic())
        self._pause = Cooldown()
        self._refusals = 0
        for sought in batch:
            self._apart.pop(sought.trace.project_id, None)
            sought.row, sought.is_done = rows.get(sought.trace.run_id), True
        return None

    def _ask(self, lot: Lot, traces: Sequence[Trace]) -> Mapping[Id, QueriedRow]:
        began = [at.began_at for at in traces]
        # Without a start the server looks back a day, and older runs are missing.
        since = min((at for at in began if at is not None), default=LONG_AGO) if None not in began else LONG_AGO
        ids = dict.fromkeys(str(at.run_id) for at in traces)
        body = {
            "ids": list(ids),
            "project_ids": sorted({str(at.project_id) for at in traces}),
            "min_start_time": (since - MARGIN).isoformat(),
            "page_size": len(ids),
            "selects": ["ID", *lot.selects],
        }
        with self._http.post(_PATH, body, what=_WHAT, tenant_id=lot.tenant_id, seconds=_DEADLINE_SECONDS) as answer:
            try:
                found = envelope(answer.body, QueriedRow)[0].rows
            except UnlawfulError as error:
                raise unlawful(_WHAT, str(error)) from None
        return {run_id: row for row in found if (run_id := identity(row.id)) is not None}

    def _failed(self, error: SourceError, projects: set[Id]) -> None:
        """Leave the server alone for a while, or only a project that it refuses; say so where it is news.

        One project that is gone makes LangSmith refuse a whole query, so the next time each is asked for alone. Where
        several of these are refused in turn, the key may read none, and polls wait for no more of them.
        """
        now = self._clock.monotonic()
        is_news = self._pause == Cooldown() and self._apart.keys().isdisjoint(projects)
        if error.trouble in _PAUSES:
            self._pause = Cooldown.of(clamp_wish(error.retry_after) or _PAUSES[error.trouble], now)
        elif len(projects) == 1:
            self._apart |= dict.fromkeys(projects, Cooldown.of(REFUSED_PAUSE, now))
            self._refusals += 1
            if self._refusals >= _MOST_REFUSALS:
                self._pause = Cooldown.of(_PAUSES[Trouble.UNREACHABLE], now)
        else:
            # Those that wait apart already keep their longer wait.
            self._apart = dict.fromkeys(projects, Cooldown(now)) | self._apart
        if is_news and not self._stopping.is_set():
            log.info("run_names_unknown", error=explained(error))


def explained(error: SourceError) -> str:
    """What happened, with the fix for queries of runs: other rights are needed than for queues."""
    if error.trouble is not Trouble.REFUSED:
        return str(error)
    return f"{str(error).partition(';')[0]}; {NAMES_FIX}"
