"""Kills the real process again and again at random moments, and counts what people have seen."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.system.crashing import Witness
from tests.system.process import wait_for
from worker.core.delivery import LEASE
from worker.core.owed import State
from worker.demo.serve import serving

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from uuid import UUID

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tests.system.process import Process
    from tests.system.stage import Place, Stage

SLOWEST = 0.1
"""Seconds that Slack takes at most before and after what it does, so that many moments lie within a call."""

LONGEST_LIFE = 2.5
"""Seconds after the start."""

MOST_UNSEEN = 6
"""Runs of one queue that nobody has seen yet: a message lists ten."""

MOST_WAITING = 9
"""Runs of one queue that wait: each of them has its line even in a message that all of them have entered."""

ANNOUNCED_EVERY = ("0s", "3s", "1h")
"""For each queue: in the first no run enters a message by an edit, in the last no window is ever over."""

OWED = {State.PENDING, State.SENDING, State.UNKNOWN, State.HELD}


@dataclass(frozen=True)
class Figures:
    """What people saw of `shown` runs after so many crashes, and how many of these hit a call to Slack.

    `entered` runs have entered a message by an edit. `twice` counts runs that were called for, or have entered a
    message, more than once, and deliveries that were posted more than once.
    """

    crashes: int
    shown: int
    entered: int
    lost: int
    twice: int
    within_a_post: int
    within_an_edit: int
    within_a_look: int


class SlowSlack:
    """Takes its time for each call, and knows which calls are under way."""

    def __init__(self, app: ASGIApp, chance: random.Random) -> None:
        self._app = app
        self._chance = chance
        self.under_way: Counter[str] = Counter()
        self.arrived = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""

        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(self._chance.uniform(0, SLOWEST))
            await send(message)

        self.arrived += 1
        self.under_way[scope["path"]] += 1
        await asyncio.sleep(self._chance.uniform(0, SLOWEST))
        try:
            await self._app(scope, receive, send_late)
        finally:
            self.under_way[scope["path"]] -= 1


class Crashes:
    """Feeds, kills and counts."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self._stage = stage
        self._chance = chance
        self._places = [stage.add(f"queue of {every}", announce_every=every) for every in ANNOUNCED_EVERY]
        self._witness = Witness(stage.slack)
        self._slack = SlowSlack(stage.slack.app, chance)
        self._runs: dict[str, tuple[Place, UUID]] = {}
        self._reviewed: set[str] = set()
        self._within: Counter[str] = Counter()

    def happen(self, number: int) -> Figures:
        """Let the process crash so often, then let it end its work."""
        with serving(self._slack) as root:
            for _ in range(number):
                with self._stage.service(SLACK_BASE_URL=f"{root}/api/") as process:
                    self._feed()
                    self._await_a_moment(process)
                    self._within += self._slack.under_way
                    process.kill()
                if self._stage.url.startswith("postgresql"):
                    self._stage.let_time_pass(LEASE)
        with self._stage.service():
            wait_for(self._is_done, "everything is told")
        return self._count(number)

    def _feed(self) -> None:
        """One or two new runs, and perhaps a review."""
        seen = self._witness.seen(self._runs)
        unseen = Counter(place for name, (place, _) in self._runs.items() if name not in seen)
        waiting = Counter(place for name, (place, _) in self._runs.items() if name not in self._reviewed)
        for place in self._chance.sample(self._places, self._chance.randint(1, 2)):
            if waiting[place] >= MOST_WAITING:
                self._review(name for name in seen if self._runs[name][0] == place)
            elif unseen[place] < MOST_UNSEEN:
                name = f"run-{len(self._runs):05}"
                self._runs[name] = place, self._stage.run(place, name)
        if self._chance.random() < 0.7:
            self._review(seen)

    def _review(self, seen: Iterable[str]) -> None:
        """One of the runs that people have seen."""
        if waiting := sorted(set(seen) - self._reviewed):
            name = self._chance.choice(waiting)
            self._reviewed.add(name)
            self._stage.langsmith.complete(self._runs[name][1])

    def _await_a_moment(self, process: Process) -> None:
        """Some time after the start, or just after something has arrived at Slack."""
        wait_for(lambda: process.logged("started"), "the start")
        before = self._slack.arrived
        if self._chance.random() < 0.6:
            deadline = self._chance.uniform(0, LONGEST_LIFE)
            while deadline > 0 and self._slack.arrived == before:
                time.sleep(0.005)
                deadline -= 0.005
            time.sleep(self._chance.uniform(0, 3 * SLOWEST))
        else:
            time.sleep(self._chance.uniform(0, LONGEST_LIFE))

    def _is_done(self) -> bool:
        return not any(each.state in OWED for each in self._stage.store.deliveries(limit=100_000)) and (
            self._witness.seen(self._runs) == self._runs.keys()
        )

    def _count(self, crashes: int) -> Figures:
        called = {name: self._witness.called(name) for name in self._runs}
        entered = {name: self._witness.entered(name) for name in self._runs}
        return Figures(
            crashes=crashes,
            shown=len(self._runs),
            entered=sum(count > 0 for count in entered.values()),
            lost=len(self._runs.keys() - self._witness.seen(self._runs)),
            twice=sum(count > 1 for count in (*called.values(), *entered.values())) + self._witness.repeated(),
            within_a_post=self._within["/api/chat.postMessage"],
            within_an_edit=self._within["/api/chat.update"],
            within_a_look=self._within["/api/conversations.history"],
        )
