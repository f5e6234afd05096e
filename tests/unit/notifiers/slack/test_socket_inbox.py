"""The inbox over a simulated Slack: what is acknowledged, what is handed over, and which links there are."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.announced import Announced
from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from tests.support.slack_stage import CHANNEL
from worker.clock import SystemClock
from worker.core.ports import Command, HomeOpened, Press, StoreError
from worker.net.route import DIRECT
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.socket_door import AGAIN_SECONDS, Door, Ghosts
from worker.notifiers.slack.socket_inbox import KEPT_SECONDS, OLD_SECONDS, SocketInbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.slack_stage import Stage
    from worker.core.ports import Heard
    from worker.demo.slack.server import SimulatedSlack

ADA = "U0ADA00001"
BEAT = 1.0
"""Seconds between two pings where a test waits for one; elsewhere a busy machine must not look like a dead peer."""


class Listening:
    """An inbox, and what it hands over; `blocked` holds that up, `error` lets it fail, `wanted` is its assignment."""

    def __init__(self, server: Stage, room: int = 100, beat: float = 5.0) -> None:
        self.slack = server.slack
        self.sockets = server.slack.sockets
        self.ts = self.slack.say(CHANNEL, "a run waits")
        self.incidents = Announced()
        self.begun: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self.taken: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self.free = threading.Event()
        self.free.set()
        self.errors: list[Exception] = []
        self.ids: set[str] = set()
        self.wanted = True
        self.clock = FakeClock()
        self.door = Door(
            Slack(token=self.slack.app_token, base_url=server.root, seconds=5),
            route=lambda _: DIRECT,
            clock=SystemClock(),
            incidents=self.incidents,
            jitter=lambda: 0.0,
            allow_plain=True,
            ping_seconds=beat,
        )
        self.inbox = SocketInbox(
            self.door,
            take=self.take,
            seen=self.seen,
            clock=self.clock,
            wanted=lambda: self.wanted,
            most_waiting=room,
        )

    def take(self, what: Heard) -> None:
        self.begun.put(what)
        assert self.free.wait(60)
        if self.errors:
            raise self.errors.pop()
        self.taken.put(what)

    def seen(self, envelope_id: str) -> bool:
        if envelope_id in self.ids:
            return True
        self.ids.add(envelope_id)
        return False

    def press(self, value: str = "one", **how: Any) -> str:
        return self.slack.personal.press(ADA, CHANNEL, self.ts, "run", value, **how)

    def heard(self) -> Any:
        return self.taken.get(timeout=60)

    def until(self, holds: Callable[[], bool]) -> None:
        assert self.sockets.wait_until(holds), self.sockets.envelopes

    def until_links(self, number: int) -> None:
        self.until(lambda: self.sockets.links == number)

    def until_answered(self, number: int) -> None:
        self.until(lambda: sum(each.answered_at is not None for each in self.sockets.envelopes) == number)


@pytest.fixture
def listening(
    server: Stage,
    slack: SimulatedSlack,  # noqa: ARG001 - it is reset
    request: pytest.FixtureRequest,
) -> Iterator[Listening]:
    made = Listening(server, *getattr(request, "param", ()))
    made.inbox.start()
    made.until_links(1)
    yield made
    made.free.set()
    made.inbox.stop()


def test_what_people_do_is_acknowledged_and_handed_over_in_order(listening: Listening) -> None:
    listening.press(block_id="b", option="claim")
    listening.slack.personal.command(ADA, CHANNEL, "/reviews", "mine")
    listening.slack.personal.open_home(ADA)
    press, command, home = listening.heard(), listening.heard(), listening.heard()
    assert press == Press(press.envelope_id, ADA, press.team, press.on, "", "b", "run", "claim")
    assert (press.on.channel, press.on.ts) == (CHANNEL, listening.ts)
    assert command == Command(command.envelope_id, ADA, press.team, CHANNEL, "/reviews", "mine")
    assert home == HomeOpened(home.envelope_id, ADA, press.team)
    listening.until_answered(3)


def test_an_acknowledgement_never_waits_for_work(listening: Listening) -> None:
    listening.free.clear()
    for number in range(4):
        listening.press(str(number))
    listening.until_answered(4)
    assert listening.taken.empty()
    listening.free.set()
    assert [listening.heard().value for _ in range(4)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("listening", [[3]], indirect=True, ids=["three"])
def test_a_press_that_finds_no_room_is_not_acknowledged(listening: Listening) -> None:
    listening.free.clear()
    listening.press("in work")
    listening.begun.get(timeout=60)
    for number in range(4):
        listening.press(str(number))
    # What a link shows after the presses is read after them.
    listening.sockets.disconnect("refresh_requested")
    listening.until_links(2)
    listening.until_answered(4)
    listening.free.set()
    assert [listening.heard().value for _ in range(4)] == ["in work", "0", "1", "2"]
    listening.press("later")
    listening.until_answered(5)
    assert listening.heard().value == "later"


def test_an_envelope_that_came_before_does_nothing(listening: Listening) -> None:
    first = listening.press("once")
    listening.press("twice", envelope_id=first)
    listening.press("other")
    assert [listening.heard().value for _ in range(2)] == ["once", "other"]
    listening.until_answered(3)


def test_work_that_fails_keeps_no_other_from_its_turn(listening: Listening) -> None:
    listening.errors.append(RuntimeError("a bug"))
    listening.press("one")
    listening.press("two")
    assert listening.heard().value == "two"


def test_without_a_database_an_act_is_tried_so_that_its_person_hears_of_it(
    server: Stage, slack: SimulatedSlack
) -> None:
    class Away(Listening):
        def seen(self, envelope_id: str) -> bool:
            raise StoreError(envelope_id)

    away = Away(server)
    away.inbox.start()
    away.until_links(1)
    away.press()
    assert away.heard().value == "one"
    away.inbox.stop()
    assert slack.sockets.close_codes == [1000]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_new_link_opens_before_the_old_one_ends(listening: Listening, reason: str) -> None:
    listening.sockets.disconnect(reason)
    listening.until_links(2)
    for number in range(2):
        listening.press(str(number))
    assert {listening.heard().value for _ in range(2)} == {"0", "1"}
    assert len({each.link for each in listening.sockets.envelopes}) == 2
    listening.sockets.hang_up(leave=1)
    listening.press("after")
    assert listening.heard().value == "after"
    listening.until_answered(3)


def test_what_came_just_before_the_end_of_a_link_is_not_lost(listening: Listening) -> None:
    for number in range(20):
        listening.press(str(number))
    listening.sockets.hang_up()
    assert [listening.heard().value for _ in range(20)] == [str(number) for number in range(20)]


@pytest.mark.parametrize("listening", [[100, BEAT]], indirect=True, ids=["beat"])
def test_a_link_that_was_replaced_is_closed_after_a_while(listening: Listening) -> None:
    listening.sockets.disconnect("refresh_requested")
    listening.until_links(2)
    for number in range(2):
        listening.press(str(number))
    assert {listening.heard().value for _ in range(2)} == {"0", "1"}
    listening.clock.advance(OLD_SECONDS * SECOND)
    listening.until(lambda: listening.sockets.close_codes == [1000])
    assert listening.sockets.links == 1


def test_a_link_that_breaks_off_is_replaced(listening: Listening) -> None:
    listening.sockets.drop()
    listening.until(lambda: len(listening.sockets.close_codes) == 1 and listening.sockets.links == 1)
    listening.press("after")
    assert listening.heard().value == "after"


@pytest.mark.parametrize("listening", [[100, BEAT]], indirect=True, ids=["beat"])
@pytest.mark.parametrize("deaf", [False, True], ids=["frozen", "deaf"])
def test_a_link_that_answers_no_ping_is_replaced(listening: Listening, *, deaf: bool) -> None:
    listening.sockets.freeze(deaf=deaf)
    listening.until_links(2)


def test_a_link_that_an_administrator_disabled_is_an_incident(listening: Listening) -> None:
    listening.sockets.disconnect("link_disabled")
    assert listening.incidents.begun.get(timeout=60) == "slack_link"
    (text, fix) = listening.incidents.lasting["slack_link"]
    assert (text, "turn Socket Mode on" in fix) == ("nobody can act from Slack: link_disabled", True)


def test_a_worker_listens_while_that_is_its_assignment(listening: Listening) -> None:
    listening.wanted = False
    listening.press("still")
    assert listening.heard().value == "still"
    listening.clock.advance(KEPT_SECONDS * SECOND)
    listening.until_links(0)
    listening.wanted = True
    listening.until_links(1)


def test_an_end_closes_the_link_and_works_on_what_was_acknowledged(listening: Listening) -> None:
    listening.press("zero")
    assert listening.heard().value == "zero"
    assert listening.inbox.state.pong_at is not None
    listening.free.clear()
    listening.press("one")
    listening.press("two")
    listening.until_answered(3)
    listening.free.set()
    listening.inbox.stop()
    listening.until_links(0)
    listening.until(lambda: listening.sockets.close_codes == [1000])
    assert [listening.heard().value for _ in range(2)] == ["one", "two"]
    assert listening.inbox.state.pong_at is None


def test_the_state_shows_since_when_there_is_a_link_and_how_many(listening: Listening) -> None:
    listening.press()
    listening.heard()
    state = listening.inbox.state
    assert (state.links, state.counted) == (1, 1)
    assert None not in {state.connected_at, state.pong_at}
    listening.sockets.disconnect("refresh_requested")
    listening.until_links(2)
    # What is pressed may still come by the first link, before the second one's greeting is read.
    for _ in range(100):
        listening.press()
        listening.heard()
        if listening.inbox.state.links == 2:
            break
    assert (listening.inbox.state.links, listening.inbox.state.counted) == (2, 2)


def test_links_are_counted_again_where_slack_counts_too_many(listening: Listening) -> None:
    listening.press()
    listening.heard()  # so the first count has been made
    clock = FakeClock()
    listening.door.ghosts = Ghosts(others=lambda: 0, clock=clock, incidents=listening.incidents)
    listening.door.ghosts.counted(3, 1)
    clock.advance(AGAIN_SECONDS * SECOND)
    listening.until_links(2)
    assert "slack_ghost" not in listening.incidents.lasting


def test_what_is_held_goes_to_whoever_takes_it_next(listening: Listening) -> None:
    listening.inbox.hold()
    listening.press("held")
    listening.until_answered(1)
    assert listening.begun.empty()
    taken: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    listening.inbox.hand_to(taken.put, listening.seen)
    listening.press("later")
    assert [taken.get(timeout=60).value for _ in range(2)] == ["held", "later"]  # type: ignore[union-attr]
    listening.inbox.start()
    assert listening.sockets.links == 1
