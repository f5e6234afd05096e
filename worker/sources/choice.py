"""Decides per server which of the two listings is read, remembers it, and changes its mind when the server does."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from worker.core.ports import SourceError, Trouble
from worker.sources.ending import Ending, ending, loudness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from worker.core.model import Show
    from worker.core.ports import Clock
    from worker.sources.listing import Listing

log = structlog.get_logger(__name__)

TRY_AGAIN_SECONDS = 3600.0
SAY_AGAIN_SECONDS = 86_400.0


class Api(StrEnum):
    """The two listings, and the choice between them."""

    RUNS = "runs"
    ITEMS = "items"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Which listing is read at present, and how long that will go well.

    `ending` is set where LangSmith calls the listing in use deprecated; `obstacle` tells why the other is not read.
    """

    api: Api
    ending: Ending | None = None
    obstacle: str = ""


class Choice:
    """Reads queues by the listing that this server serves best. Thread-safe for different queues."""

    def __init__(
        self,
        readers: Mapping[Api, Callable[[UUID, frozenset[Show]], Listing]],
        *,
        exists: Callable[[UUID], bool],
        clock: Clock,
        fixed: Api,
        recall: Callable[[], str | None],
        remember: Callable[[str], None],
    ) -> None:
        """`fixed` is the listing that is read whatever happens, or AUTO. `exists` tells whether there is a queue.

        `recall` and `remember` keep the decision over restarts.
        """
        self._readers = readers
        self._exists = exists
        self._clock = clock
        self._fixed = fixed
        self._recall = recall
        self._remember = remember
        self._lock = threading.Lock()
        self._outlook: Outlook | None = None
        self._try_at = float("-inf")
        self._say_at = float("-inf")

    @property
    def outlook(self) -> Outlook:
        """How things stand."""
        with self._lock:
            if self._outlook is None:
                self._outlook = Outlook(self._first())
            return self._outlook

    def read(self, queue_id: UUID, show: frozenset[Show]) -> tuple[Api, Listing]:
        """Read a queue completely, and tell by which listing."""
        if self.outlook.api is Api.RUNS:
            return self._by_runs(queue_id, show)
        return self._by_items(queue_id, show)

    def _first(self) -> Api:
        """What is read before anything is found out."""
        if self._fixed is not Api.AUTO:
            return self._fixed
        return Api.ITEMS if self._recall() == Api.ITEMS else Api.RUNS

    def _by_runs(self, queue_id: UUID, show: frozenset[Show]) -> tuple[Api, Listing]:
        try:
            listing = self._readers[Api.RUNS](queue_id, show)
        except SourceError as error:
            if self._is_route_missing(error, queue_id):
                return self._instead(Api.ITEMS, error, queue_id, show)
            raise
        found = ending(listing.headers)
        if found is not None:
            self._prepare(found, queue_id, show, listing)
        return Api.RUNS, listing

    def _by_items(self, queue_id: UUID, show: frozenset[Show]) -> tuple[Api, Listing]:
        try:
            return Api.ITEMS, self._readers[Api.ITEMS](queue_id, show)
        except SourceError as error:
            if self._is_route_missing(error, queue_id):
                return self._instead(Api.RUNS, error, queue_id, show)
            if error.trouble is Trouble.UNLAWFUL and self._fixed is Api.AUTO:
                return Api.RUNS, self._or_raise(Api.RUNS, error, queue_id, show)
            raise

    def _is_route_missing(self, error: SourceError, queue_id: UUID) -> bool:
        """Whether it is the listing that does not exist, not the queue: both answers look alike."""
        return self._fixed is Api.AUTO and error.trouble is Trouble.MISSING and self._exists(queue_id)

    def _instead(self, api: Api, error: SourceError, queue_id: UUID, show: frozenset[Show]) -> tuple[Api, Listing]:
        """The queue exists but its listing does not: read the other, and stay with it."""
        listing = self._or_raise(api, error, queue_id, show)
        self._decide(Outlook(api), because="the server no longer has the listing that was read")
        return api, listing

    def _or_raise(self, api: Api, error: SourceError, queue_id: UUID, show: frozenset[Show]) -> Listing:
        try:
            return self._readers[api](queue_id, show)
        except SourceError:
            raise error from None

    def _prepare(self, found: Ending, queue_id: UUID, show: frozenset[Show], listing: Listing) -> None:
        """The listing in use will end: go over to the other as soon as it answers lawfully."""
        with self._lock:
            now = self._clock.monotonic()
            is_due = now >= self._try_at
            self._try_at = now + TRY_AGAIN_SECONDS if is_due else self._try_at
        obstacle = self._obstacle(queue_id, show, listing) if is_due else self.outlook.obstacle
        if is_due and not obstacle:
            self._decide(Outlook(Api.ITEMS), because="LangSmith has deprecated the listing that was read")
            return
        with self._lock:
            self._outlook = Outlook(Api.RUNS, found, obstacle)
        self._say_once_a_day(found, obstacle)

    def _obstacle(self, queue_id: UUID, show: frozenset[Show], listing: Listing) -> str:
        """Why the queue cannot be read by the other listing; '' where it can."""
        if self._fixed is not Api.AUTO:
            return "WORKER_LANGSMITH_API=runs is set"
        try:
            newer = self._readers[Api.ITEMS](queue_id, show)
        except SourceError as error:
            return str(error)
        return _lacking(listing, newer)

    def _decide(self, outlook: Outlook, *, because: str) -> None:
        with self._lock:
            is_new = self._outlook is None or self._outlook.api is not outlook.api
            self._outlook = outlook
        if is_new:
            self._remember(outlook.api.value)
            log.info("listing_changed", listing=outlook.api.value, because=because)

    def _say_once_a_day(self, found: Ending, obstacle: str) -> None:
        with self._lock:
            now = self._clock.monotonic()
            if now < self._say_at:
                return
            self._say_at = now + SAY_AGAIN_SECONDS
        left = found.left(self._clock.now())
        days = None if left is None else left.days
        say = getattr(log, loudness(found, self._clock.now()))
        say("listing_ends", days=days, sunset=found.sunset, successor_fails=obstacle)


def _lacking(older: Listing, newer: Listing) -> str:
    """What the newer listing lacks of the older, read just before; '' where it has most of it.

    Reviewers are at work meanwhile, and a run may stand in it by another id.
    """
    common = len(older.runs.keys() & newer.runs.keys())
    if 2 * common < len(older.runs):
        ids = {run.run_id for run in newer.runs.values()}
        common = max(common, sum(run.run_id in ids for run in older.runs.values()))
    if 2 * common >= len(older.runs):
        return ""
    return f"the newer listing shows {common} of the {len(older.runs)} runs of a queue"
