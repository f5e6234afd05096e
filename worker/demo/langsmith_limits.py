"""The limit that the simulated LangSmith sets to queries of runs, apart from that of all requests. Thread-safe."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING

from worker.demo.langsmith_params import RefusedError

if TYPE_CHECKING:
    from worker.core.ports import Clock

QUERY = "/api/v2/runs/query"
MOST = 15
SECONDS = 10.0


class QueryLimit:
    """At most so many queries in so many seconds; the others are turned away with a 429 that says when to return."""

    def __init__(self, clock: Clock, most: int = MOST, seconds: float = SECONDS) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._admitted: deque[float] = deque()
        self.most = most
        self.seconds = seconds

    def admit(self, path: str) -> None:
        """Let a request pass, or raise RefusedError."""
        if path != QUERY:
            return
        with self._lock:
            now = self._clock.monotonic()
            while self._admitted and self._admitted[0] <= now - self.seconds:
                self._admitted.popleft()
            if len(self._admitted) >= self.most:
                wait = math.ceil(self._admitted[0] + self.seconds - now)
                raise RefusedError(429, {"detail": "Rate limit exceeded"}, {"retry-after": str(max(wait, 1))})
            self._admitted.append(now)
