"""The trial of `test`: what it does in Slack, and the right and the click that each refusal names."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import to
from tests.support.slack_stage import CHANNEL, TOKEN
from worker.demo.slack.faults import Mode
from worker.demo.slack.server import ALL_SCOPES
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.trial import TRIES, prove

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.slack_stage import Stage
    from worker.core.overview import Finding
    from worker.demo.slack.server import SimulatedSlack

PRIVATE = "C0PRIVATE00"
ACTS = ["post", "edit", "look up", "delete"]
CALLS = ["chat.postMessage", "chat.update", "conversations.history", "chat.delete"]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def tried(server: Stage, slack: SimulatedSlack, notifier: Slack, waits: list[float]) -> Callable[..., list[Finding]]:
    slack.add_channel(PRIVATE, "private", private=True)

    def trial(*places: str) -> list[Finding]:
        return list(prove(notifier, [to(place) for place in places or (CHANNEL,)], server.clock, waits.append))

    return trial


def refused(found: list[Finding]) -> list[tuple[str, str]]:
    """The acts that failed, each with all that is said of it."""
    return [(each.name.split(" in ")[0], f"{each.text}: {each.fix}") for each in found if not each.ok]


def test_every_right_is_proved_once_in_each_place_and_nothing_stays(
    slack: SimulatedSlack, tried: Callable[..., list[Finding]]
) -> None:
    found = tried(CHANNEL, PRIVATE, CHANNEL)
    places = [f"#support ({CHANNEL})", f"#private ({PRIVATE})"]
    assert [(each.name, each.ok) for each in found] == [(f"{act} in {place}", True) for place in places for act in ACTS]
    assert [call.method for call in slack.attempts if call.method in CALLS] == CALLS * 2
    assert {call.arguments["metadata"]["event_payload"]["kind"] for call in slack.posts} == {"test"}
    assert not slack.messages(CHANNEL)


@pytest.mark.parametrize(
    ("place", "missing", "acts"),
    [
        (CHANNEL, {"chat:write"}, {"post": "chat:write"}),
        (CHANNEL, {"channels:history"}, {"look up": "channels:history"}),
        (PRIVATE, {"groups:history"}, {"look up": "groups:history"}),
        (PRIVATE, {"groups:history", "groups:read"}, {"look up": "groups:history"}),
        (CHANNEL, {"chat:write", "channels:history"}, {"post": "chat:write", "look up": "channels:history"}),
    ],
)
def test_each_missing_right_is_named_with_the_click_that_gives_it(
    slack: SimulatedSlack, tried: Callable[..., list[Finding]], place: str, missing: set[str], acts: dict[str, str]
) -> None:
    slack.scopes = ALL_SCOPES - missing
    said = refused(tried(place))
    assert [act for act, _ in said] == list(acts)
    for (_, text), scope in zip(said, acts.values(), strict=True):
        assert f"lacks the right {scope}: add {scope} to" in text
        assert "press Reinstall to Workspace" in text
    assert not slack.messages(place)


@pytest.mark.parametrize(
    ("disturb", "act", "fix"),
    [
        (lambda s: s.kick(CHANNEL), "post", "send this in the channel: /invite @review-notifier"),
        (lambda s: s.archive(CHANNEL), "post", "unarchive"),
        (lambda s: s.fail("chat.postMessage", error="channel_not_found"), "post", "private, send this"),
        (lambda s: s.fail("chat.postMessage", error="restricted_action"), "post", "ask a workspace administrator"),
        (lambda s: s.fail("chat.postMessage", mode=Mode.RATELIMITED, retry_after=7), "post", "again in 7 s"),
        (lambda s: s.fail("chat.postMessage", mode=Mode.DROP_BEFORE), "post", "Slack's status page"),
        (lambda s: s.fail("chat.update", error="edit_window_closed"), "edit", "edit_window_closed"),
        (lambda s: s.fail("auth.test", error="token_revoked"), "slack token", "SLACK_BOT_TOKEN"),
    ],
)
def test_a_refusal_says_what_to_do_and_nothing_stays(
    slack: SimulatedSlack, tried: Callable[..., list[Finding]], disturb: Callable[..., object], act: str, fix: str
) -> None:
    disturb(slack)
    ((failed, said),) = refused(tried())
    assert failed == act
    assert fix in said
    assert not slack.messages(CHANNEL)


def test_a_message_that_cannot_be_deleted_is_said_to_stay(
    slack: SimulatedSlack, tried: Callable[..., list[Finding]]
) -> None:
    slack.fail("chat.delete", error="cant_delete_message")
    assert [(act, "by hand" in said) for act, said in refused(tried())] == [("delete", True)]


def test_a_post_whose_answer_is_lost_is_looked_up_and_goes_on(
    slack: SimulatedSlack, tried: Callable[..., list[Finding]]
) -> None:
    slack.fail("chat.postMessage", mode=Mode.COMMIT_THEN_DROP, times=1)
    assert not refused(tried())
    assert not slack.messages(CHANNEL)


def test_a_history_that_is_late_is_looked_into_again(
    slack: SimulatedSlack, tried: Callable[..., list[Finding]], waits: list[float]
) -> None:
    slack.subscribe(lambda event: slack.delete(CHANNEL, event.message["ts"]) if event.kind == "edit" else None)
    said = refused(tried())
    assert ("look up" in dict(said), len(waits)) == (True, TRIES - 1)


class Interrupted(Slack):
    """Somebody presses Ctrl-C while it edits."""

    def edit(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_trial_leaves_no_message(server: Stage, slack: SimulatedSlack) -> None:
    with (
        contextlib.closing(Interrupted(token=TOKEN, base_url=server.root)) as notifier,
        pytest.raises(KeyboardInterrupt),
    ):
        list(prove(notifier, [to(CHANNEL)], server.clock, print))
    assert len(slack.posts) == 1
    assert not slack.messages(CHANNEL)
