"""Posting, looking up and editing over real HTTP, with every fault that a network and Slack can play."""

from __future__ import annotations

import contextlib
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.golden_slack import AS_OF, DONE, MIXED, message
from tests.support.builders import to
from tests.support.slack_stage import CHANNEL, TOKEN
from worker.core.model import Kind
from worker.core.owed import Receipt
from worker.core.ports import ConfigError, DeliveryError, Outcome
from worker.demo.slack.faults import COMMITTING, Mode
from worker.demo.slack.server import BOT_USER
from worker.notifiers.slack import notifier as module
from worker.notifiers.slack.notifier import Slack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.slack_stage import Stage
    from worker.core.message import Message
    from worker.demo.slack.server import SimulatedSlack

FAULTS = {
    Mode.DROP_BEFORE: (Outcome.UNKNOWN, "broken"),
    Mode.COMMIT_THEN_DROP: (Outcome.UNKNOWN, "broken"),
    Mode.LATE_COMMIT: (Outcome.UNKNOWN, "broken"),
    Mode.HANG: (Outcome.UNKNOWN, "deadline"),
    Mode.COMMIT_THEN_HANG: (Outcome.UNKNOWN, "deadline"),
    Mode.HALF_ANSWER: (Outcome.UNKNOWN, "broken"),
    Mode.HTML: (Outcome.UNKNOWN, "not_json"),
    Mode.HTML_AFTER_COMMIT: (Outcome.UNKNOWN, "not_json"),
    Mode.NO_TS: (Outcome.UNKNOWN, "no_ts"),
    Mode.STATUS_500_AFTER_COMMIT: (Outcome.UNKNOWN, "http_500"),
    Mode.STATUS: (Outcome.UNKNOWN, "http_500"),
    Mode.RATELIMITED: (Outcome.THROTTLED, "ratelimited"),
    Mode.ERROR: (Outcome.DESTINATION, "is_archived"),
    Mode.ERROR_AFTER_COMMIT: (Outcome.UNKNOWN, "fatal_error"),
}


def notice(**changes: object) -> Message:
    return message(lines=MIXED[3:], key=uuid4(), destination=to(CHANNEL), **changes)


def failure(call: Callable[..., object], *arguments: object) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        call(*arguments)
    assert_secret_free(caught.value)
    return caught.value


def assert_secret_free(error: BaseException) -> None:
    """No word of the token in the error, its repr, what it is chained to, or its traceback."""
    seen: BaseException | None = error
    while seen is not None:
        told = f"{seen} {seen!r} {vars(seen)}"
        assert TOKEN not in told
        seen = seen.__cause__ or seen.__context__
    assert TOKEN not in "".join(traceback.format_exception(error))


def test_a_post_carries_text_blocks_and_key_and_unfurls_nothing(notifier: Slack, slack: SimulatedSlack) -> None:
    sent = notice()
    receipt = notifier.send(sent)
    rendered = notifier.render(sent)
    posted = slack.messages(CHANNEL)[0]
    assert receipt == Receipt(CHANNEL, posted["ts"])
    assert {name: posted[name] for name in ("text", "blocks", "metadata")} == rendered
    assert slack.posts[0].arguments["unfurl_links"] is slack.posts[0].arguments["unfurl_media"] is False
    assert not {"link_names", "parse", "thread_ts"} & slack.posts[0].arguments.keys()


def test_a_plain_post_has_no_blocks(notifier: Slack, slack: SimulatedSlack) -> None:
    notifier.send(notice(plain=True))
    assert "blocks" not in slack.posts[0].arguments


@pytest.mark.parametrize("broadcast", [True, False])
def test_a_reply_goes_into_its_thread(notifier: Slack, slack: SimulatedSlack, *, broadcast: bool) -> None:
    root = notifier.send(notice())
    notifier.send(notice(root=root, broadcast=broadcast))
    reply = slack.messages(CHANNEL)[1]
    assert reply["thread_ts"] == root.ts
    assert (reply.get("subtype") == "thread_broadcast") is broadcast


def test_a_reply_that_cannot_be_made_is_one_post_in_the_channel(notifier: Slack, slack: SimulatedSlack) -> None:
    notifier.send(notice(root=Receipt(CHANNEL, "1.000000"), broadcast=True))
    assert ["thread_ts" in message for message in slack.messages(CHANNEL)] == [False]


def test_a_reply_that_may_have_been_made_is_not_made_again(notifier: Slack, slack: SimulatedSlack) -> None:
    root = notifier.send(notice())
    slack.fail("chat.postMessage", mode="commit_then_drop", times=1)
    failure(notifier.send, notice(root=root))
    assert len(slack.posts) == 2


@pytest.mark.parametrize("mode", FAULTS)
def test_every_fault_is_classed_and_nothing_is_posted_twice(server: Stage, slack: SimulatedSlack, mode: Mode) -> None:
    outcome, code = FAULTS[mode]
    patience = 2.0 if "hang" in mode else 30
    slack.fail("chat.postMessage", mode=mode, error=code, times=1, delay=0.0, retry_after=7)
    with contextlib.closing(Slack(token=TOKEN, base_url=server.root, seconds=patience)) as notifier:
        error = failure(notifier.send, notice())
    assert (error.outcome, error.code) == (outcome, code)
    assert error.retry_after == (timedelta(seconds=7) if mode in {Mode.RATELIMITED, Mode.STATUS} else None)
    if mode is not Mode.LATE_COMMIT:
        assert len(slack.messages(CHANNEL)) == int(mode in COMMITTING)
        assert len(slack.posts) == 1


def test_every_mode_is_tried_here() -> None:
    assert FAULTS.keys() | {Mode.REDIRECT, Mode.DRIP} == set(Mode)


def test_a_drip_ends_at_the_total_deadline(server: Stage, slack: SimulatedSlack) -> None:
    slack.fail("chat.postMessage", mode="drip", times=1)
    patience = 1.5
    with contextlib.closing(Slack(token=TOKEN, base_url=server.root, seconds=patience)) as notifier:
        error = failure(notifier.send, notice())
    assert (error.outcome, error.code) == (Outcome.UNKNOWN, "deadline")


def test_a_redirect_is_not_followed(notifier: Slack, server: Stage, slack: SimulatedSlack) -> None:
    slack.fail("chat.postMessage", mode="redirect", location=f"{server.root}auth.test", times=1)
    error = failure(notifier.send, notice())
    assert (error.outcome, error.code) == (Outcome.RETRY, "redirect")
    assert [attempt.method for attempt in slack.attempts] == ["chat.postMessage"]


def test_a_post_that_nobody_listens_to_was_surely_not_made() -> None:
    with contextlib.closing(Slack(token=TOKEN, base_url="http://127.0.0.1:1/api/")) as notifier:
        error = failure(notifier.send, notice())
    assert (error.outcome, error.code) == (Outcome.RETRY, "connect")


def test_a_body_beyond_the_limit_is_not_read_to_its_end(notifier: Slack, slack: SimulatedSlack) -> None:
    notifier.probe()
    for _ in range(30):
        slack.say(CHANNEL, "x" * 600_000)
    assert failure(notifier.find, notice(), AS_OF).code == "too_large"


def test_a_post_is_found_among_others_on_a_later_page(notifier: Slack, slack: SimulatedSlack) -> None:
    sent = notice()
    receipt = notifier.send(sent)
    for number in range(module.HISTORY_PAGE + 20):
        slack.say(CHANNEL, f"chatter {number}")
    assert notifier.find(sent, AS_OF) == receipt


def test_a_look_stops_at_the_time_of_the_attempt(notifier: Slack, slack: SimulatedSlack) -> None:
    for number in range(module.HISTORY_PAGE * 3):
        slack.say(CHANNEL, f"chatter {number}")
    assert notifier.find(notice(), AS_OF + timedelta(hours=1)) is None
    assert [attempt.method for attempt in slack.attempts].count("conversations.history") == 1


def test_a_clock_that_was_ahead_hides_no_post(notifier: Slack) -> None:
    sent = notice()
    receipt = notifier.send(sent)
    assert notifier.find(sent, AS_OF + timedelta(hours=3)) == receipt


def test_a_strangers_message_with_the_key_is_not_ours(notifier: Slack, slack: SimulatedSlack) -> None:
    sent = notice()
    slack.say(CHANNEL, "forged", metadata=notifier.render(sent)["metadata"])
    assert notifier.find(sent, AS_OF) is None


def test_a_reply_is_found_in_its_thread_and_where_it_fell_back_to(notifier: Slack) -> None:
    root = notifier.send(notice())
    inside, outside = notice(root=root), notice(root=Receipt(CHANNEL, "1.000000"))
    receipts = [notifier.send(inside), notifier.send(outside)]
    assert [notifier.find(sent, AS_OF) for sent in (inside, outside)] == receipts


def test_a_reply_is_found_after_its_root_is_gone(notifier: Slack, slack: SimulatedSlack) -> None:
    root = notifier.send(notice())
    reply = notice(root=root)
    receipt = notifier.send(replace(reply, root=None))
    slack.delete(root.channel, root.ts)
    assert notifier.find(reply, AS_OF) == receipt


@pytest.mark.parametrize(
    ("disturb", "outcome"),
    [
        pytest.param(lambda s: setattr(s, "scopes", {"chat:write"}), Outcome.BLIND, id="without the scope"),
        pytest.param(lambda s: s.kick(CHANNEL), Outcome.BLIND, id="outside the channel"),
        pytest.param(lambda s: setattr(s, "token_error", "token_revoked"), Outcome.TOKEN, id="with a revoked token"),
        pytest.param(lambda s: s.fail("conversations.history", status=502), Outcome.RETRY, id="behind a bad gateway"),
        pytest.param(lambda s: s.fail("conversations.history", mode="html"), Outcome.RETRY, id="behind a page"),
        pytest.param(lambda s: s.fail("conversations.history", mode="drop_before"), Outcome.RETRY, id="cut off"),
        pytest.param(lambda s: s.fail("conversations.history", mode="ratelimited"), Outcome.THROTTLED, id="throttled"),
        pytest.param(lambda s: s.fail("auth.test", status=500), Outcome.RETRY, id="without knowing itself"),
    ],
)
def test_a_look_says_why_it_saw_nothing(
    notifier: Slack, slack: SimulatedSlack, disturb: Callable[[SimulatedSlack], object], outcome: Outcome
) -> None:
    disturb(slack)
    assert failure(notifier.find, notice(), AS_OF).outcome is outcome


def test_half_a_history_is_none(notifier: Slack, slack: SimulatedSlack) -> None:
    for number in range(module.HISTORY_PAGE + 1):
        slack.say(CHANNEL, f"chatter {number}")
    notifier.probe()
    slack.fail("conversations.history", status=503, after=1)
    assert failure(notifier.find, notice(), AS_OF).outcome is Outcome.RETRY


def test_a_history_without_an_end_is_given_up(notifier: Slack, slack: SimulatedSlack) -> None:
    for number in range(module.HISTORY_PAGE * module.PAGES + 1):
        slack.say(CHANNEL, f"chatter {number}")
    error = failure(notifier.find, notice(), AS_OF)
    assert (error.outcome, error.code) == (Outcome.BLIND, "too_many_messages")


def test_a_list_of_channels_that_slack_breaks_off_goes_on_where_it_was(notifier: Slack, slack: SimulatedSlack) -> None:
    for number in range(2500):
        slack.add_channel(f"C1{number:07}", f"room-{number}")
    slack.fail("conversations.list", mode=Mode.RATELIMITED, retry_after=1, after=2, times=1)
    assert failure(notifier.channel, "room-2400").outcome is Outcome.THROTTLED
    assert notifier.channel("room-2400").channel_id == "C10002400"
    cursors = [call.arguments.get("cursor") for call in slack.attempts if call.method == "conversations.list"]
    assert len(cursors) == 4
    assert cursors[2] == cursors[3] != cursors[1]


@pytest.mark.parametrize("name", ["support", "#support"])
def test_a_channel_by_name_is_posted_to_found_and_edited(notifier: Slack, slack: SimulatedSlack, name: str) -> None:
    sent = replace(notice(), destination=to(name))
    receipt = notifier.send(sent)
    assert receipt.channel == CHANNEL
    assert notifier.find(sent, AS_OF) == receipt
    notifier.edit(sent, receipt)
    assert "conversations.list" not in {attempt.method for attempt in slack.attempts}


def test_after_a_restart_a_name_is_resolved_once(notifier: Slack, slack: SimulatedSlack) -> None:
    for number in range(1_200):
        slack.add_channel(f"C{number:08}", f"other-{number}")
    slack.add_channel("C0LAST00000", "last")
    sent = replace(notice(), destination=to("#last"))
    assert notifier.find(sent, AS_OF) is None
    assert notifier.find(sent, AS_OF) is None
    assert [attempt.method for attempt in slack.attempts].count("conversations.list") == 2


def test_a_name_that_no_channel_has_cannot_be_looked_at(notifier: Slack) -> None:
    assert failure(notifier.find, replace(notice(), destination=to("#nowhere")), AS_OF).outcome is Outcome.BLIND


def test_an_edit_shows_the_new_state_and_keeps_the_key(notifier: Slack, slack: SimulatedSlack) -> None:
    sent = notice()
    receipt = notifier.send(sent)
    now = replace(sent, lines=DONE, total=3, waiting=0)
    notifier.edit(now, receipt)
    shown = slack.messages(CHANNEL)[0]
    assert shown["blocks"] == notifier.render(now)["blocks"]
    assert shown["text"] == notifier.render(now)["text"]
    assert shown["metadata"]["event_payload"]["delivery_key"] == str(sent.key)


def test_a_plain_edit_takes_the_blocks_away(notifier: Slack, slack: SimulatedSlack) -> None:
    sent = notice()
    receipt = notifier.send(sent)
    notifier.edit(replace(sent, plain=True), receipt)
    assert slack.messages(CHANNEL)[0]["blocks"] == []


@pytest.mark.parametrize(
    ("disturb", "outcome", "code"),
    [
        pytest.param(lambda s, r: s.delete(*r), Outcome.EDIT, "message_not_found", id="deleted"),
        pytest.param(lambda s, _: s.archive(CHANNEL), Outcome.DESTINATION, "is_archived", id="archived"),
        pytest.param(lambda s, _: s.kick(CHANNEL), Outcome.DESTINATION, "not_in_channel", id="outside the channel"),
        pytest.param(
            lambda s, _: s.fail("chat.update", error="edit_window_closed"),
            Outcome.EDIT,
            "edit_window_closed",
            id="too late",
        ),
        pytest.param(
            lambda s, _: s.fail("chat.update", error="invalid_blocks"), Outcome.MESSAGE, "invalid_blocks", id="refused"
        ),
        pytest.param(
            lambda s, _: s.fail("chat.update", mode="commit_then_drop"), Outcome.RETRY, "broken", id="answer lost"
        ),
        pytest.param(lambda s, _: s.fail("chat.update", status=500), Outcome.RETRY, "http_500", id="server error"),
        pytest.param(lambda s, _: setattr(s, "scopes", set()), Outcome.TOKEN, "missing_scope", id="without the scope"),
    ],
)
def test_an_edit_that_fails_says_why(
    notifier: Slack,
    slack: SimulatedSlack,
    disturb: Callable[[SimulatedSlack, tuple[str, str]], object],
    outcome: Outcome,
    code: str,
) -> None:
    sent = notice()
    receipt = notifier.send(sent)
    disturb(slack, (receipt.channel, receipt.ts))
    error = failure(notifier.edit, sent, receipt)
    assert (error.outcome, error.code) == (outcome, code)


def test_a_repeated_reminder_points_to_the_newer_one(notifier: Slack, slack: SimulatedSlack) -> None:
    sent = replace(notice(), kind=Kind.REMINDER)
    old, new = notifier.send(sent), notifier.send(replace(sent, key=uuid4()))
    notifier.edit(replace(sent, successor=new), old)
    link = f"{slack.url}archives/{CHANNEL}/p{new.ts.replace('.', '')}"
    assert link in slack.messages(CHANNEL)[0]["blocks"][0]["elements"][0]["text"]


def test_a_repeated_reminder_points_in_words_where_the_team_is_not_known(
    notifier: Slack, slack: SimulatedSlack
) -> None:
    slack.fail("auth.test", status=500)
    shown = notifier.render(replace(notice(), successor=Receipt(CHANNEL, "1.2")))
    assert "a newer reminder below" in shown["text"]


def test_identity_and_scopes(notifier: Slack) -> None:
    me = notifier.identity()
    assert (me.team, me.user_id) == ("Simulated", BOT_USER)
    assert me.scopes is not None
    assert "chat:write" in me.scopes


@pytest.mark.parametrize("channel", [CHANNEL, "support", "#support"])
def test_a_channel_is_looked_up(notifier: Slack, channel: str) -> None:
    found = notifier.channel(channel)
    assert (found.channel_id, found.name, found.is_member, found.is_archived) == (CHANNEL, "support", True, False)


@pytest.mark.parametrize("channel", ["C0NOWHERE00", "#nowhere"])
def test_a_channel_that_is_not_there(notifier: Slack, channel: str) -> None:
    error = failure(notifier.channel, channel)
    assert (error.outcome, error.code) == (Outcome.DESTINATION, "channel_not_found")


@pytest.mark.parametrize("token", ["xoxb-a\nb", "xoxb-\u00e9", "xoxb a"])
def test_a_token_that_no_header_can_carry_is_refused_without_telling_it(token: str) -> None:
    with pytest.raises(ConfigError, match="SLACK_BOT_TOKEN") as caught:
        Slack(token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("root", ["slack.com/api/", "ftp://slack.com/", "https://", "http://[::1"])
def test_a_root_that_is_no_address_is_refused(root: str) -> None:
    with pytest.raises(ConfigError, match="SLACK_BASE_URL"):
        Slack(token=TOKEN, base_url=root)


def test_a_root_without_its_last_slash_works(server: Stage, slack: SimulatedSlack) -> None:
    with contextlib.closing(Slack(token=TOKEN, base_url=server.root.rstrip("/"))) as notifier:
        notifier.send(notice())
    assert len(slack.messages(CHANNEL)) == 1


def test_the_token_is_in_no_repr(notifier: Slack) -> None:
    assert TOKEN not in f"{notifier!r} {notifier._client!r}"  # noqa: SLF001 - a debugger shows it too


def to_ada() -> Message:
    return replace(notice(kind=Kind.DIRECT), destination=to("U0ADA00001"))


def test_a_direct_message_is_opened_once_posted_found_and_edited(notifier: Slack, slack: SimulatedSlack) -> None:
    slack.add_user("U0ADA00001", "ada@example.com", "Ada")
    first, second = to_ada(), to_ada()
    receipt = notifier.send(first)
    notifier.send(second)
    assert receipt.channel.startswith("D")
    assert [attempt.method for attempt in slack.attempts].count("conversations.open") == 1
    assert notifier.find(first, AS_OF) == receipt
    notifier.edit(replace(first, waiting=0, lines=DONE), receipt)
    posted = slack.direct_messages("U0ADA00001")
    assert len(posted) == 2
    assert "✓" in str(posted[0]["text"])


def test_after_a_restart_a_direct_message_is_found(notifier: Slack, slack: SimulatedSlack, server: Stage) -> None:
    slack.add_user("U0ADA00001", "ada@example.com", "Ada")
    message = to_ada()
    receipt = notifier.send(message)
    with contextlib.closing(Slack(token=TOKEN, base_url=server.root)) as restarted:
        assert restarted.find(message, AS_OF) == receipt


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("conversations.open", "missing_scope"),
        ("conversations.open", "user_disabled"),
        ("conversations.open", "cannot_dm_bot"),
        ("conversations.open", "user_not_found"),
        ("chat.postMessage", "messages_tab_disabled"),
        ("chat.postMessage", "cannot_dm_bot"),
    ],
)
def test_who_cannot_be_messaged_is_a_destination_that_refuses(
    notifier: Slack, slack: SimulatedSlack, method: str, code: str
) -> None:
    slack.add_user("U0ADA00001", "ada@example.com", "Ada")
    slack.fail(method, error=code)
    error = failure(notifier.send, to_ada())
    assert (error.outcome, error.code) == (Outcome.DESTINATION, code)
    assert slack.direct_messages("U0ADA00001") == []


def test_a_conversation_that_may_have_been_opened_is_opened_again(notifier: Slack, slack: SimulatedSlack) -> None:
    slack.add_user("U0ADA00001", "ada@example.com", "Ada")
    slack.fail("conversations.open", mode=Mode.STATUS, times=1)
    assert failure(notifier.send, to_ada()).outcome is Outcome.RETRY
    assert notifier.send(to_ada()).channel.startswith("D")
