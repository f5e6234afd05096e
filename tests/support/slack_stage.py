"""One loopback server for many simulated Slacks, one after the other: a test sets the one that answers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from tests.golden_slack import AS_OF
from tests.support.clock import FakeClock
from worker.demo.serve import serving
from worker.demo.slack.server import SimulatedSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

CHANNEL = "C0SUPPORT00"
TOKEN = "xoxb-1234567890-marked-secret"


class Stage:
    """The server's application; `root` is what a client takes for Slack's API."""

    def __init__(self) -> None:
        self.root = ""
        self.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.slack.app(scope, receive, send)

    def reset(self, **settings: object) -> SimulatedSlack:
        """A fresh workspace with one channel."""
        self.clock = FakeClock(AS_OF)
        self.slack = SimulatedSlack(self.clock, token=TOKEN, **settings)
        self.slack.add_channel(CHANNEL, "support")
        return self.slack


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Serve until the context ends."""
    made = Stage()
    with serving(cast("Starlette", made)) as root:
        made.root = f"{root}/api/"
        yield made
