"""The socket to Slack in real time: what is lost, and how soon it is back, while a Slack misbehaves."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.announced import Announced
from tests.system.process import wait_for
from worker.clock import SystemClock
from worker.demo.serve import serving
from worker.demo.slack.server import SimulatedSlack
from worker.net.route import DIRECT
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.socket_door import Door
from worker.notifiers.slack.socket_inbox import SocketInbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.core.ports import Heard

CHANNEL, ADA = "C0SUPPORT00", "U0ADA00001"
CLOCK = SystemClock()


class Listening:
    """An inbox as the worker has it, a Slack, and a person who presses twenty times a second for as long as asked."""

    def __init__(self, root: str, slack: SimulatedSlack) -> None:
        self.slack = slack
        self.sockets = slack.sockets
        self.ts = slack.say(CHANNEL, "a run waits")
        self.heard: list[Heard] = []
        self.blocked = threading.Event()
        door = Door(
            Slack(token=slack.app_token, base_url=f"{root}/api/"),
            route=lambda _: DIRECT,
            clock=CLOCK,
            incidents=Announced(),
            # Its own: Hypothesis takes the use of the common one, in any thread, for that of a strategy.
            jitter=random.Random().random,  # noqa: S311  it spreads opens
            allow_plain=True,
        )
        self.inbox = SocketInbox(door, take=self.take, seen=lambda _: False, clock=CLOCK)

    def take(self, what: Heard) -> None:
        self.heard.append(what)
        if self.blocked.is_set():
            self.blocked.clear()
            threading.Event().wait(5)

    def press(self, number: int) -> None:
        for each in range(number):
            self.slack.personal.press(ADA, CHANNEL, self.ts, "run", str(each))
            threading.Event().wait(0.05)

    def opens(self) -> int:
        return sum(attempt.method == "apps.connections.open" for attempt in self.slack.attempts)

    def seconds_until(self, holds: Callable[[], bool]) -> float:
        began = CLOCK.monotonic()
        wait_for(holds, "a link that works")
        return CLOCK.monotonic() - began


@pytest.fixture
def listening() -> Iterator[Listening]:
    slack = SimulatedSlack(CLOCK)
    slack.add_channel(CHANNEL, "support")
    with serving(slack.app) as root:
        made = Listening(root, slack)
        made.inbox.start()
        wait_for(lambda: slack.sockets.links == 1, "the first link")
        yield made
        made.inbox.stop()


@pytest.mark.long(6)
def test_no_press_is_lost_while_slack_replaces_links_and_none_waits_for_work(listening: Listening) -> None:
    listening.blocked.set()
    pressing = threading.Thread(target=listening.press, args=(100,))
    pressing.start()
    for reason in ("warning", "refresh_requested", "warning"):
        wait_for(lambda: listening.sockets.links == 1, "one link")
        threading.Event().wait(1.1)
        listening.sockets.disconnect(reason)
        wait_for(lambda: listening.sockets.links == 2, "a second link")
        threading.Event().wait(0.3)
        listening.sockets.hang_up(leave=1)
    pressing.join()
    wait_for(lambda: len(listening.heard) == 100, "every press")
    # One that was read just as its link ended is heard, and there is nothing left to acknowledge it on.
    answered = [sent for sent in listening.sockets.envelopes if sent.answered_at is not None]
    waits = sorted(sent.answered_at - sent.sent_at for sent in answered if sent.answered_at is not None)
    assert len(listening.sockets.envelopes) == 100
    assert len(waits) >= 97
    assert waits[94] < 1


@pytest.mark.long(12)
@pytest.mark.parametrize("deaf", [False, True], ids=["frozen", "deaf"])
def test_a_dead_peer_is_noticed_and_replaced(listening: Listening, *, deaf: bool) -> None:
    listening.sockets.freeze(deaf=deaf)
    assert listening.seconds_until(lambda: listening.opens() == 2) <= 18


def test_a_link_that_was_reset_is_replaced_soon(listening: Listening) -> None:
    listening.sockets.drop()
    assert listening.seconds_until(lambda: listening.opens() == 2 and listening.sockets.links == 1) <= 10
