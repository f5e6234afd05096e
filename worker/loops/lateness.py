"""Notices that messages are late again and again, and says what stands in the way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.ports import Outcome
from worker.core.status.process import Area

if TYPE_CHECKING:
    from worker.core.ports import Clock, DeliveryError, Incidents

KIND = "posts_late"
ENOUGH = 3
"""Attempts in a row without success; one or two are everyday life."""

LASTS = timedelta(minutes=2)
"""And for so long: what is over sooner has cost less than a queue's interval or two."""

SLOW = "too_late"
SLOW_FIX = "see to what takes the time: a name server, a proxy, a machine that is too busy; what is owed is kept"


class Lateness:
    """Counts attempts to post of which nothing came but trouble with the service. For one thread.

    That a probe gets through shows nothing: it may take as long as it likes, and a post may not.
    """

    def __init__(self, incidents: Incidents, clock: Clock, service: str) -> None:
        """Nothing is late yet; `service` is who takes the messages, as people write it."""
        self._fix = f"`review-notifier check` shows what this machine gets from {service}; what is owed is kept"
        self._incidents = incidents
        self._clock = clock
        self._since = clock.now()
        self._began_at = 0.0
        self._failures = 0
        self._announced = ""

    @property
    def is_announced(self) -> bool:
        """Whether people are told of it."""
        return bool(self._announced)

    def failed(self, error: DeliveryError) -> None:
        """Nothing got through. A service that asks for patience answers, so that is no trouble of this kind."""
        if error.outcome is Outcome.THROTTLED:
            return
        if not self._failures:
            self._since, self._began_at = self._clock.now(), self._clock.monotonic()
        self._failures += 1
        lasted = self._clock.monotonic() - self._began_at
        # The same trouble keeps its words, which hold seconds that differ.
        if self._failures >= ENOUGH and lasted >= LASTS.total_seconds() and error.code != self._announced:
            self._announced = error.code
            text = f"no message gets through since {self._since:%Y-%m-%d %H:%M} UTC ({error})"
            fix = SLOW_FIX if error.code == SLOW else self._fix
            self._incidents.begin(KIND, Area.NOTIFIER, text, fix)

    def over(self) -> None:
        """One got through, or none is owed any more."""
        self._failures = 0
        self._announced = ""
        self._incidents.end(KIND)
