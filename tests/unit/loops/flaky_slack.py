"""A Slack that loses answers, commits late, throttles, cannot be read, and beside which processes crash and freeze."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.core.message import fingerprint
from worker.core.owed import Receipt
from worker.core.ports import DeliveryError, Outcome, always
from worker.notifiers.slack.notifier import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from tests.support.clock import FakeClock
    from worker.core.message import Message
    from worker.core.ports import Limits

LATE = timedelta(seconds=7)
"""How long after a lost request its message appears at the latest: between the two looks for it."""

SLOW = timedelta(seconds=30)
"""How long a request takes at most."""

FROZEN = timedelta(seconds=200)
"""How long a process stands still: longer than any lease."""


class Crash(Exception):  # noqa: N818
    """The process is gone at this point; whatever it had claimed stays claimed."""


class Fault(StrEnum):
    """What becomes of one call. Of a send: whether it is posted, and what its caller learns of it."""

    NONE = "none"
    LOST = "made, the answer is lost"
    LATE = "made some seconds after the answer was lost"
    DROPPED = "not made, the answer is lost"
    REFUSED = "not made, and the caller knows"
    THROTTLED = "not made, a pause is asked for"
    CHANNEL = "not made, the channel refuses"
    TOKEN = "not made, the token is refused"
    MESSAGE = "not made, the blocks are refused"
    CRASH_BEFORE = "the process is gone before the call"
    CRASH_AFTER = "made, then the process is gone"
    CRASH_LATE = "the process is gone, and it is made some seconds later"
    SLOW = "made after half a minute"
    SLOW_LOST = "made after half a minute, the answer is lost"
    FROZEN = "made, then the process stands still for minutes"


UNCERTAIN = {
    Fault.LOST, Fault.LATE, Fault.DROPPED, Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_LATE, Fault.SLOW_LOST,
    Fault.FROZEN,
}  # fmt: skip
"""After these nobody knows whether it was made."""

_SURELY_NOT = {
    Fault.REFUSED: Outcome.RETRY,
    Fault.THROTTLED: Outcome.THROTTLED,
    Fault.CHANNEL: Outcome.DESTINATION,
    Fault.TOKEN: Outcome.TOKEN,
    Fault.MESSAGE: Outcome.MESSAGE,
}


@dataclass(frozen=True)
class Standing:
    """A message that people see, with the key in its metadata."""

    at: datetime
    receipt: Receipt
    key: UUID | None
    message: Message


class FlakySlack:
    """A Notifier. `meanwhile` lets so much time pass for all others; `uncertain` and `blind` count what nobody knew."""

    def __init__(self, clock: FakeClock, *, edits_keep_metadata: bool = True) -> None:
        self.standing: list[Standing] = []
        self.readable = True
        self.uncertain = 0
        self.blind = 0
        self.sends: deque[Fault] = deque()
        self.finds: deque[Fault] = deque()
        self.edits: deque[Fault] = deque()
        self.meanwhile: Callable[[timedelta], None] = clock.advance
        self._clock = clock
        self._edits_keep_metadata = edits_keep_metadata
        self._late: list[tuple[datetime, Message]] = []
        self._number = 0

    def heal(self) -> None:
        """No faults from now on."""
        self.readable = True
        for faults in (self.sends, self.finds, self.edits):
            faults.clear()

    @property
    def limits(self) -> Limits:
        return LIMITS

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        self._commit_late()
        if not in_time():
            raise DeliveryError("too late to begin", Outcome.RETRY, code="too_late")
        fault = self.sends.popleft() if self.sends else Fault.NONE
        self.uncertain += fault in UNCERTAIN
        if fault in _SURELY_NOT:
            raise DeliveryError(fault, _SURELY_NOT[fault], retry_after=timedelta(seconds=3))
        return self._send(message, fault)

    def _send(self, message: Message, fault: Fault) -> Receipt:
        if fault in {Fault.LATE, Fault.CRASH_LATE}:
            self._late.append((self._clock.now() + LATE, message))
        if fault in {Fault.SLOW, Fault.SLOW_LOST}:
            receipt = self._commit_slowly(message)
        elif fault in _NOT_MADE:
            receipt = Receipt(message.destination.place, "")
        else:
            receipt = self._commit(message, self._clock.now())
        if fault is Fault.FROZEN:
            self.meanwhile(FROZEN)
        self._end(fault, Outcome.UNKNOWN)
        return receipt

    def _end(self, fault: Fault, lost: Outcome) -> None:
        """Let the caller know what it gets to know."""
        if fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_LATE}:
            raise Crash(fault)
        if fault in {Fault.LOST, Fault.LATE, Fault.DROPPED, Fault.SLOW_LOST}:
            raise DeliveryError(fault, lost)

    def find(self, message: Message, since: datetime) -> Receipt | None:
        self._commit_late()
        fault = self.finds.popleft() if self.finds else Fault.NONE
        if fault is Fault.THROTTLED:
            raise DeliveryError(fault, Outcome.THROTTLED, retry_after=timedelta(seconds=20))
        self._end(fault, Outcome.RETRY)
        if not self.readable:
            self.blind += 1
            raise DeliveryError("the history may not be read", Outcome.BLIND)
        oldest = since - timedelta(minutes=1)
        return next((post.receipt for post in self.standing if post.key == message.key and post.at >= oldest), None)

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        self._commit_late()
        if not in_time():
            raise DeliveryError("too late to begin", Outcome.RETRY, code="too_late")
        fault = self.edits.popleft() if self.edits else Fault.NONE
        if fault is Fault.THROTTLED:
            raise DeliveryError(fault, Outcome.THROTTLED, retry_after=timedelta(seconds=20))
        if fault not in _NOT_MADE:
            self.standing = [self._edited(post, message) if post.receipt == receipt else post for post in self.standing]
        self._end(fault, Outcome.RETRY)

    def _edited(self, post: Standing, message: Message) -> Standing:
        return replace(post, message=message, key=post.key if self._edits_keep_metadata else None)

    def probe(self) -> None:
        """The token is good."""

    def fingerprint(self, message: Message) -> str:
        return fingerprint(message)

    def _commit_slowly(self, message: Message) -> Receipt:
        """Made when the time has come, however long the others need meanwhile."""
        at = self._clock.now() + SLOW
        self._late.append((at, message))
        self.meanwhile(SLOW)
        self._commit_late()
        return next(post.receipt for post in self.standing if (post.at, post.message.key) == (at, message.key))

    def _commit_late(self) -> None:
        due = [late for late in self._late if late[0] <= self._clock.now()]
        self._late = [late for late in self._late if late not in due]
        for at, message in due:
            self._commit(message, at)

    def _commit(self, message: Message, at: datetime) -> Receipt:
        self._number += 1
        receipt = Receipt(message.destination.place, f"{self._number}.000000")
        self.standing.append(Standing(at, receipt, message.key, message))
        return receipt


_NOT_MADE = {Fault.LATE, Fault.DROPPED, Fault.CRASH_BEFORE, Fault.CRASH_LATE}
