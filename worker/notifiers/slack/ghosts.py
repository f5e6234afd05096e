"""Ghosts: links that Slack counts and no worker holds, which swallow their share of what people press."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.overview import Area

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Clock, Incidents

AGAIN_SECONDS = 90.0
"""The wait before counting again: longer than a link outlives its assignment, or one that Slack replaces."""

RECOUNT_SECONDS = 900.0
"""The time between two counts while there are ghosts. Only a new link shows the number."""

_KIND = "slack_ghost"
_FIX = (
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
            self._incidents.end(_KIND)
            return
        if self._is_suspected:
            text = (
                f"Slack counts {links} links of the app, of which the workers hold {known}: the others swallow presses"
            )
            self._incidents.begin(_KIND, Area.NOTIFIER, text, _FIX)
        # One that was just given up may still be counted: once more before anybody is alarmed.
        wait = RECOUNT_SECONDS if self._is_suspected else AGAIN_SECONDS
        self._is_suspected, self._again_at = True, self._clock.monotonic() + wait

    @property
    def is_recount_due(self) -> bool:
        """Whether a new link is to be opened, to see how many are counted now."""
        return self._clock.monotonic() >= self._again_at
