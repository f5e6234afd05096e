"""The door to Socket Mode: opens links, says how long to wait for the next, and announces that none can be opened.

It counts the links, too: a ghost is one that Slack counts and no worker holds, and swallows its share of the presses.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.overview import Area, LinkState
from worker.core.ports import DeliveryError, Outcome
from worker.net.failures import FailureKind, NetError
from worker.net.link import PING_SECONDS, Link, place_of
from worker.notifiers.slack.envelopes import envelope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from worker.core.ports import Clock, Incidents
    from worker.net.route import Route
    from worker.notifiers.slack.notifier import Slack

AGAIN_SECONDS = 90.0
"""The wait before counting again: longer than a link outlives its assignment, or one that Slack replaces."""

RECOUNT_SECONDS = 900.0
"""The time between two counts while there are ghosts. Only a new link shows the number."""

_GHOST = "slack_ghost"
_GHOST_FIX = (
    "let no other program use SLACK_APP_TOKEN: each deployment needs a Slack app of its own; a link that a lost "
    "machine has left ends by itself within hours"
)


class Ghosts:
    """Compares the links that Slack counts with those that are known. Used by the threads of one inbox."""

    def __init__(self, *, others: Callable[[], int], clock: Clock, incidents: Incidents) -> None:
        """`others` gives how many links other workers may hold."""
        self._others = others
        self._clock = clock
        self._incidents = incidents
        self._is_suspected = False
        self._again_at = float("inf")

    def counted(self, links: int, own: int) -> None:
        """Take note that Slack counts so many links, of which `own` are ours."""
        known = own + self._others()
        if links <= known:
            self._is_suspected, self._again_at = False, float("inf")
            self._incidents.end(_GHOST)
            return
        if self._is_suspected:
            text = (
                f"Slack counts {links} links of the app, of which the workers hold {known}: the others swallow presses"
            )
            self._incidents.begin(_GHOST, Area.NOTIFIER, text, _GHOST_FIX)
        # One that was just given up may still be counted: once more before anybody is alarmed.
        wait = RECOUNT_SECONDS if self._is_suspected else AGAIN_SECONDS
        self._is_suspected, self._again_at = True, self._clock.monotonic() + wait

    @property
    def is_recount_due(self) -> bool:
        """Whether a new link is to be opened, to see how many are counted now."""
        return self._clock.monotonic() >= self._again_at


log = structlog.get_logger(__name__)

DISABLED = "link_disabled"
PLANNED = frozenset({"warning", "refresh_requested"})
_KIND = "slack_link"
"""The kind of the incident that nobody can act from Slack."""

_FIX = "put a good app-level token (xapp-…, with connections:write) in SLACK_APP_TOKEN, and turn Socket Mode on"

_LONGEST_WAIT = 60.0
_LONGEST_WISH = 3600.0
REST_SECONDS = 300.0
"""The wait where only an administrator of the app can help; also how long other failures last to be an incident."""

PROVEN_SECONDS = 10.0
"""A link that has lived for so long ends a row of failures; being refused just after a hello goes on with it."""

SHORTEST_LIFE = 1.0
"""Seconds of a link whose replacement is in order."""


@dataclass(eq=False, slots=True)
class LiveLink:
    """A link that is up since `up_at`, by the monotonic clock, and how long it is to be read.

    `is_leaving`: Slack has given it up.
    """

    link: Link
    up_at: float
    opened_at: datetime
    reader: threading.Thread = field(default_factory=threading.Thread)
    read_until: float = float("inf")
    is_leaving: bool = False


class Door:
    """Opens one link at a time. Used by the threads of one inbox."""

    def __init__(  # noqa: PLR0913 - its surroundings, all by name
        self,
        slack: Slack,
        *,
        route: Callable[[str], Route],
        clock: Clock,
        incidents: Incidents,
        jitter: Callable[[], float],
        others: Callable[[], int] = lambda: 0,
        allow_plain: bool = False,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """`slack` has the app token; `route` gives the route to a root; `allow_plain` is for Slack without TLS.

        `others` gives how many links other workers may hold.
        """
        self._slack = slack
        self._route = route
        self._clock = clock
        self._incidents = incidents
        self._jitter = jitter
        self._allow_plain = allow_plain
        self._ping_seconds = ping_seconds
        self._failures = 0
        self._rest = 0.0
        self._failing_since = 0.0
        self.ghosts = Ghosts(others=others, clock=clock, incidents=incidents)
        self.connections = 0
        """The links of the app that Slack counted at the last hello."""

    def wait(self) -> float:
        """The seconds to wait before a link is opened."""
        if not self._failures:
            return 0.0
        # Half of it by chance, so that workers that were cut off together do not come back together.
        backoff = min(2.0 ** min(self._failures - 1, 10), _LONGEST_WAIT) * (1 + self._jitter()) / 2
        return max(backoff, self._rest)

    def open(self, beside: int = 0) -> LiveLink | None:
        """Open a link, up to Slack's hello, `beside` others of ours; None where that failed."""
        try:
            link = self._opened()
        except (DeliveryError, NetError) as error:
            self.failed(error)
            return None
        self._rest = 0.0
        self.ghosts.counted(self.connections, beside + 1)
        log.info("slack_link_open", connections=self.connections)
        return LiveLink(link, self._clock.monotonic(), self._clock.now())

    def state(self, lines: Sequence[LiveLink]) -> LinkState:
        """The links that are open, oldest first."""
        if not lines:
            return LinkState()
        silent = self._clock.monotonic() - max(line.link.pong_at for line in lines)
        pong_at = self._clock.now() - timedelta(seconds=silent)
        return LinkState(lines[-1].opened_at, pong_at, len(lines), self.connections)

    def failed(self, error: DeliveryError | NetError) -> None:
        """Take note of a link that could not be opened, or broke."""
        self._count()
        is_refused, wish = False, None
        if isinstance(error, DeliveryError):
            is_refused, wish = error.outcome is Outcome.TOKEN, error.retry_after
        self._rest = REST_SECONDS if is_refused else min(wish.total_seconds(), _LONGEST_WISH) if wish else 0.0
        why = error.code if isinstance(error, DeliveryError) else str(error)
        log.warning("slack_link_failed", reason=why, failures=self._failures)
        if is_refused or self._clock.monotonic() - self._failing_since >= REST_SECONDS:
            self._incidents.begin(_KIND, Area.NOTIFIER, f"nobody can act from Slack: {why}", _FIX)

    def proven(self, line: LiveLink) -> None:
        """Take note that a link lives."""
        # One that Slack has given up may stay open for long: that is no sign that another can be opened.
        if not line.is_leaving and self._clock.monotonic() - line.up_at >= PROVEN_SECONDS:
            self._failures = 0
            self._incidents.end(_KIND)

    def left(self, reason: str, up_at: float) -> None:
        """Take note that Slack gives a link up for this reason."""
        if reason not in PLANNED:
            self.failed(_refusal(reason))
            return
        log.info("slack_link_replaced", reason=reason)
        # A Slack that replaces every link at once must not be asked without an end.
        if self._clock.monotonic() - up_at < SHORTEST_LIFE:
            self._count()

    def _count(self) -> None:
        if not self._failures:
            self._failing_since = self._clock.monotonic()
        self._failures += 1

    def _opened(self) -> Link:
        url = self._slack.link_url()
        _, _, is_encrypted = place_of(url)
        if not (is_encrypted or self._allow_plain):
            raise NetError(FailureKind.BROKEN, "Slack gave an address that is not encrypted")
        try:
            route = self._route(f"http{url.removeprefix('ws')}")
        except ValueError as error:
            # The proxy for this host may be another one than that for Slack's API.
            raise NetError(FailureKind.PROXY, str(error)) from None
        link = Link(url, clock=self._clock, route=route, ping_seconds=self._ping_seconds)
        try:
            # Once more after a pause: the first ends with the ping that proves that the other end lives.
            hello = envelope_of(link.receive() or link.receive())
        except NetError:
            link.close()
            raise
        if hello.type != "hello":
            link.close()
            raise _refusal(hello.reason)
        self.connections = hello.num_connections
        return link


def _refusal(reason: str) -> DeliveryError:
    outcome = Outcome.TOKEN if reason == DISABLED else Outcome.RETRY
    return DeliveryError(f"Slack ended the link: {reason or 'no hello'}", outcome, code=reason or "no_hello")
