"""Holds deliveries back for a channel's pace, a destination that refuses, a service that fails or loses answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from worker.core.cooldown import Cooldown
from worker.core.delivery import LONGEST_QUIET, paused
from worker.core.overview import Area, Asked
from worker.core.owed import EVERYWHERE, State
from worker.core.ports import DeliveryError, Outcome
from worker.loops.incidents import Board

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.overview import Meter
    from worker.core.owed import Destination, Pause
    from worker.core.ports import Clock, Incidents, Notifier
    from worker.core.store_roles import Channels
    from worker.loops.incidents import Ops

log = structlog.get_logger(__name__)

LONGEST_BLINDNESS = timedelta(minutes=1)
"""The longest wait after look-ups that failed."""

LOST_EVERYWHERE = 3
"""When answers are lost at this many destinations and no message is taken, the whole service is in trouble."""

PROVE_EVERY = timedelta(hours=1)
"""The time for which a token counts as good without a post."""

ASK_AGAIN = timedelta(minutes=1)
"""The wait before the token is checked again, where the notifier did not answer."""

SERVICE_TROUBLE = frozenset({Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN})
"""Failures that the next delivery would meet, too, whatever it is and wherever it goes."""

OWED = frozenset({State.PENDING, State.SENDING, State.UNKNOWN})
"""The states of deliveries that are to be posted without an operator's help."""


class Patience:
    """Lets one failure stop the attempts that would fail for the same reason. For one thread.

    A destination's pause is kept in the store, because it may last for hours; a service's trouble is kept in memory
    only, because the first attempt after a restart finds it again. A rest that the notifier asks for holds for the
    other workers as well. A lost answer holds back its own destination alone, while look-ups go on: what they find ends
    the wait.
    """

    def __init__(
        self,
        *,
        channels: Channels,
        notifier: Notifier,
        clock: Clock,
        ops: Ops,
        meter: Meter,
        incidents: Incidents | None = None,
    ) -> None:
        """Hold nothing back yet but what the store remembers."""
        self._channels = channels
        self._notifier = notifier
        self._clock = clock
        self._ops = ops
        self._meter = meter
        self._lateness = Lateness(incidents or Board(clock), clock, notifier.limits.name)
        self._pauses: dict[Destination, Pause] = {}
        self._reported: set[Destination] = set()
        self._paces: dict[Destination, Cooldown] = {}
        self._service = Cooldown()
        self._throttled = Cooldown()
        self._losing: dict[Destination, Cooldown] = {}
        self._looks = Cooldown()
        self._doubted = False
        self._proof = Cooldown()
        self.asked = Asked()
        """The last answer of the notifier since the start."""

    @property
    def paced_for(self) -> timedelta:
        """The wait until the first destination that was just posted to is free again; zero where there is none."""
        at, paced = self._at, self._paced()
        return min((self._paces[destination].left(at) for destination in paced), default=timedelta(0))

    @property
    def looks_wait(self) -> timedelta:
        """The time for which nothing may be looked up: asking all the same would only make it longer."""
        # One for all messages: the service limits, and fails, a method and not a message.
        return self._looks.left(self._at)

    def may_try(self, now: datetime) -> bool:
        """Whether the notifier may be asked at all: after trouble with the token, once a probe gets through.

        Raises StoreError.
        """
        self._pauses = {pause.destination: pause for pause in self._channels.pauses()}
        token = self._pauses.get(EVERYWHERE)
        return token is None or (token.until <= now and self._service.is_over(self._at) and self._probe())

    def held(self, now: datetime) -> set[Destination]:
        """The destinations that are paused at present."""
        return {destination for destination, pause in self._pauses.items() if pause.until > now}

    def unposted(self) -> set[Destination]:
        """The destinations where nothing is posted at present while look-ups go on; EVERYWHERE: all of them.

        Raises StoreError.
        """
        # After trouble with the service a probe comes first: a post into an outage would only be in doubt as well.
        if not max(self._service, self._throttled).is_over(self._at) or (self._doubted and not self._probe()):
            return {EVERYWHERE}
        losing = {destination for destination, wait in self._losing.items() if not wait.is_over(self._at)}
        return self._paced() | losing

    def posting(self, destination: Destination) -> None:
        """Take note that a message goes out to a destination."""
        self._paces[destination] = Cooldown.of(self._notifier.limits.pace, self._at)

    def posted(self, destination: Destination) -> None:
        """Take note that the message was taken: all that held its destination back is over. Raises StoreError."""
        # Again, because the pace counts from the end of the request.
        self.posting(destination)
        self._throttled = Cooldown()
        self._arrived(destination)
        self._works_again(self._pauses.get(EVERYWHERE))
        self._works_again(self._pauses.get(destination))

    def looked_up(self, destination: Destination, *, found: bool) -> None:
        """Take note that a look-up was answered; if it `found` the message, the post was taken."""
        self._looks = Cooldown()
        if found:
            self._arrived(destination)

    def _arrived(self, destination: Destination) -> None:
        self._losing.pop(destination, None)
        self._service = Cooldown()
        self._lateness.over()
        self._proven()

    def nothing_to_try(self) -> None:
        """Take note that a probe got through while nothing is to be sent. Raises StoreError."""
        # No post can prove now that posts get through again, so the probe has to be proof enough.
        self._works_again(self._pauses.get(EVERYWHERE))
        if self._lateness.is_announced and not any(backlog.state in OWED for backlog in self._channels.backlog()):
            self._lateness.over()
        if self._proof.is_over(self._at):
            self._prove()

    def refused(self, error: DeliveryError, destination: Destination, message: str = "") -> None:
        """Take note that a post to a destination failed, and of what `message`. Raises StoreError."""
        self.posting(destination)
        if error.outcome in SERVICE_TROUBLE:
            self._keep_quiet(error, destination)
            return
        self._service = Cooldown()
        self._lateness.over()
        if error.outcome is Outcome.TOKEN:
            self._pause(EVERYWHERE, error, message)
        elif error.outcome is Outcome.DESTINATION:
            self._pause(destination, error, message)

    def not_looked_up(self, error: DeliveryError) -> None:
        """Take note that a look-up failed: the next post is preceded by a probe, not held back. Raises StoreError."""
        if error.outcome in SERVICE_TROUBLE:
            self._looks = self._looks.backed_off(self._at, longest=LONGEST_BLINDNESS, wish=error.retry_after)
        if error.outcome is Outcome.THROTTLED:
            self._meter.throttled()
        elif error.outcome in SERVICE_TROUBLE:
            self._doubted = True
        elif error.outcome is Outcome.TOKEN:
            self._pause(EVERYWHERE, error)

    def _prove(self) -> None:
        """Find out whether the token is good, at a start and while nothing is posted."""
        # Before the probe, so that one that raises anything else does not repeat at every step.
        self._proof = Cooldown.of(PROVE_EVERY, self._at)
        try:
            self._notifier.probe()
        except DeliveryError as error:
            self._not_proven(error)
        else:
            self._proven()

    def _not_proven(self, error: DeliveryError) -> None:
        if error.outcome is Outcome.NOT_ASKED:
            self._proven()  # as far as can be seen without a post
        elif error.outcome is Outcome.TOKEN:
            self._pause(EVERYWHERE, error)
        else:
            self._proof = Cooldown.of(ASK_AGAIN, self._at)
            self._unanswered(error)

    def _unanswered(self, error: DeliveryError) -> None:
        since = self.asked.failing_since or self._clock.now()
        self.asked = replace(self.asked, failing_since=since, error=str(error))

    def _proven(self) -> None:
        self._proof = Cooldown.of(PROVE_EVERY, self._at)
        self.asked = Asked(taken_at=self._clock.now())

    def _probe(self) -> bool:
        try:
            self._notifier.probe()
        except DeliveryError as error:
            if error.outcome is not Outcome.NOT_ASKED:
                self._probed_in_vain(error)
                return False
        self._doubted = False
        self._proven()
        return True

    def _probed_in_vain(self, error: DeliveryError) -> None:
        if error.outcome is Outcome.TOKEN:
            self._pause(EVERYWHERE, error)
        else:
            self._keep_quiet(error)

    def _keep_quiet(self, error: DeliveryError, destination: Destination | None = None) -> None:
        """Hold back what would fail as well; `destination` is that of the failed post, None after a failed probe."""
        self._unanswered(error)
        self._lateness.failed(error)
        if error.outcome is Outcome.THROTTLED:
            self._meter.throttled()
            self._throttled = self._throttled.backed_off(self._at, longest=LONGEST_QUIET, wish=error.retry_after)
            now = self._clock.now()
            self._channels.rest(now, now + self._throttled.left(self._at))
            return
        self._doubted = True
        if error.outcome is Outcome.UNKNOWN and destination is not None:
            losing = self._losing.get(destination, Cooldown())
            self._losing[destination] = losing.backed_off(self._at, longest=LONGEST_QUIET)
            # A few lost answers may come from one destination's messages: the others still get theirs.
            if error.retry_after is None and len(self._losing) < LOST_EVERYWHERE:
                return
        self._service = self._service.backed_off(self._at, longest=LONGEST_QUIET, wish=error.retry_after)

    def _pause(self, destination: Destination, error: DeliveryError, message: str = "") -> None:
        former = self._pauses.get(destination)
        pause = paused(destination, error, self._clock.now(), former)
        self._pauses[destination] = pause = self._channels.pause(pause)
        if former is None:
            log.error("destination_held", channel=destination.place, error=str(error), until=pause.until)
        # Again with each refusal until it is accepted: on a day with too many reports it is left out at first.
        if destination not in self._reported and self._ops.held(pause, str(error), message):
            self._reported.add(destination)

    def _works_again(self, pause: Pause | None) -> None:
        if pause is None:
            return
        self._channels.resume(pause.destination)
        self._reported.discard(pause.destination)
        log.info("destination_works_again", channel=pause.destination.place, held_since=pause.since)
        self._ops.works_again(pause)

    def _paced(self) -> set[Destination]:
        at = self._at
        self._paces = {destination: pace for destination, pace in self._paces.items() if not pace.is_over(at)}
        return set(self._paces)

    @property
    def _at(self) -> float:
        """The present monotonic time, by which cooldowns are measured."""
        return self._clock.monotonic()


_KIND = "posts_late"
_ENOUGH = 3
"""Attempts in a row without success before posts count as late; one or two failures are usual."""

LATE_FOR = timedelta(minutes=2)
"""The time that has to pass as well: shorter trouble delays a message by no more than an interval or two."""

SLOW = "too_late"
SLOW_FIX = "look for what takes the time: a name server, a proxy, a machine that is too busy; nothing is lost"


class Lateness:
    """Counts attempts to post that met nothing but trouble with the service. For one thread.

    A probe that gets through does not end it: a probe may take its time, and a post may not.
    """

    def __init__(self, incidents: Incidents, clock: Clock, service: str) -> None:
        """Begin with nothing late; `service` is the name of the notifier's service."""
        self._fix = f"`review-notifier check` shows what this machine gets from {service}; nothing is lost"
        self._incidents = incidents
        self._clock = clock
        self._since = clock.now()
        self._began_at = 0.0
        self._failures = 0
        self._announced = ""

    @property
    def is_announced(self) -> bool:
        """Whether it was announced that posts are late."""
        return bool(self._announced)

    def failed(self, error: DeliveryError) -> None:
        """Take note that an attempt failed."""
        # A service that asks for a pause does answer, so posts get through in time later.
        if error.outcome is Outcome.THROTTLED:
            return
        if not self._failures:
            self._since, self._began_at = self._clock.now(), self._clock.monotonic()
        self._failures += 1
        lasted = self._clock.monotonic() - self._began_at
        # By the code, because the words of the same trouble have seconds in them that differ each time.
        if self._failures >= _ENOUGH and lasted >= LATE_FOR.total_seconds() and error.code != self._announced:
            self._announced = error.code
            text = f"no message gets through ({error})"
            fix = SLOW_FIX if error.code == SLOW else self._fix
            self._incidents.begin(_KIND, Area.NOTIFIER, text, fix)

    def over(self) -> None:
        """Take note that a post got through, or that none is owed any more."""
        self._failures = 0
        self._announced = ""
        self._incidents.end(_KIND)
