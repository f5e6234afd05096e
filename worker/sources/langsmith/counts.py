"""How many runs a section of a queue has, and the completed ones on which reviewers disagree."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import NotOfferedError, unlawful
from worker.sources.langsmith.listing import Listing
from worker.sources.langsmith.queues import FRESH, RETRY
from worker.sources.langsmith.rows import completed_params, count, identity
from worker.sources.langsmith.wire import Counted, QueueRow, UnlawfulError, one, page

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.model import Id, Queue
    from worker.core.ports import Clock
    from worker.sources.langsmith.http import Http
    from worker.sources.langsmith.listing import Former
    from worker.sources.langsmith.rows import Wanted

log = structlog.get_logger(__name__)

MINE, OTHERS, DONE, ALL = "needs_my_review", "needs_others_review", "completed", "all"
PLATFORM_WORDS = {DONE: "archived"}


class Counts:
    """Counts by status. Thread-safe."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def count(self, queue_id: Id, status: str) -> int | None:
        """How many there are; None where this server does not count.

        Raises SourceError where it should but does not answer.
        """
        word = PLATFORM_WORDS.get(status, status)
        # The newer first: the older ends with the listing that it counts.
        newer = self._ask(f"/api/v1/platform/annotation-queues/{queue_id}/items/count", word)
        return self._ask(f"/api/v1/annotation-queues/{queue_id}/size", status) if newer is None else newer

    def total(self, queue_id: Id) -> int | None:
        """How many runs there are whatever their status; None where this server does not count.

        Raises SourceError where it should but does not answer.
        """
        newer = self._ask(f"/api/v1/platform/annotation-queues/{queue_id}/items/count", ALL)
        return self._listed_total(queue_id) if newer is None else newer

    def _listed_total(self, queue_id: Id) -> int | None:
        what = "counting the runs of a queue"
        try:
            with self._http.get("/api/v1/annotation-queues", {"ids": str(queue_id)}, what=what) as answer:
                rows = page(answer.body, QueueRow).rows
        except SourceError as error:
            if error.trouble is Trouble.MISSING:
                return None
            raise
        except UnlawfulError as error:
            raise unlawful(what, str(error)) from None
        return next((count(row.total_runs) for row in rows if identity(row.id) == queue_id), None)

    def _ask(self, path: str, status: str) -> int | None:
        what = f"counting the runs that are {status}"
        try:
            with self._http.get(path, {"status": status}, what=what) as answer:
                found = one(answer.body, Counted)
        except SourceError as error:
            if error.trouble is Trouble.MISSING:
                return None
            raise
        except UnlawfulError as error:
            raise unlawful(what, str(error)) from None
        return count(found.count if found.size is None else found.size)


_WHAT = "counting the runs on which reviewers disagree"
_PATIENCE_SECONDS = 5.0
"""How long a poll waits for a count, which it could do without."""

MOST_COUNTED = 10**9
"""More than any queue has, and as much as every database takes."""

OFF_FOR = timedelta(days=1)
"""A workspace's setting, a right and a newer server come with an act of somebody's: a day is soon enough."""


class Disagreements:
    """The completed runs on which reviewers disagree, by queue. Thread-safe."""

    def __init__(self, http: Http, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[Id, int | None] = {}
        self._again: dict[Id, Cooldown] = {}
        self._off: dict[Id, Cooldown] = {}
        self._is_kept = False
        self._has_said = False

    def of(self, queue: Queue) -> int | None:
        """How many a queue has, as of a few minutes ago; 0 where it can have none, None where it is not known."""
        if queue.reviewers_per_run == 1:
            return 0
        again = self._again.get(queue.queue_id)
        if again is None or again.is_over(self._clock.monotonic()):
            try:
                self._note(queue.queue_id, self.count(queue.queue_id), FRESH)
            except SourceError:
                # What was counted before is the best that is known.
                self._note(queue.queue_id, self._counts.get(queue.queue_id), RETRY)
        return self._counts[queue.queue_id]

    def count(self, queue_id: Id) -> int:
        """How many a queue has now; 0 where this server or workspace has none of them.

        Raises SourceError where it does not answer.
        """
        if self._is_off(queue_id):
            return 0
        try:
            found = self._ask(queue_id, unresolved=True)
            # With none there is nothing to doubt, and a server that has kept the filter once keeps it.
            if not found or self._is_kept or self._is_filter_kept(queue_id, found):
                return found
            self._switch_off(queue_id, "the server counts every completed run instead")
        except SourceError as error:
            if not _is_off(error):
                raise
            self._switch_off(queue_id, str(error))
        return 0

    def read(self, read: Callable[[Wanted, Former], Listing], wanted: Wanted, former: Former, queue: Queue) -> Listing:
        """List those of a queue by `read`, or raise SourceError; an empty listing where there can be none."""
        nothing = Listing(f"reading the disagreements of queue {queue.queue_id}", former, overlaps=False)
        # A server that does not know the filter would list all that was ever reviewed: the count finds that out first.
        if queue.reviewers_per_run == 1 or self._is_off(queue.queue_id):
            return nothing
        if not self._is_kept and not self.count(queue.queue_id):
            return nothing
        try:
            found = read(wanted, former)
        except SourceError as error:
            if not _is_off(error):
                raise
            self._switch_off(queue.queue_id, str(error))
            return nothing
        self._note(queue.queue_id, len(found.marks), FRESH)
        return found

    def has_any(self, queue_id: Id) -> bool:
        """Whether the last count or listing found any in a queue."""
        return bool(self._counts.get(queue_id))

    def _is_filter_kept(self, queue_id: Id, found: int) -> bool:
        """Whether the server has kept the filter by which it counted so many, instead of passing over it."""
        # Where all that is completed is disagreed on, the opposite must be nothing.
        is_kept = found < self._ask(queue_id, unresolved=None) or not self._ask(queue_id, unresolved=False)
        self._is_kept = is_kept
        return is_kept

    def _ask(self, queue_id: Id, *, unresolved: bool | None) -> int:
        path = f"/api/v1/platform/annotation-queues/{queue_id}/items/count"
        with self._http.get(
            path, completed_params(unresolved=unresolved), what=_WHAT, seconds=_PATIENCE_SECONDS
        ) as answer:
            try:
                found = count(one(answer.body, Counted).count)
            except UnlawfulError as error:
                raise unlawful(_WHAT, str(error)) from None
        if found is None or found > MOST_COUNTED:
            raise unlawful(_WHAT, "the answer holds no count")
        return found

    def _note(self, queue_id: Id, counted: int | None, wait: timedelta) -> None:
        self._counts[queue_id] = counted
        self._again[queue_id] = Cooldown.of(wait, self._clock.monotonic())

    def _is_off(self, queue_id: Id) -> bool:
        off = self._off.get(queue_id)
        return off is not None and not off.is_over(self._clock.monotonic())

    def _switch_off(self, queue_id: Id, because: str) -> None:
        """Ask nothing for a day; one line for all queues: that is how this server is."""
        self._off[queue_id] = Cooldown.of(OFF_FOR, self._clock.monotonic())
        self._counts[queue_id] = 0
        with self._lock:
            said, self._has_said = self._has_said, True
        if not said:
            log.info("disagreements_off", because=because)


def _is_off(error: SourceError) -> bool:
    """Whether an answer means that there are none to be had, not that something has failed."""
    off = {Trouble.MISSING, Trouble.REFUSED, Trouble.UNLAWFUL}
    return isinstance(error, NotOfferedError) or error.trouble in off
