"""How many runs a section of a queue has, in the words of whichever endpoint answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.ports import SourceError, Trouble
from worker.sources.errors import unlawful
from worker.sources.values import count, identity
from worker.sources.wire import Counted, QueueRow, UnlawfulError, one, page

if TYPE_CHECKING:
    from worker.core.model import Id
    from worker.sources.http import Http

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
