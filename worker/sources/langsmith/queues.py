"""What the queues are called, to which workspace they belong, and who reviews them: its members."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core.cooldown import Cooldown
from worker.core.model import Access, Queue, Reviewer
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import unlawful
from worker.sources.langsmith.rows import identity, person, queue_url, text
from worker.sources.langsmith.wire import DEEPEST, MemberRow, QueueRow, ReviewerRow, UnlawfulError, one, page, parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
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


class _Entry(Struct, frozen=True):
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


_MEMBERS = "/api/v1/workspaces/current/members/active"
_LOOKING_UP = "looking members up"
_MEMBERS_A_PAGE = 500
_MOST_MEMBER_PAGES = 100
_UNAVAILABLE_FOR = timedelta(days=1)
"""A right that is missing, and a route of a newer server, come with an act of somebody's: a day is soon enough."""


class Membership:
    """The members by what is known of them. Thread-safe. Nothing of them is kept."""

    def __init__(self, http: Http, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._again = Cooldown()
        self._has_said = False

    def find(self, sought: Collection[str]) -> Mapping[str, Reviewer] | None:
        """See `Members.members` in the ports."""
        if not sought:
            return {}
        if not self._again.is_over(self._clock.monotonic()):
            return None
        try:
            return self._find(sought)
        except SourceError as error:
            if error.trouble not in {Trouble.REFUSED, Trouble.MISSING}:
                raise
            self._say_once(error)
        return None

    def _find(self, sought: Collection[str]) -> Mapping[str, Reviewer]:
        """Read the members until all that are sought are found."""
        # Not by the filters of this endpoint: they know one of a member's three ids, and nothing promises that it is
        # the one which runs name, or that the case of an address does not count.
        wanted: dict[str, list[str]] = defaultdict(list)
        for each in sought:
            wanted[_sought_key(each)].append(each)
        found: dict[str, Reviewer] = {}
        for row in self._rows():
            for key in _keys(row):
                found |= dict.fromkeys(wanted.pop(key, ()), _member(row))
            if not wanted:
                break
        return found

    def _rows(self) -> Iterator[MemberRow]:
        for number in range(_MOST_MEMBER_PAGES):
            rows, size = self._page(number * _MEMBERS_A_PAGE)
            yield from rows
            if size < _MEMBERS_A_PAGE:
                return
        raise unlawful(_LOOKING_UP, "the list has no end")

    def _page(self, offset: int) -> tuple[Sequence[MemberRow], int]:
        with self._http.get(_MEMBERS, {"limit": _MEMBERS_A_PAGE, "offset": offset}, what=_LOOKING_UP) as answer:
            try:
                found = page(answer.body, MemberRow)
            except UnlawfulError as error:
                raise unlawful(_LOOKING_UP, str(error)) from None
        return found.rows, found.size

    def _say_once(self, error: SourceError) -> None:
        with self._lock:
            said, self._has_said = self._has_said, True
            self._again = Cooldown.of(_UNAVAILABLE_FOR, self._clock.monotonic())
        if not said:
            log.info("members_unknown", error=str(error))


def _sought_key(sought: str) -> str:
    """An id as `person` writes it, an address in the case of none."""
    return sought.strip().casefold() if "@" in sought else person(sought)


def _keys(row: MemberRow) -> set[str]:
    """All by which a member is known; nothing of one who may not work here any more, or has no id to be named by."""
    if row.is_disabled is True or not _member_id(row):
        return set()
    address = text(row.email, EMAIL_CHARACTERS).strip().casefold()
    return {person(row.id), person(row.ls_user_id), person(row.user_id), address} - {""}


def _member_id(row: MemberRow) -> str:
    return person(row.id) or person(row.ls_user_id) or person(row.user_id)


def _member(row: MemberRow) -> Reviewer:
    name = text(row.display_name).strip() or text(row.full_name).strip()
    return Reviewer(_member_id(row), name, text(row.email, EMAIL_CHARACTERS).strip())
