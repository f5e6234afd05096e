"""What the queues are called, to which workspace they belong, and how many runs a section of one has."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.model import Access, Queue, Reviewer
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import unlawful
from worker.sources.langsmith.rows import count, identity, person, queue_url, text
from worker.sources.langsmith.wire import DEEPEST, Counted, QueueRow, ReviewerRow, UnlawfulError, one, page, parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from worker.core.model import Id
    from worker.core.ports import Clock
    from worker.sources.langsmith.http import Http

log = structlog.get_logger(__name__)

_PATH = "/api/v1/annotation-queues"
PAGE = 100
MOST_QUEUES = 100_000
FRESH = timedelta(minutes=10)
"""How long it may take until a change of a queue's reviewers is seen: one request a queue in that time."""

RETRY = timedelta(minutes=5)
_PATIENCE_SECONDS = 5.0
"""A name may cost a poll this much at most."""

MOST_REVIEWERS = 1000
EMAIL_CHARACTERS = 320
REVIEWERS_LEVEL = DEEPEST + 1
"""Where the objects stand that a queue has for its reviewers."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of one queue, and how long it is not asked for again."""

    queue: Queue
    tenant_id: UUID | None
    again: Cooldown


class Directory:
    """The queues by id. Thread-safe."""

    def __init__(self, http: Http, *, clock: Clock, web: str, workspace_id: UUID | None) -> None:
        self._http = http
        self._clock = clock
        self._web = web
        self._workspace_id = workspace_id
        self._lock = threading.Lock()
        self._entries: dict[Id, _Entry] = {}
        self._unnamed = False

    def tenant_id(self, queue_id: Id) -> UUID | None:
        """The workspace of a queue, as far as it is known by now."""
        entry = self._entries.get(queue_id)
        return (entry.tenant_id if entry else None) or self._workspace_id

    def queue(self, queue_id: Id, tenant_id: UUID | None = None) -> Queue:
        """A queue by id; its id is its name where LangSmith shows none. Never raises.

        `tenant_id` is the workspace that a run of the queue named.
        """
        # Without the lock: an entry is a value that is replaced as a whole.
        entry = self._entries.get(queue_id)
        if entry is None or entry.again.is_over(self._clock.monotonic()):
            entry = self._look_up(queue_id, entry)
        if entry.queue.url:
            return entry.queue
        url = queue_url(self._web, tenant_id or entry.tenant_id or self._workspace_id, queue_id)
        return replace(entry.queue, url=url)

    def queues(self) -> Sequence[Queue]:
        """Every queue that the key can see.

        Raises SourceError where the list cannot be read to its end.
        """
        found: dict[Id, Queue] = {}
        offset = 0
        while True:
            rows = self._page(offset)
            found |= {entry.queue.queue_id: entry.queue for entry in map(self._learn, rows) if entry is not None}
            if len(rows) < PAGE:
                return tuple(found.values())
            # A server that ignores `offset` gives the first page again and again.
            if len(found) <= offset or offset > MOST_QUEUES:
                raise unlawful("listing the queues", "the list has no end")
            offset += PAGE

    def exists(self, queue_id: Id) -> bool:
        """Whether LangSmith says that there is such a queue.

        Raises SourceError where it says neither yes nor no.
        """
        try:
            self._ask(queue_id, seconds=None)
        except SourceError as error:
            if error.trouble is Trouble.MISSING:
                return False
            raise
        return True

    def _page(self, offset: int) -> Sequence[QueueRow]:
        what = "listing the queues"
        with self._http.get(_PATH, {"limit": PAGE, "offset": offset}, what=what) as answer:
            try:
                return page(answer.body, QueueRow, REVIEWERS_LEVEL).rows
            except UnlawfulError as error:
                raise unlawful(what, str(error)) from None

    def _look_up(self, queue_id: Id, known: _Entry | None) -> _Entry:
        try:
            return self._ask(queue_id, seconds=_PATIENCE_SECONDS)
        except SourceError as error:
            self._say_once(error)
        queue = known.queue if known else Queue(queue_id, str(queue_id))
        entry = _Entry(queue, known.tenant_id if known else None, Cooldown.of(RETRY, self._clock.monotonic()))
        with self._lock:
            self._entries[queue_id] = entry
        return entry

    def _ask(self, queue_id: Id, *, seconds: float | None) -> _Entry:
        what = f"looking up queue {queue_id}"
        with self._http.get(f"{_PATH}/{queue_id}", what=what, seconds=seconds) as answer:
            try:
                row = one(answer.body, QueueRow, REVIEWERS_LEVEL)
            except UnlawfulError as error:
                raise unlawful(what, str(error)) from None
        return self._keep(queue_id, row)

    def _learn(self, row: QueueRow) -> _Entry | None:
        queue_id = identity(row.id)
        return None if queue_id is None else self._keep(queue_id, row)

    def _keep(self, queue_id: Id, row: QueueRow) -> _Entry:
        tenant_id = identity(row.tenant_id) or self._workspace_id
        queue = Queue(
            queue_id=queue_id,
            name=text(row.name).strip() or str(queue_id),
            url=queue_url(self._web, tenant_id, queue_id),
            reviewers_per_run=_reviewers(row.num_reviewers_per_item),
            access=access_in(row.reviewer_access_mode),
            assigned=reviewers_in(row.assigned_reviewers),
        )
        entry = _Entry(queue, tenant_id, Cooldown.of(FRESH, self._clock.monotonic()))
        with self._lock:
            self._entries[queue_id] = entry
        return entry

    def _say_once(self, error: SourceError) -> None:
        """One line for all queues: where names cannot be had, that is how this server is."""
        with self._lock:
            said, self._unnamed = self._unnamed, True
        if not said:
            log.info("queue_names_unknown", error=str(error))


def _reviewers(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_REVIEWERS else 1


def access_in(value: object) -> Access:
    """Who may review the runs of a queue, where LangSmith says that in a word that is known."""
    return Access(value) if isinstance(value, str) and value in set(Access) else Access.UNKNOWN


def reviewers_in(value: object) -> tuple[Reviewer, ...]:
    """The assigned reviewers: each identity once, by name; those without an id are no one that a run could name."""
    found: dict[str, Reviewer] = {}
    for row in parts(value, ReviewerRow, MOST_REVIEWERS):
        if reviewer_id := person(row.id):
            known = Reviewer(reviewer_id, text(row.name).strip(), text(row.email, EMAIL_CHARACTERS).strip())
            found.setdefault(reviewer_id, known)
    # An order of our own, lest one that the server shuffles is news at each look.
    return tuple(sorted(found.values(), key=lambda each: (each.name.casefold(), each.email, each.reviewer_id)))


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
