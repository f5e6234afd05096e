"""A simulated LangSmith on loopback with a source that reads it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.clock import FakeClock
from worker.core.model import Field, Show
from worker.demo.langsmith.server import SERVICE_KEY, SimulatedLangSmith
from worker.demo.serve import serving
from worker.sources.langsmith.source import LangSmith

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from starlette.types import Receive, Scope, Send

    from worker.core.model import QueueRun, Snapshot

WEB = "https://smith.example"
SHOW = frozenset({Show.NAME, Show.TYPE, Show.AGE, Show.TAGS})
RUNS = "/api/v1/annotation-queues/{queue_id}/runs"
QUEUE = "/api/v1/annotation-queues/{queue_id}"
QUEUES = "/api/v1/annotation-queues"
SIZE = "/api/v1/annotation-queues/{queue_id}/size"
ITEMS = "/api/v1/platform/annotation-queues/{queue_id}/items"
COUNT = f"{ITEMS}/count"
PLACEMENT = f"{ITEMS}/{{item_id}}/placement"
QUERY = "/api/v2/runs/query"
MEMBERS = "/api/v1/workspaces/current/members/active"


@dataclass
class Stage:
    """What a test plays on. `kept` is what the source asked to remember, over restarts."""

    langsmith: SimulatedLangSmith
    root: str
    clock: FakeClock
    kept: dict[str, str] = field(default_factory=dict)
    sources: list[LangSmith] = field(default_factory=list)

    @property
    def source(self) -> LangSmith:
        """The one that a test goes on with."""
        return self.sources[-1]

    def close(self) -> None:
        """End every source."""
        for source in self.sources:
            source.close()

    def restart(self, **settings: Any) -> LangSmith:
        """Begin anew, with other settings where given; the test goes on with the new source."""
        given = {
            "root": self.root,
            "key": SERVICE_KEY,
            "clock": self.clock,
            "web_url": WEB,
            "requests_per_second": 1_000_000,
            "queries_per_second": 1_000_000,
            "deadline_seconds": 5.0,
            "recall": self.kept.get,
            "remember": self.kept.__setitem__,
        }
        self.sources.append(LangSmith(**(given | settings)))
        return self.source

    def snapshot(self, queue_id: UUID, show: frozenset[Field] = SHOW) -> Snapshot:
        """Read a queue, as a first poll does."""
        return self.source.snapshot(queue_id, show)

    def add(self, queue_id: UUID, number: int, **facts: Any) -> list[UUID]:
        """Put that many runs into a queue, named by their number."""
        with self.langsmith.at_once():
            return [self.langsmith.add_run(queue_id, **{"name": f"run {n}", **facts}) for n in range(number)]

    def asked(self) -> Sequence[str]:
        """The endpoints that were asked since the last call, by their last words."""
        requests = [asked.path for asked in self.langsmith.requests]
        self.langsmith.forget_requests()
        return requests


class Theatre:
    """One server for many simulated LangSmiths, one after the other."""

    root = ""
    langsmith: SimulatedLangSmith

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.langsmith.app(scope, receive, send)

    @contextlib.contextmanager
    def stage(self, **settings: Any) -> Iterator[Stage]:
        """A fresh LangSmith with one source."""
        clock = FakeClock()
        self.langsmith = SimulatedLangSmith(clock)
        stage = Stage(self.langsmith, self.root, clock)
        stage.restart(**settings)
        try:
            yield stage
        finally:
            self.langsmith.heal()
            stage.close()


@contextlib.contextmanager
def theatre() -> Iterator[Theatre]:
    """Serve whatever is on stage."""
    found = Theatre()
    with serving(found, dated=False) as found.root:  # type: ignore[arg-type]
        yield found


def ids(snapshot: Snapshot) -> list[UUID]:
    """The queue runs of a snapshot, in its order."""
    return [run.queue_run_id for run in snapshot.runs]


def run_of(snapshot: Snapshot, queue_run_id: UUID) -> QueueRun:
    """One run of a snapshot."""
    return next(run for run in snapshot.runs if run.queue_run_id == queue_run_id)
