"""A Notifier that keeps its posts in memory and fails as it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.message import fingerprint
from worker.core.owed import Receipt
from worker.core.ports import DeliveryError, Outcome, always
from worker.notifiers.slack.notifier import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.core.message import Message
    from worker.core.ports import Limits


@dataclass(frozen=True, slots=True)
class Failure:
    """What one call comes to. `committed`: the post is made all the same; `after_looks`: seen only by later looks."""

    error: DeliveryError
    committed: bool = False
    after_looks: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """A message on the board. `hidden_for` counts the looks that do not find it yet."""

    receipt: Receipt
    message: Message
    hidden_for: int = 0


class FakeNotifier:
    """Thread-safe. `attempts`, `looks` and `edits` record every call, `board` holds what people see, oldest first."""

    def __init__(self) -> None:
        self.attempts: list[Message] = []
        self.looks: list[Message] = []
        self.edits: list[tuple[Message, Receipt]] = []
        self.probes = 0
        self.meanwhile: Callable[[], None] | None = None
        """Happens while an edit is made."""
        self._posts: list[Post] = []
        self._failures: dict[str, list[Failure]] = {"send": [], "find": [], "edit": [], "probe": []}
        self._lock = threading.RLock()
        self._number = 0

    @property
    def board(self) -> list[Message]:
        """What stands in the channels, as last edited."""
        with self._lock:
            return [post.message for post in self._posts]

    def fail(
        self,
        call: str,
        outcome: Outcome,
        *,
        code: str = "",
        retry_after: timedelta | None = None,
        times: int = 1,
        committed: bool = False,
        after_looks: int = 0,
    ) -> None:
        """Let the next `times` calls of `send`, `find`, `edit` or `probe` come to `outcome`."""
        error = DeliveryError(f"told to fail: {code or outcome}", outcome, code=code, retry_after=retry_after)
        self._failures[call] += [Failure(error, committed=committed, after_looks=after_looks)] * times

    def heal(self) -> None:
        """Let no further call fail."""
        for failures in self._failures.values():
            failures.clear()

    def delete(self, receipt: Receipt) -> None:
        """Take a message off the board, as a person would."""
        with self._lock:
            self._posts = [post for post in self._posts if post.receipt != receipt]

    @property
    def limits(self) -> Limits:
        return LIMITS

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        with self._lock:
            self._require(in_time)
            self.attempts.append(message)
            failure = self._next("send")
            if failure is None:
                return self._post(message).receipt
            if failure.committed:
                self._post(message, hidden_for=failure.after_looks)
            raise failure.error

    def find(self, message: Message, since: datetime) -> Receipt | None:
        with self._lock:
            self.looks.append(message)
            self._raise("find")
            seen = [post for post in self._posts if post.message.key == message.key and not post.hidden_for]
            self._posts = [replace(post, hidden_for=max(post.hidden_for - 1, 0)) for post in self._posts]
            return next((post.receipt for post in seen if post.message.as_of >= since - timedelta(minutes=1)), None)

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        with self._lock:
            self._require(in_time)
            self.edits.append((message, receipt))
            self._raise("edit")
            if all(post.receipt != receipt for post in self._posts):
                raise DeliveryError("no such message", Outcome.EDIT, code="message_not_found")
            self._posts = [replace(post, message=message) if post.receipt == receipt else post for post in self._posts]
            if self.meanwhile is not None:
                self.meanwhile()

    def probe(self) -> None:
        with self._lock:
            self.probes += 1
            self._raise("probe")

    def fingerprint(self, message: Message) -> str:
        return fingerprint(message)

    @staticmethod
    def _require(in_time: Callable[[], bool]) -> None:
        if not in_time():
            raise DeliveryError("too late to begin", Outcome.RETRY, code="too_late")

    def _post(self, message: Message, hidden_for: int = 0) -> Post:
        self._number += 1
        post = Post(Receipt(message.destination.place, f"{self._number}.000000"), message, hidden_for)
        self._posts.append(post)
        return post

    def _next(self, call: str) -> Failure | None:
        return self._failures[call].pop(0) if self._failures[call] else None

    def _raise(self, call: str) -> None:
        failure = self._next(call)
        if failure is not None:
            raise failure.error
