"""The simulated LangSmith and Slack as one stage: what people do there, and what has been seen. Thread-safe."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker.demo.langsmith.server import SimulatedLangSmith
from worker.demo.langsmith.state import DONE, MINE, Key
from worker.demo.slack.server import Mode, SimulatedSlack
from worker.demo.slack.workspace import MethodError
from worker.demo.story import cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.ports import Clock
    from worker.demo.langsmith.state import Place
    from worker.demo.slack.workspace import Event
    from worker.demo.story.cast import Tempo, TracedRun

LINES = 200
"""The number of the worker's lines that are kept."""

REVIEWER = "sam@example.com"
LANGSMITH, SLACK = "langsmith", "slack"


class ImpossibleError(Exception):
    """A request that cannot be fulfilled (any more); `str()` says why."""


class Chapter(Struct, frozen=True):
    """One chapter of the story: `step` of `of`."""

    title: str
    text: str
    step: int = 0
    of: int = 1
    over: bool = False


class Control(Struct, frozen=True):
    """What a person presses, and the `option` that is chosen in a menu."""

    action: str
    block: str = ""
    option: str = ""


class Said(Struct, frozen=True):
    """One line of the worker's log, in words for people."""

    number: int
    at: datetime
    level: str
    text: str


class Stage:
    """Both simulators, the story so far and the worker's log."""

    def __init__(self, clock: Clock, tempo: Tempo) -> None:
        """Open the channels and the queues; no worker polls yet."""
        self.clock = clock
        self.tempo = tempo
        self.langsmith = SimulatedLangSmith(clock)
        self.slack = SimulatedSlack(clock, team="Demo", url="https://demo.slack.example/")
        for room in cast.ROOMS:
            self.slack.add_channel(room.channel_id, room.name)
        self.queues = {name: self.langsmith.add_queue(name) for name in (cast.SUPPORT, cast.RAG, cast.CLAIMS)}
        self._seat_board()
        self.chapter = Chapter("The worker starts", "")
        self._lock = threading.Lock()
        self._seen: Counter[tuple[str, str, str]] = Counter()
        self._said: deque[Said] = deque(maxlen=LINES)
        self._numbers = itertools.count(1)
        self._any = itertools.cycle(cast.ANY)
        self._down: set[str] = set()
        self.slack.subscribe(self._see)

    def seen(self, what: str, channel: str, kind: str) -> int:
        """The number of posts (`what` is `post`) or edits (`edit`) of messages of a kind in a channel."""
        with self._lock:
            return self._seen[what, channel, kind]

    def said(self) -> Sequence[Said]:
        """The worker's last lines, oldest first."""
        with self._lock:
            return tuple(self._said)

    def say(self, level: str, text: str) -> Said:
        """Keep one line of the worker's."""
        with self._lock:
            said = Said(next(self._numbers), self.clock.now(), level, text)
            self._said.append(said)
            return said

    def is_up(self, service: str) -> bool:
        """Whether LANGSMITH or SLACK works."""
        with self._lock:
            return service not in self._down

    def waiting(self, queue_id: UUID) -> list[Place]:
        """The runs that wait in a queue, oldest first."""
        return self._section(queue_id, MINE)

    def done(self, queue_id: UUID) -> list[Place]:
        """The runs that were reviewed in a queue, the latest first."""
        places = self._section(queue_id, DONE)
        return sorted(places, key=lambda place: place.last_reviewed_at or place.started_at, reverse=True)

    def arrive(self, queue: str, traces: Iterable[TracedRun], *, reserved: bool = False) -> list[UUID]:
        """Put runs into a queue, all at once."""
        with self.langsmith.at_once():
            ids = [self._add(self.queues[queue], trace) for trace in traces]
            for queue_run_id in ids if reserved else ():
                self.langsmith.reserve(queue_run_id, reviewer=REVIEWER)
            return ids

    def add(self, queue_id: UUID) -> None:
        """Put the next of the spare runs into a queue."""
        if queue_id not in self.queues.values():
            raise ImpossibleError("there is no such queue")
        self._add(queue_id, next(self._any))

    def complete(self, *queue_run_ids: UUID) -> None:
        """A reviewer is done with these runs, all at once; of several reviewers the next who owes one."""
        with self.langsmith.at_once():
            for queue_run_id in queue_run_ids:
                place = self._find(queue_run_id, self.waiting)
                self.langsmith.complete(queue_run_id, reviewer=self._next_reviewer(place))

    def reserve(self, queue_run_id: UUID) -> None:
        """A reviewer opens a run."""
        with self.langsmith.at_once():
            if not self._find(queue_run_id, self.waiting).reserved_by:
                self.langsmith.reserve(queue_run_id, reviewer=REVIEWER)

    def release(self, queue_run_id: UUID) -> None:
        """Let no reviewer have the run open any more."""
        with self.langsmith.at_once():
            self._find(queue_run_id, self.waiting)
            self.langsmith.release(queue_run_id)

    def requeue(self, queue_run_id: UUID, *, reserved: bool = False) -> None:
        """Put a reviewed run back into its queue."""
        with self.langsmith.at_once():
            self._find(queue_run_id, self.done)
            self.langsmith.requeue(queue_run_id)
            if reserved:
                self.langsmith.reserve(queue_run_id, reviewer=REVIEWER)

    def fail(self, service: str) -> None:
        """Let LANGSMITH or SLACK answer nothing but errors."""
        with self._lock:
            if service in self._down:
                return
            self._down.add(service)
        if service == SLACK:
            self.slack.fail(error="service_unavailable")
        else:
            self.langsmith.fail(status=503)

    def heal(self, service: str) -> None:
        """Let LANGSMITH or SLACK work again."""
        with self._lock:
            self._down.discard(service)
        (self.slack if service == SLACK else self.langsmith).heal()

    def lose_answer(self, channel: str | None = None) -> None:
        """Let Slack make the next post and break off before it says so."""
        self.slack.fail("chat.postMessage", mode=Mode.COMMIT_THEN_DROP, times=1, channel=channel)

    def press(self, user: str, channel: str, ts: str, control: Control) -> None:
        """Let a person press a control of a message."""
        with _possible():
            how = {"block_id": control.block} if control.block else {}
            how |= {"option": control.option} if control.option else {}
            self.slack.personal.press(user, channel, ts, control.action, **how)

    def write(self, user: str, channel: str, text: str) -> None:
        """Let a person write a command of the app in a channel."""
        name, _, rest = text.strip().partition(" ")
        if name != cast.COMMAND:
            raise ImpossibleError(f"the app has one command here: {cast.COMMAND}")
        with _possible():
            self.slack.personal.command(user, channel, name, rest)

    def open_home(self, user: str) -> None:
        """Let a person open the app's own page."""
        with _possible():
            self.slack.personal.open_home(user)

    def _add(self, queue_id: UUID, trace: TracedRun) -> UUID:
        return self.langsmith.add_run(
            queue_id,
            name=trace.name,
            run_type=trace.run_type,
            tags=trace.tags,
            error=trace.error,
            added_at=self.clock.now() - trace.waits,
        )

    def messages(self) -> dict[str, list[dict[str, Any]]]:
        """All that stands in each channel, and in the direct messages with each person who has any."""
        found = {room.channel_id: self.slack.messages(room.channel_id) for room in cast.ROOMS}
        direct = {channel: self.slack.direct_messages(each.user) for channel, each in cast.DIRECT_MESSAGES.items()}
        return found | {channel: messages for channel, messages in direct.items() if messages}

    def _seat_board(self) -> None:
        """Open the queue whose runs three reviewers owe a review each, and let them join Slack."""
        emails = [each.email for each in cast.BOARD]
        for each in cast.BOARD:
            self.langsmith.add_reviewer(each.email, name=each.name)
            self.slack.add_user(each.user, each.email, each.name)
        queue_id = self.queues[cast.SAFETY] = self.langsmith.add_queue(cast.SAFETY, reviewers_per_run=len(emails))
        self.langsmith.assign_queue(queue_id, *emails)

    def _next_reviewer(self, place: Place) -> str:
        if place.queue_id != self.queues[cast.SAFETY]:
            return REVIEWER
        owing = (each.email for each in cast.BOARD if self.langsmith.add_reviewer(each.email) not in place.completed_by)
        return next(owing, REVIEWER)

    def _find(self, queue_run_id: UUID, among: Callable[[UUID], list[Place]]) -> Place:
        for queue_id in self.queues.values():
            for place in among(queue_id):
                if place.queue_run_id == queue_run_id:
                    return place
        raise ImpossibleError("the run is not there any more")

    def _section(self, queue_id: UUID, status: str) -> list[Place]:
        with self.langsmith.at_once():
            queues = {queue.queue_id: queue for queue in self.langsmith.queues}
            return queues[queue_id].section(status, Key())

    def _see(self, event: Event) -> None:
        with self._lock:
            self._seen[event.kind, event.channel, kind_of(event.message)] += 1


@contextlib.contextmanager
def _possible() -> Iterator[None]:
    """What Slack refuses a person is impossible."""
    try:
        yield
    except MethodError as refusal:
        gone = "the worker has no link to Slack at present" if refusal.code == "no_link" else "it is not there any more"
        raise ImpossibleError(gone) from None


def kind_of(message: dict[str, Any]) -> str:
    """The kind that a message carries in its metadata."""
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return str(payload.get("kind", ""))
