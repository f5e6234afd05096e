"""Keeps deliveries back: a channel's pace, a destination that refuses, a service in trouble, posts that are late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.delivery import LONGEST_QUIET, paused
from worker.core.overview import Asked
from worker.core.owed import EVERYWHERE, State
from worker.core.ports import DeliveryError, Outcome
from worker.core.status.process import Area
from worker.loops.report import Board

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.meter import Meter
    from worker.core.owed import Pause
    from worker.core.ports import Clock, Incidents, Notifier
    from worker.core.roles import Channels
    from worker.loops.report import Ops

log = structlog.get_logger(__name__)

LONGEST_BLINDNESS = timedelta(minutes=1)
"""How long look-ups that fail are put off at most."""

LOST_EVERYWHERE = 3
"""Answers that are lost in so many channels, and in none is anything taken: that is the service's trouble."""

PROVE_EVERY = timedelta(hours=1)
"""How long a token is taken for good that nothing was posted with."""

ASK_AGAIN = timedelta(minutes=1)
"""When to ask again whether the token is good, where the notifier did not answer."""

SERVICE_TROUBLE = frozenset({Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN})
"""Failures that the next delivery would meet too, whatever it is and wherever it goes."""

OWED = frozenset({State.PENDING, State.SENDING, State.UNKNOWN})
"""The states of what is to be posted without anybody's help."""


class Patience:
    """Lets one failure stop the attempts that would fail for the same reason. For one thread.

    A destination's pause is kept in the store, for it may last for hours; a service's trouble in memory only: the
    first attempt after a restart finds out. A rest that the notifier asks for is told to other workers as well. A lost
    answer holds back its own channel alone, and look-ups go on: what they find ends the wait.
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
        """Nothing is kept back yet but what the store remembers."""
        self._channels = channels
        self._notifier = notifier
        self._clock = clock
        self._ops = ops
        self._meter = meter
        self._lateness = Lateness(incidents or Board(clock), clock, notifier.limits.name)
        self._pauses: dict[str, Pause] = {}
        self._told: set[str] = set()
        self._paces: dict[str, Cooldown] = {}
        self._service = Cooldown()
        self._throttled = Cooldown()
        self._losing: dict[str, Cooldown] = {}
        self._looks = Cooldown()
        self._doubted = False
        self._proof = Cooldown()
        self.asked = Asked()
        """Whether the notifier answers, and has taken the token since the start."""

    @property
    def paced_for(self) -> timedelta:
        """How soon the next of the channels that are spared for a moment is free; zero where there is none."""
        at, paced = self._at, self._paced()
        return min((self._paces[channel].left(at) for channel in paced), default=timedelta(0))

    @property
    def looks_wait(self) -> timedelta:
        """How long nothing may be looked up: limits and troubles hold for a method, not for a message."""
        return self._looks.left(self._at)

    def may_try(self, now: datetime) -> bool:
        """Whether the notifier may be asked at all: after trouble with the token, once a probe gets through.

        Raises StoreError.
        """
        self._pauses = {pause.channel: pause for pause in self._channels.pauses()}
        token = self._pauses.get(EVERYWHERE)
        return token is None or (token.until <= now and self._service.is_over(self._at) and self._probe())

    def held(self, now: datetime) -> set[str]:
        """The channels that are left alone at present."""
        return {channel for channel, pause in self._pauses.items() if pause.until > now}

    def unposted(self) -> set[str]:
        """The channels where nothing is posted at present and look-ups go on; EVERYWHERE where that is all of them.

        After trouble with the service a probe has to get through first, so that an outage makes nobody guess what
        became of a message. Raises StoreError.
        """
        if not max(self._service, self._throttled).is_over(self._at) or (self._doubted and not self._probe()):
            return {EVERYWHERE}
        return self._paced() | {channel for channel, losing in self._losing.items() if not losing.is_over(self._at)}

    def posting(self, channel: str) -> None:
        """A message goes out to a channel."""
        self._paces[channel] = Cooldown.of(self._notifier.limits.pace, self._at)

    def posted(self, channel: str) -> None:
        """It was taken: whatever held its channel back is over. Raises StoreError."""
        self.posting(channel)
        self._throttled = Cooldown()
        self._arrived(channel)
        self._works_again(self._pauses.get(EVERYWHERE))
        self._works_again(self._pauses.get(channel))

    def looked_up(self, channel: str, *, found: bool) -> None:
        """A look-up was answered; where it `found` the message, the post was taken although its answer is lost."""
        self._looks = Cooldown()
        if found:
            self._arrived(channel)

    def _arrived(self, channel: str) -> None:
        self._losing.pop(channel, None)
        self._service = Cooldown()
        self._lateness.over()
        self._proven()

    def nothing_to_try(self) -> None:
        """A probe got through and nothing waits to be sent: that has to do as proof. Raises StoreError."""
        self._works_again(self._pauses.get(EVERYWHERE))
        if self._lateness.is_announced and not any(backlog.state in OWED for backlog in self._channels.backlog()):
            self._lateness.over()
        if self._proof.is_over(self._at):
            self._prove()

    def refused(self, error: DeliveryError, channel: str) -> None:
        """A post to a channel failed. Raises StoreError."""
        self.posting(channel)
        if error.outcome in SERVICE_TROUBLE:
            self._keep_quiet(error, channel)
            return
        self._service = Cooldown()
        self._lateness.over()
        if error.outcome is Outcome.TOKEN:
            self._pause(EVERYWHERE, error)
        elif error.outcome is Outcome.DESTINATION:
            self._pause(channel, error)

    def not_looked_up(self, error: DeliveryError) -> None:
        """A look-up failed: a reason to ask before the next post, not to hold it back. Raises StoreError."""
        if error.outcome in SERVICE_TROUBLE:
            self._looks = self._looks.backed_off(self._at, longest=LONGEST_BLINDNESS, wish=error.retry_after)
        if error.outcome is Outcome.THROTTLED:
            self._meter.throttled()
        elif error.outcome in SERVICE_TROUBLE:
            self._doubted = True
        elif error.outcome is Outcome.TOKEN:
            self._pause(EVERYWHERE, error)

    def _prove(self) -> None:
        """See whether the token is good, at a start and in a quiet night; other trouble is for a post to find out."""
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

    def _keep_quiet(self, error: DeliveryError, channel: str | None = None) -> None:
        """Leave alone what is in trouble; `channel` is where a post failed, None where the service was asked itself."""
        self._unanswered(error)
        self._lateness.failed(error)
        if error.outcome is Outcome.THROTTLED:
            self._meter.throttled()
            self._throttled = self._throttled.backed_off(self._at, longest=LONGEST_QUIET, wish=error.retry_after)
            now = self._clock.now()
            self._channels.rest(now, now + self._throttled.left(self._at))
            return
        self._doubted = True
        if error.outcome is Outcome.UNKNOWN and channel is not None:
            losing = self._losing.get(channel, Cooldown())
            self._losing[channel] = losing.backed_off(self._at, longest=LONGEST_QUIET)
            if error.retry_after is None and len(self._losing) < LOST_EVERYWHERE:
                return
        self._service = self._service.backed_off(self._at, longest=LONGEST_QUIET, wish=error.retry_after)

    def _pause(self, channel: str, error: DeliveryError) -> None:
        former = self._pauses.get(channel)
        pause = paused(channel, error, self._clock.now(), former)
        self._pauses[channel] = pause = self._channels.pause(pause)
        if former is None:
            log.error("destination_held", channel=channel, error=str(error), until=pause.until)
        # Among too many troubles it may be left out at first.
        if channel not in self._told and self._ops.held(pause, str(error)):
            self._told.add(channel)

    def _works_again(self, pause: Pause | None) -> None:
        if pause is None:
            return
        self._channels.resume(pause.channel)
        self._told.discard(pause.channel)
        log.info("destination_works_again", channel=pause.channel, held_since=pause.since)
        self._ops.works_again(pause)

    def _paced(self) -> set[str]:
        at = self._at
        self._paces = {channel: pace for channel, pace in self._paces.items() if not pace.is_over(at)}
        return set(self._paces)

    @property
    def _at(self) -> float:
        """The monotonic time by which cooldowns are measured."""
        return self._clock.monotonic()


_KIND = "posts_late"
_ENOUGH = 3
"""Attempts in a row without success; one or two are everyday life."""

LATE_FOR = timedelta(minutes=2)
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
        if self._failures >= _ENOUGH and lasted >= LATE_FOR.total_seconds() and error.code != self._announced:
            self._announced = error.code
            text = f"no message gets through since {self._since:%Y-%m-%d %H:%M} UTC ({error})"
            fix = SLOW_FIX if error.code == SLOW else self._fix
            self._incidents.begin(_KIND, Area.NOTIFIER, text, fix)

    def over(self) -> None:
        """One got through, or none is owed any more."""
        self._failures = 0
        self._announced = ""
        self._incidents.end(_KIND)
