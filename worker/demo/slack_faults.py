"""Faults that the simulated Slack plays on request: what is done, what is answered, for how long."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Mode(StrEnum):
    """What happens to a call. "Committed" means that Slack has done it, whatever it answers."""

    DROP_BEFORE = "drop_before"  # not done, connection cut
    COMMIT_THEN_DROP = "commit_then_drop"  # done, connection cut
    LATE_COMMIT = "late_commit"  # connection cut at once, done `delay` seconds later
    HANG = "hang"  # not done, no answer before it is healed
    COMMIT_THEN_HANG = "commit_then_hang"  # done, no answer before it is healed
    HALF_ANSWER = "half_answer"  # done, the answer breaks off
    DRIP = "drip"  # done, the answer comes byte by byte and never ends
    HTML = "html"  # not done, a page with status 200
    HTML_AFTER_COMMIT = "html_after_commit"  # done, a page with status 200
    NO_TS = "no_ts"  # done, `ok` without saying where
    STATUS_500_AFTER_COMMIT = "500_after_commit"
    RATELIMITED = "ratelimited"  # not done, 429 with Retry-After
    REDIRECT = "redirect"  # not done, 302 to `location`
    STATUS = "status"  # not done, the HTTP status given
    ERROR = "error"  # not done, `ok: false` with the error given
    ERROR_AFTER_COMMIT = "error_after_commit"  # done, `ok: false` with the error given


COMMITTING = frozenset(
    {
        Mode.COMMIT_THEN_DROP,
        Mode.COMMIT_THEN_HANG,
        Mode.HALF_ANSWER,
        Mode.DRIP,
        Mode.HTML_AFTER_COMMIT,
        Mode.NO_TS,
        Mode.STATUS_500_AFTER_COMMIT,
        Mode.ERROR_AFTER_COMMIT,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One plan: which calls it meets (`*`: every method), what happens to them, how often (None: until healed).

    The first `after` calls that it meets go through.
    """

    method: str
    mode: Mode
    error: str = ""
    status: int = 500
    times: int | None = None
    after: int = 0
    channel: str | None = None
    retry_after: int | None = None
    delay: float = 1.0
    location: str = ""

    def meets(self, method: str, channel: str) -> bool:
        """Whether it is meant for this call."""
        return self.method in {"*", method} and self.channel in {None, channel}

    def spent_once(self) -> Self | None:
        """What is left of the plan after one more call."""
        if self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else None


class Faults:
    """The plans that stand, oldest first. Thread-safe."""

    def __init__(self) -> None:
        """Nothing fails yet."""
        self._lock = threading.Lock()
        self._plans: list[Fault] = []
        self.healed = 0
        """How often anything was healed: calls that hang are let go when it rises."""

    def add(self, fault: Fault) -> None:
        """Let calls fail from now on."""
        with self._lock:
            self._plans.append(fault)

    def heal(self, method: str | None = None) -> None:
        """End the plans for one method, or all."""
        with self._lock:
            self.healed += 1
            self._plans = [plan for plan in self._plans if method not in {None, plan.method}]

    def take(self, method: str, channel: str) -> Fault | None:
        """The first plan that meets this call; it counts as used."""
        with self._lock:
            for number, plan in enumerate(self._plans):
                if not plan.meets(method, channel):
                    continue
                if plan.after:
                    self._plans[number] = replace(plan, after=plan.after - 1)
                    continue
                left = plan.spent_once()
                self._plans[number : number + 1] = [left] if left else []
                return plan
        return None
