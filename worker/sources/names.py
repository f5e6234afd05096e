"""What the runs of `items` are called: looked up in batches, kept while they wait, left out where that fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from worker.core.delivery import clamp_wish
from worker.core.model import Show
from worker.core.ports import SourceError, Trouble
from worker.sources.errors import unlawful
from worker.sources.rows import facts
from worker.sources.values import identity
from worker.sources.wire import QueriedRow, UnlawfulError, envelope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from uuid import UUID

    from worker.core.model import Facts, QueueRun
    from worker.core.ports import Clock
    from worker.sources.http import Http
    from worker.sources.rows import Trace, Wanted

log = structlog.get_logger(__name__)

PATH = "/api/v2/runs/query"
BATCH = 100
BATCHES = 10
"""Look-ups one poll may cost; what is left has its turn at the next."""

MOST_TRIES = 5
"""A run that LangSmith does not know yet may be known later; one that is gone never will be."""

LEAST_PAUSE = 60.0
REFUSED_PAUSE = 3600.0
PASSING = {Trouble.UNREACHABLE, Trouble.THROTTLED}
"""Whatever was asked for would have met these; the others may come of the projects that were asked for."""

LONG_SINCE = float("-inf")
MARGIN = timedelta(minutes=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

SELECTS = {
    Show.NAME: "NAME",
    Show.TYPE: "RUN_TYPE",
    Show.TAGS: "TAGS",
    Show.ERROR: "ERROR",
    Show.INPUTS_PREVIEW: "INPUTS_PREVIEW",
    Show.OUTPUTS_PREVIEW: "OUTPUTS_PREVIEW",
    Show.THREAD: "THREAD_ID",
    Show.TOKENS: "TOTAL_TOKENS",
    Show.COST: "TOTAL_COST",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a look-up gave; `facts` is None while it gave nothing."""

    facts: Facts | None
    tries: int


class Names:
    """Facts of runs by look-up. Thread-safe for different queues. Never raises."""

    def __init__(self, http: Http, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[UUID, str], dict[UUID, Known]] = {}
        self._not_before = LONG_SINCE
        self._apart: dict[UUID, float] = {}

    def of(self, runs: Mapping[UUID, QueueRun], traces: Mapping[UUID, Trace], wanted: Wanted) -> dict[UUID, Facts]:
        """The facts of those of `runs` that are known or could be looked up now, the oldest first; without links."""
        selects = sorted(SELECTS[shown] for shown in wanted.show if shown in SELECTS)
        before = self._known.get((wanted.queue_id, wanted.status), {})
        known = {queue_run_id: before[queue_run_id] for queue_run_id in runs if queue_run_id in before}
        missing = [one for one in traces if one in runs and _is_missing(known.get(one))] if selects else []
        missing.sort(key=lambda one: runs[one].effective_added_at or runs[one].added_at or LONG_AGO)
        for batch in islice(self._batches(missing, traces), BATCHES):
            found = self._look_up([traces[one] for one in batch], selects, wanted)
            if found is None:
                continue
            for one in batch:
                tries = known[one].tries if one in known else 0
                known[one] = Known(found.get(traces[one].run_id), tries + 1)
        self._known[wanted.queue_id, wanted.status] = known
        return {queue_run_id: entry.facts for queue_run_id, entry in known.items() if entry.facts is not None}

    def _batches(self, missing: Sequence[UUID], traces: Mapping[UUID, Trace]) -> Iterator[Sequence[UUID]]:
        """What may be asked for now: all projects together, and each alone that was in a batch that was refused."""
        groups: dict[UUID | None, list[UUID]] = {}
        for one in missing:
            project = traces[one].project_id
            groups.setdefault(project if project in self._apart else None, []).append(one)
        for group in groups.values():
            for begin in range(0, len(group), BATCH):
                batch = group[begin : begin + BATCH]
                held = max(self._apart.get(traces[one].project_id, LONG_SINCE) for one in batch)
                if self._clock.monotonic() >= max(self._not_before, held):
                    yield batch

    def _look_up(self, batch: Sequence[Trace], selects: list[str], wanted: Wanted) -> Mapping[UUID, Facts] | None:
        """One batch by run id; None where it cannot be had now."""
        projects = {at.project_id for at in batch}
        try:
            rows = self._ask(batch, selects)
        except SourceError as error:
            self._failed(error, projects)
            return None
        with self._lock:
            self._not_before = LONG_SINCE
            for project in projects:
                self._apart.pop(project, None)
        found = {identity(row.id): facts(row, wanted.show, "") for row in rows}
        return {run_id: known for run_id, known in found.items() if run_id is not None}

    def _ask(self, batch: Sequence[Trace], selects: list[str]) -> Sequence[QueriedRow]:
        began = [at.began_at for at in batch]
        since = min((at for at in began if at is not None), default=LONG_AGO) if None not in began else LONG_AGO
        body = {
            "ids": [str(at.run_id) for at in batch],
            "project_ids": sorted({str(at.project_id) for at in batch}),
            "min_start_time": (since - MARGIN).isoformat(),
            "page_size": len(batch),
            "selects": ["ID", *selects],
        }
        what = "looking up the names of runs"
        with self._http.post(PATH, body, what=what) as answer:
            try:
                return envelope(answer.body, QueriedRow)[0].rows
            except UnlawfulError as error:
                raise unlawful(what, str(error)) from None

    def _failed(self, error: SourceError, projects: Collection[UUID]) -> None:
        """Leave the server alone for a while, or only a project that it refuses; say so where it is news.

        One project that is gone makes LangSmith refuse a whole batch, so the next time each is asked for alone.
        """
        now = self._clock.monotonic()
        wish = clamp_wish(error.retry_after) or timedelta(0)
        least = REFUSED_PAUSE if error.trouble in {Trouble.MISSING, Trouble.REFUSED} else LEAST_PAUSE
        with self._lock:
            is_news = self._not_before == LONG_SINCE and self._apart.keys().isdisjoint(projects)
            if error.trouble in PASSING:
                self._not_before = now + max(wish.total_seconds(), least)
            elif len(projects) == 1:
                self._apart |= dict.fromkeys(projects, now + least)
            else:
                self._apart = dict.fromkeys(projects, now) | self._apart
                self._not_before = now + LEAST_PAUSE
        if is_news:
            log.info("run_names_unknown", error=str(error))


def _is_missing(known: Known | None) -> bool:
    return known is None or (known.facts is None and known.tries < MOST_TRIES)
