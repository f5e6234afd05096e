"""A simulated LangSmith: an ASGI application with a state, and the calls by which people's actions are played."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker.demo.langsmith.application import Application
from worker.demo.langsmith.faults import How, SourceFault, SourceFaults
from worker.demo.langsmith.state import ASSIGNED, TENANT_ID, Annotations, Key, Person, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from starlette.applications import Starlette

    from worker.core.ports import Clock
    from worker.demo.langsmith.application import ReceivedRequest
    from worker.demo.langsmith.state import AnnotationQueue

SERVICE_KEY = "lsv2_sk_simulated"
RUNS = "/api/v1/annotation-queues/{queue_id}/runs"


class SimulatedLangSmith:
    """LangSmith on loopback, as far as the worker can see. Thread-safe; serve `.app`.

    One service key (SERVICE_KEY) is known from the beginning. Times come from the clock.
    """

    def __init__(self, clock: Clock) -> None:
        """Start with no queues and no faults."""
        self._annotations = Annotations(clock)
        self._faults = SourceFaults()
        self._application = Application(self._annotations, self._faults, clock)
        self.add_key(SERVICE_KEY)

    @property
    def app(self) -> Starlette:
        """The application to serve."""
        return self._application.asgi

    @property
    def tenant_id(self) -> UUID:
        """The workspace that everything belongs to."""
        return TENANT_ID

    @property
    def queues(self) -> Sequence[AnnotationQueue]:
        """Every queue with its places, for showing; not to be altered."""
        return self._annotations.queues()

    @property
    def requests(self) -> Sequence[ReceivedRequest]:
        """Every request so far, the oldest first, those that met a fault included."""
        return self._application.asked()

    def forget_requests(self) -> None:
        """Empty the list of requests."""
        self._application.forget()

    def add_key(self, key: str, *, reviewer: str = "", organisation: bool = False) -> UUID | None:
        """Make a key valid. With `reviewer` (an e-mail address) it is that person's; their id is given back."""
        reviewer_id = self.add_reviewer(reviewer) if reviewer else None
        self._annotations.keys[key] = Key(reviewer_id, organisation)
        return reviewer_id

    def revoke_key(self, key: str) -> None:
        """Make a key invalid."""
        self._annotations.keys.pop(key, None)

    def blind(self, key: str, queue_id: UUID) -> None:
        """Let a key see nothing that waits in a queue, as one that is not an assigned reviewer."""
        self._annotations.keys[key].blind_to.add(queue_id)

    def leave_to_others(self, key: str, queue_id: UUID) -> None:
        """Let everything that is open in a queue be the review of others than this key's owner."""
        self._annotations.keys[key].never_asked_in.add(queue_id)

    def open_eyes(self, key: str, queue_id: UUID) -> None:
        """Let a key see again what waits in a queue."""
        self._annotations.keys[key].blind_to.discard(queue_id)
        self._annotations.keys[key].never_asked_in.discard(queue_id)

    def lose(self, queue_run_id: UUID, *fields: str) -> None:
        """Let the rows of a place lack these fields from now on; none: let them have all again."""
        with self._annotations.held():
            self._annotations.place(queue_run_id).lost = frozenset(fields)

    def limit_queries(self, most: int, seconds: float = 10.0) -> None:
        """Let so many queries of runs pass in so many seconds."""
        self._application.queries.most, self._application.queries.seconds = most, seconds

    def add_reviewer(self, email: str, *, name: str = "") -> UUID:
        """The id of a person, who is made known where need be."""
        for reviewer, known in self._annotations.reviewers.items():
            if known.email == email:
                return reviewer
        return self._add_person(email, name or email.partition("@")[0].title())

    def add_service(self, name: str) -> UUID:
        """Make a service account known, which has no e-mail address and is no member; its id."""
        return self._add_person("", name)

    def _add_person(self, email: str, name: str) -> UUID:
        reviewer = self._annotations.new_id("reviewer")
        self._annotations.reviewers[reviewer] = Person(reviewer, email, name)
        return reviewer

    def remove_reviewer(self, email: str) -> None:
        """Let a person leave the workspace; what names them still does."""
        self._annotations.reviewers[self.add_reviewer(email)].is_active = False

    def add_queue(self, name: str, *, reviewers_per_run: int = 1, queue_id: UUID | None = None) -> UUID:
        """Open a queue; its id."""
        return self._annotations.add_queue(name, reviewers_per_run=reviewers_per_run, queue_id=queue_id)

    def assign_queue(self, queue_id: UUID, *reviewers: str | UUID, access: str = ASSIGNED) -> None:
        """Let these, by e-mail address or id, be all reviewers of a queue from now on, and `access` who may review."""
        with self._annotations.held() as queues:
            queues[queue_id].assigned = self._ids(reviewers)
            queues[queue_id].access = access

    def assign(self, queue_run_id: UUID, *reviewers: str | UUID) -> None:
        """Let these, by e-mail address or id, be all that a run is assigned to."""
        with self._annotations.held():
            self._annotations.place(queue_run_id).assigned_to = self._ids(reviewers)

    def _ids(self, reviewers: Sequence[str | UUID]) -> list[UUID]:
        return [self.add_reviewer(each) if isinstance(each, str) else each for each in reviewers]

    def disagree(self, queue_run_id: UUID, *, settled: bool = False) -> None:
        """Let those who completed a run disagree on it; `settled`: let there be a final answer."""
        with self._annotations.held():
            self._annotations.place(queue_run_id).disagreed = not settled

    def compare_reviews(self, *, on: bool) -> None:
        """Switch the workspace's multi-reviewer queues on or off."""
        self._annotations.compares = on

    def rename_queue(self, queue_id: UUID, name: str) -> None:
        """Call a queue something else."""
        with self._annotations.held() as queues:
            queues[queue_id].name = name

    def remove_queue(self, queue_id: UUID) -> None:
        """Delete a queue with everything in it."""
        self._annotations.remove_queue(queue_id)

    def add_run(  # noqa: PLR0913  (what a scene may want to vary)
        self,
        queue_id: UUID,
        *,
        name: str = "answer a question",
        run_type: str = "chain",
        tags: Sequence[str] = (),
        error: str | None = None,
        added_at: datetime | None = None,
        undated: bool = False,
        thread_id: str | None = None,
        conversation: bool = False,
        payload: int = 0,
        tokens: int = 0,
        cost: str | None = None,
        scores: Mapping[str, float] | None = None,
        run_id: UUID | None = None,
        expires_at: datetime | None = None,
    ) -> UUID:
        """Put a run (or a conversation) into a queue; its `queue_run_id`.

        It is added now unless `added_at` says otherwise; `payload` is the size of its inputs and of its outputs. Its
        trace is kept until it `expires_at`.
        """
        added = None if undated else added_at or self._annotations.now()
        place = Place(
            queue_run_id=self._annotations.new_id("queue run"),
            queue_id=queue_id,
            run_id=run_id or self._annotations.new_id("run"),
            number=self._annotations.next_number(),
            name=name,
            run_type=run_type,
            started_at=self._annotations.started_before(added),
            added_at=added,
            tags=tuple(tags),
            error=error,
            thread_id=thread_id or (str(self._annotations.new_id("thread")) if conversation else None),
            conversation=conversation,
            payload=payload,
            tokens=tokens,
            cost=cost,
            scores=scores or {},
            expires_at=expires_at,
        )
        self._annotations.put(place)
        return place.queue_run_id

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let all that is done within show at once: no listing sees a part of it."""
        with self._annotations.held():
            yield

    def complete(self, queue_run_id: UUID, *, reviewer: str = "someone@example.com") -> None:
        """A reviewer is done with a run."""
        self._annotations.complete(queue_run_id, self.add_reviewer(reviewer))

    def reserve(self, queue_run_id: UUID, *, reviewer: str = "someone@example.com") -> None:
        """A reviewer opens a run."""
        self._annotations.reserve(queue_run_id, self.add_reviewer(reviewer))

    def release(self, queue_run_id: UUID) -> None:
        """Everybody lets go of a run."""
        self._annotations.release(queue_run_id)

    def remove(self, queue_run_id: UUID) -> None:
        """Take a run out of its queue without a review."""
        self._annotations.remove(queue_run_id)

    def requeue(self, queue_run_id: UUID, at: datetime | None = None, *, reviewer: str = "") -> None:
        """Put a run back into its queue: for everybody, or for one reviewer's own view."""
        who = self.add_reviewer(reviewer) if reviewer else None
        self._annotations.requeue(queue_run_id, at or self._annotations.now(), who)

    def switch_off(self, route: str) -> None:
        """Let a route not exist, as on an older server. `route` is a path with `{queue_id}` as it is published."""
        self._application.missing.add(route)

    def switch_on(self, route: str) -> None:
        """Let a route exist again."""
        self._application.missing.discard(route)

    def serve_the_seed_alone(self) -> None:
        """Answer 404 everywhere but at the listing that the product is specified on."""
        self._application.missing |= self._application.paths - {RUNS}

    def deprecate(self, *, deprecation: str = "true", sunset: str = "Sun, 31 Jan 2027 00:00:00 GMT") -> None:
        """Let the older endpoints say that they will go; '' leaves a header out, both '' end it."""
        headers = {"deprecation": deprecation, "sunset": sunset}
        self._application.deprecated = {name: value for name, value in headers.items() if value}

    def unpack(self) -> None:
        """Never pack an answer with gzip from now on."""
        self._application.packs = False

    def before_each_answer(self, act: Callable[[ReceivedRequest], None] | None) -> None:
        """Call `act` with each request before it is answered, so that things can happen between two pages."""
        self._application.before = act

    def fail(
        self,
        how: How = How.STATUS,
        *,
        path: str = "",
        status: int = 500,
        retry_after: str | None = None,
        body: bytes = b"",
        times: int | None = None,
    ) -> None:
        """Let requests whose path contains `path` go wrong, `times` times or until `heal()`."""
        self._faults.plan(SourceFault(how, path, status, retry_after, body, times=times))

    def heal(self) -> None:
        """End every fault, and what hangs because of one."""
        self._faults.heal()
