"""The state of the simulated LangSmith: queues, the runs in them, reviewers, and what each key sees. Thread-safe."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from worker.core.ports import Clock

IDS = UUID("0f9e9f5a-4c1b-4c59-9f0b-1f6a3f6d7a10")
TENANT_ID = uuid5(IDS, "workspace")
PROJECT_ID = uuid5(IDS, "project")
ORGANISATION_ID = uuid5(IDS, "organisation")

MINE, OTHERS, DONE = "needs_my_review", "needs_others_review", "completed"
ANYBODY, ASSIGNED = "any", "assigned"


class Key(Struct):
    """An API key. A service key has no `reviewer`; an organisation's key needs the workspace named in each request.

    Of the queues of `blind_to` it sees nothing that is open; in those of `never_asked_in` all of that is the review of
    others.
    """

    reviewer: UUID | None = None
    organisation: bool = False
    blind_to: set[UUID] = field(default_factory=set)
    never_asked_in: set[UUID] = field(default_factory=set)


class Person(Struct):
    """An identity: a member of the workspace, or a service, which has no e-mail address. Each has three ids."""

    reviewer_id: UUID
    email: str
    name: str
    is_active: bool = True

    @property
    def user_id(self) -> UUID:
        """Its older id."""
        return uuid5(IDS, f"user of {self.reviewer_id}")

    @property
    def ls_user_id(self) -> UUID:
        """The id that members are looked up by."""
        return uuid5(IDS, f"LangSmith user of {self.reviewer_id}")


class Place(Struct):
    """A run's (or a conversation's) place in a queue, with what LangSmith shows of the run."""

    queue_run_id: UUID
    queue_id: UUID
    run_id: UUID
    number: int
    name: str
    run_type: str
    started_at: datetime
    added_at: datetime | None
    tags: tuple[str, ...] = ()
    error: str | None = None
    thread_id: str | None = None
    conversation: bool = False
    payload: int = 0
    tokens: int = 0
    cost: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    own_added_at: dict[UUID, datetime] = field(default_factory=dict)
    assigned_to: list[UUID] = field(default_factory=list)
    reserved_by: list[UUID] = field(default_factory=list)
    completed_by: list[UUID] = field(default_factory=list)
    archived: bool = False
    disagreed: bool = False
    last_reviewed_at: datetime | None = None
    expires_at: datetime | None = None
    lost: frozenset[str] = frozenset()

    def seen_added_at(self, reviewer: UUID | None) -> datetime | None:
        """The time at which it was added, as this reviewer sees it."""
        return self.own_added_at.get(reviewer, self.added_at) if reviewer else self.added_at


class AnnotationQueue(Struct):
    """One annotation queue."""

    queue_id: UUID
    name: str
    created_at: datetime
    reviewers_per_run: int = 1
    access: str = ANYBODY
    assigned: list[UUID] = field(default_factory=list)
    places: dict[UUID, Place] = field(default_factory=dict)

    def status(self, place: Place, key: Key) -> str:
        """In which section of the queue this key sees a place."""
        if place.archived or len(place.completed_by) >= self.reviewers_per_run:
            return DONE
        is_done = key.reviewer is not None and key.reviewer in place.completed_by
        return OTHERS if is_done or self.queue_id in key.never_asked_in else MINE

    def section(self, status: str | None, key: Key) -> list[Place]:
        """The places of one section (None: every open one), in the order of the listing."""
        wanted = {status} if status else {MINE, OTHERS}
        places = [place for place in self.places.values() if self.status(place, key) in wanted]
        return sorted(places, key=lambda place: _order(place, key))


def _order(place: Place, key: Key) -> tuple[float, int]:
    added_at = place.seen_added_at(key.reviewer)
    # Those without a date come first, and the number keeps those of one instant in their order.
    return (added_at.timestamp() if added_at else 0.0, place.number)


class Annotations:
    """Everything that LangSmith would remember. `compares` says whether it has multi-reviewer queues switched on."""

    def __init__(self, clock: Clock) -> None:
        """Start empty; `clock` dates what happens."""
        self._clock = clock
        # Reentrant: what is done while the queues are `held` calls the methods below.
        self._lock = threading.RLock()
        self._numbers = 0
        self.keys: dict[str, Key] = {}
        self.reviewers: dict[UUID, Person] = {}
        self.compares = False
        self._queues: dict[UUID, AnnotationQueue] = {}

    @contextmanager
    def held(self) -> Iterator[dict[UUID, AnnotationQueue]]:
        """The queues, locked for all others."""
        with self._lock:
            yield self._queues

    def queues(self) -> Sequence[AnnotationQueue]:
        """Every queue, oldest first."""
        with self._lock:
            return tuple(self._queues.values())

    def new_id(self, kind: str) -> UUID:
        """An id that was never given before."""
        with self._lock:
            self._numbers += 1
            return uuid5(IDS, f"{kind} {self._numbers}")

    def add_queue(self, name: str, *, reviewers_per_run: int, queue_id: UUID | None) -> UUID:
        """Open a queue."""
        with self._lock:
            queue = AnnotationQueue(
                queue_id or self.new_id("queue"), name, self._clock.now(), reviewers_per_run=reviewers_per_run
            )
            self._queues[queue.queue_id] = queue
            return queue.queue_id

    def remove_queue(self, queue_id: UUID) -> None:
        """Delete a queue with everything in it."""
        with self._lock:
            del self._queues[queue_id]

    def put(self, place: Place) -> None:
        """Put a run into its queue."""
        with self._lock:
            self._queues[place.queue_id].places[place.queue_run_id] = place

    def next_number(self) -> int:
        """The next place's position among equals."""
        with self._lock:
            self._numbers += 1
            return self._numbers

    def now(self) -> datetime:
        """The time in this world."""
        return self._clock.now()

    def started_before(self, added_at: datetime | None) -> datetime:
        """A likely start of a run that was added then."""
        return (added_at or self._clock.now()) - timedelta(seconds=90)

    def place(self, queue_run_id: UUID) -> Place:
        """One place; KeyError where it has been removed."""
        with self._lock:
            places = (queue.places.get(queue_run_id) for queue in self._queues.values())
            found = next(filter(None, places), None)
        if found is None:
            raise KeyError(queue_run_id)
        return found

    def complete(self, queue_run_id: UUID, reviewer: UUID) -> None:
        """A reviewer is done with a run."""
        with self._lock:
            place = self.place(queue_run_id)
            place.completed_by.append(reviewer)
            place.last_reviewed_at = self._clock.now()
            if reviewer in place.reserved_by:
                place.reserved_by.remove(reviewer)

    def remove(self, queue_run_id: UUID) -> None:
        """Take a run out of its queue."""
        with self._lock:
            place = self.place(queue_run_id)
            del self._queues[place.queue_id].places[queue_run_id]

    def reserve(self, queue_run_id: UUID, reviewer: UUID) -> None:
        """A reviewer opens a run."""
        with self._lock:
            self.place(queue_run_id).reserved_by.append(reviewer)

    def release(self, queue_run_id: UUID) -> None:
        """Everybody lets go of a run."""
        with self._lock:
            self.place(queue_run_id).reserved_by.clear()

    def requeue(self, queue_run_id: UUID, at: datetime, reviewer: UUID | None) -> None:
        """Put a run back: for everybody, or for one reviewer's own view."""
        with self._lock:
            place = self.place(queue_run_id)
            if reviewer is None:
                place.added_at = at
                place.completed_by.clear()
                place.own_added_at.clear()
            else:
                place.own_added_at[reviewer] = at
                if reviewer in place.completed_by:
                    place.completed_by.remove(reviewer)
            place.archived = False
