"""Makes the replies that take time, one after another, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from worker.web.exchange import JSON, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.web.exchange import PageRequest

log = structlog.get_logger(__name__)

MOST_ASKED = 40
"""Requests that wait for the thread; a further one is refused at once. Fewer than clients that are served at once."""

FAILED = Reply(
    HTTPStatus.INTERNAL_SERVER_ERROR, JSON, b'{"error": "this page cannot be made; the log has the reason"}\n'
)

_Asker = TypeVar("_Asker")


def reply_to(request: PageRequest, make: Callable[[PageRequest], Reply | None]) -> Reply | None:
    """The reply that `make` makes; a bug in it is logged, and others get their answers all the same."""
    try:
        return make(request)
    except Exception as error:
        log.error("page_failed", page=request.path[:100], exc_info=error)
        return FAILED


@dataclass(slots=True, eq=False)
class Job(Generic[_Asker]):
    """A reply to be made. `is_over` once nobody waits for it any more; `asker` is None where nobody ever did."""

    asker: _Asker | None
    request: PageRequest
    is_over: bool = False


class Background(Generic[_Asker]):
    """One thread with a bounded queue. Only the thread that answers puts in and takes out."""

    def __init__(self, make: Callable[[PageRequest], Reply], notify: Callable[[], None]) -> None:
        """`make` makes a reply; `notify` is called, from the thread, when one can be taken."""
        self._make = make
        self._notify = notify
        self._asked: SimpleQueue[Job[_Asker] | None] = SimpleQueue()
        self._made: deque[tuple[Job[_Asker], Reply]] = deque()
        self._thread: threading.Thread | None = None

    def put(self, asker: _Asker | None, request: PageRequest) -> Job[_Asker] | None:
        """Let a reply be made; None where too many are waited for already."""
        if self._asked.qsize() >= MOST_ASKED:
            return None
        if self._thread is None:
            # With the first page: most workers are only ever asked how they are.
            self._thread = threading.Thread(target=self._work, name="pages", daemon=True)
            self._thread.start()
        job = Job(asker, request)
        self._asked.put(job)
        return job

    def take(self) -> Iterator[tuple[Job[_Asker], Reply]]:
        """The replies that are made, each once."""
        while self._made:
            yield self._made.popleft()

    def stop(self) -> None:
        """End the thread after the reply that it makes."""
        self._asked.put(None)

    def _work(self) -> None:
        while (job := self._asked.get()) is not None:
            if not job.is_over:
                self._made.append((job, reply_to(job.request, self._make) or FAILED))
                self._notify()
