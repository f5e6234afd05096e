"""The door to Socket Mode: how often it is knocked at, what is an incident, and what the app token is never sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.announced import Announced
from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from tests.support.raw_server import Connection, http, raw_server
from tests.support.slack_stage import TOKEN
from worker.net.route import DIRECT, Route
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.socket_door import PROVEN_SECONDS, REST_SECONDS, Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.slack_stage import Stage
    from worker.demo.slack.server import SimulatedSlack


class Knocking:
    """A door by a clock that stands still; `roots` are those whose routes were asked for."""

    def __init__(
        self,
        root: str,
        token: str,
        *,
        allow_plain: bool = True,
        chance: float = 0.0,
        route: Callable[[str], Route] = lambda _: DIRECT,
    ) -> None:
        self.clock = FakeClock()
        self.incidents = Announced()
        self.roots: list[str] = []
        self.door = Door(
            Slack(token=token, base_url=root, seconds=5),
            route=lambda root: self.roots.append(root) or route(root),
            clock=self.clock,
            incidents=self.incidents,
            jitter=lambda: chance,
            allow_plain=allow_plain,
        )

    def fails(self) -> bool:
        return self.door.open() is None

    def waits(self) -> float:
        """Let the wait pass that is due; its seconds."""
        wait = self.door.wait()
        self.clock.advance(wait * SECOND)
        return wait


@pytest.fixture
def knocking(server: Stage, slack: SimulatedSlack) -> Knocking:
    return Knocking(server.root, slack.app_token)


def test_a_link_is_opened_with_the_app_token_and_counted(knocking: Knocking, slack: SimulatedSlack) -> None:
    lines = [knocking.door.open() for _ in range(2)]
    assert (knocking.door.connections, knocking.door.wait()) == (2, 0.0)
    assert all(root.startswith("http://127.0.0.1:") for root in knocking.roots)
    for line in lines:
        assert line
        line.link.close()
    assert slack.sockets.wait_until(lambda: slack.sockets.close_codes == [1000, 1000])


@pytest.mark.parametrize("reason", ["too_many_websockets", ""], ids=["said", "no reason"])
def test_refusals_are_asked_again_at_most_eight_times_in_half_a_minute(
    knocking: Knocking, slack: SimulatedSlack, reason: str
) -> None:
    slack.sockets.refusal = reason or " "
    opened = 0
    while knocking.clock.monotonic() <= 30:
        assert knocking.fails()
        opened += 1
        knocking.waits()
    assert opened <= 8
    assert knocking.incidents.lasting == {}


def test_waits_double_up_to_a_minute_and_chance_spreads_them(server: Stage, slack: SimulatedSlack) -> None:
    slack.fail("apps.connections.open", error="internal_error")
    shortest, longest = (Knocking(server.root, slack.app_token, chance=chance) for chance in (0.0, 1.0))
    for each in (shortest, longest):
        each.fails()
    assert (shortest.waits(), longest.waits()) == (0.5, 1.0)
    for _ in range(8):
        shortest.fails()
    assert shortest.waits() == 30.0


def test_what_fails_for_long_is_an_incident_until_a_link_has_lived(knocking: Knocking, slack: SimulatedSlack) -> None:
    slack.fail("apps.connections.open", error="internal_error")
    knocking.fails()
    assert knocking.incidents.lasting == {}
    knocking.clock.advance(REST_SECONDS * SECOND)
    knocking.fails()
    assert knocking.incidents.lasting["slack_link"][0] == "nobody can act from Slack: internal_error"
    slack.heal()
    line = knocking.door.open()
    assert line
    line.link.close()
    knocking.door.proven(line)
    assert (knocking.door.wait() > 0, "slack_link" in knocking.incidents.lasting) == (True, True)
    knocking.clock.advance(PROVEN_SECONDS * SECOND)
    knocking.door.proven(line)
    assert (knocking.door.wait(), knocking.incidents.lasting) == (0.0, {})


def test_a_link_that_slack_gave_up_and_left_open_ends_no_incident(knocking: Knocking) -> None:
    line = knocking.door.open()
    assert line
    line.link.close()
    line.is_leaving = True
    knocking.door.left("link_disabled", line.up_at)
    knocking.clock.advance(PROVEN_SECONDS * SECOND)
    knocking.door.proven(line)
    assert (knocking.door.wait(), "slack_link" in knocking.incidents.lasting) == (REST_SECONDS, True)


@pytest.mark.parametrize("error", ["invalid_auth", "not_allowed_token_type", "missing_scope", "account_inactive"])
def test_a_refused_token_rests_five_minutes_with_one_incident(
    knocking: Knocking, slack: SimulatedSlack, error: str
) -> None:
    slack.fail("apps.connections.open", error=error)
    for _ in range(3):
        knocking.fails()
        assert knocking.waits() == REST_SECONDS
    assert len(knocking.incidents.lasting) == 1
    (text, fix) = knocking.incidents.lasting["slack_link"]
    assert (text, "SLACK_APP_TOKEN" in fix) == (f"nobody can act from Slack: {error}", True)


def test_socket_mode_that_is_off_rests_five_minutes_with_one_incident(
    knocking: Knocking, slack: SimulatedSlack
) -> None:
    slack.sockets.refusal = "link_disabled"
    assert knocking.fails()
    assert knocking.waits() == REST_SECONDS
    assert "slack_link" in knocking.incidents.lasting


def test_the_wish_of_slack_is_granted(knocking: Knocking, slack: SimulatedSlack) -> None:
    slack.fail("apps.connections.open", mode="ratelimited", retry_after=42, times=1)
    assert knocking.fails()
    assert knocking.waits() == 42.0
    line = knocking.door.open()
    assert line
    line.link.close()


def test_replacements_wait_for_nothing_unless_every_link_is_replaced_at_once(knocking: Knocking) -> None:
    line = knocking.door.open()
    assert line
    line.link.close()
    up_at = knocking.clock.monotonic()
    knocking.door.left("refresh_requested", up_at)
    assert knocking.door.wait() > 0
    line.up_at -= PROVEN_SECONDS
    knocking.door.proven(line)
    knocking.clock.advance(2 * SECOND)
    knocking.door.left("warning", up_at)
    assert knocking.door.wait() == 0


def test_a_hello_that_never_comes_is_waited_for_in_vain(server: Stage, slack: SimulatedSlack) -> None:
    slack.sockets.silent = True
    waiting = Door(
        Slack(token=slack.app_token, base_url=server.root, seconds=5),
        route=lambda _: DIRECT,
        clock=FakeClock(),
        incidents=Announced(),
        jitter=lambda: 0.0,
        allow_plain=True,
        ping_seconds=0.0,
    )
    assert waiting.open() is None
    assert slack.sockets.wait_until(lambda: slack.sockets.links == 0)


def answering(body: str, *headers: str, status: str = "200 OK") -> Callable[[Connection], None]:
    return lambda connection: connection.send(http(body.encode(), *headers, status=status))


def test_the_app_token_follows_no_redirect() -> None:
    asked: list[Any] = []

    def elsewhere(connection: Connection) -> None:
        asked.append(connection.request)
        connection.send(http(b'{"ok": true, "url": "ws://127.0.0.1:1/"}'))

    with (
        raw_server(elsewhere) as other,
        raw_server(answering("", f"Location: {other}/api/apps.connections.open", status="302 Found")) as root,
    ):
        knocking = Knocking(f"{root}/api/", "xapp-1")
        assert knocking.fails()
    assert (asked, knocking.roots) == ([], [])


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "https://127.0.0.1:1/", "", "wss://[", "file:///etc/passwd"])
def test_an_address_without_tls_is_not_gone_to(url: str) -> None:
    with raw_server(answering(f'{{"ok": true, "url": "{url}"}}')) as root:
        knocking = Knocking(f"{root}/api/", "xapp-1", allow_plain=False)
        assert knocking.fails()
    assert knocking.door.wait() > 0


def test_a_proxy_that_cannot_be_used_is_named(server: Stage, slack: SimulatedSlack) -> None:
    def refuse(_root: str) -> Route:
        raise ValueError("all_proxy: the value is not a proxy's address")

    knocking = Knocking(server.root, slack.app_token, route=refuse)
    knocking.clock.advance(SECOND)
    assert knocking.fails()
    knocking.clock.advance(REST_SECONDS * SECOND)
    assert knocking.fails()
    assert "all_proxy" in knocking.incidents.lasting["slack_link"][0]


def test_a_bot_token_opens_nothing(server: Stage, slack: SimulatedSlack) -> None:
    knocking = Knocking(server.root, TOKEN)
    assert knocking.fails()
    assert knocking.incidents.lasting["slack_link"][0] == "nobody can act from Slack: not_allowed_token_type"
    assert slack.sockets.links == 0
