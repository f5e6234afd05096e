"""What `check` says of Slack."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import to
from tests.support.slack_stage import CHANNEL
from worker.demo.slack.server import ALL_SCOPES
from worker.notifiers.slack.check import examine, examine_acting, examine_app_token
from worker.notifiers.slack.errors import Channel
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.rooms import did_you_mean_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.slack_stage import Stage
    from worker.demo.slack.server import SimulatedSlack


def test_all_is_well(notifier: Slack) -> None:
    found = list(examine(notifier, [to(CHANNEL), to(CHANNEL)]))
    assert [(finding.name, finding.ok, finding.fix) for finding in found] == [
        ("slack token", True, ""),
        ("slack scopes", True, ""),
        (f"slack channel {CHANNEL}", True, ""),
    ]
    assert "review-notifier in Simulated" in found[0].text


def test_a_name_is_answered_with_its_id(notifier: Slack) -> None:
    assert CHANNEL in list(examine(notifier, [to("#support")]))[-1].text


@pytest.mark.parametrize(
    ("disturb", "channel", "said", "fix"),
    [
        pytest.param(
            lambda s: setattr(s, "token_error", "token_revoked"),
            CHANNEL,
            "token_revoked",
            "SLACK_BOT_TOKEN",
            id="a revoked token",
        ),
        pytest.param(
            lambda s: s.fail("auth.test", status=502),
            CHANNEL,
            "http_502",
            "SLACK_BASE_URL",
            id="a Slack that does not answer",
        ),
        pytest.param(
            lambda s: setattr(s, "scopes", ALL_SCOPES - {"chat:write"}),
            CHANNEL,
            "channels:read",
            "add chat:write",
            id="a token that may not post",
        ),
        pytest.param(
            lambda s: setattr(s, "scopes", ALL_SCOPES - {"channels:history"}),
            CHANNEL,
            "WORKER_ON_UNKNOWN",
            "add channels:history",
            id="a channel that cannot be looked through",
        ),
        pytest.param(
            lambda s: setattr(s, "scopes", ALL_SCOPES - {"channels:read"}),
            CHANNEL,
            "missing_scope",
            "add channels:read",
            id="a channel that cannot be checked",
        ),
        pytest.param(lambda s: s.kick(CHANNEL), CHANNEL, "not in it", "/invite", id="a channel without the app"),
        pytest.param(lambda s: s.archive(CHANNEL), CHANNEL, "is archived", "unarchive", id="an archived channel"),
        pytest.param(lambda _: None, "C0NOWHERE00", "channel_not_found", "by its id", id="an unknown channel"),
        pytest.param(lambda _: None, "#nowhere", "No public channel", "by its id", id="an unknown name"),
        pytest.param(
            lambda s: s.fail("conversations.info", status=500),
            CHANNEL,
            "http_500",
            "later",
            id="a channel that cannot be asked for now",
        ),
    ],
)
def test_each_trouble_has_its_fix(
    notifier: Slack,
    slack: SimulatedSlack,
    disturb: Callable[[SimulatedSlack], object],
    channel: str,
    said: str,
    fix: str,
) -> None:
    disturb(slack)
    troubles = [finding for finding in examine(notifier, [to(channel)]) if not finding.ok]
    assert len(troubles) == 1
    assert said in troubles[0].text
    assert fix in troubles[0].fix


def test_a_private_channel_needs_the_scope_of_private_ones(notifier: Slack, slack: SimulatedSlack) -> None:
    slack.add_channel("G0PRIVATE00", "leads", private=True)
    slack.scopes = ALL_SCOPES - {"channels:history"}
    assert [finding.ok for finding in examine(notifier, [to("G0PRIVATE00")])] == [True, True, True]
    slack.scopes = ALL_SCOPES - {"groups:history"}
    assert [finding.ok for finding in examine(notifier, [to("G0PRIVATE00")])] == [True, True, False]


@pytest.mark.parametrize(
    ("error", "ok", "fix"),
    [
        pytest.param("", True, "", id="a good one"),
        pytest.param("invalid_auth", False, "SLACK_APP_TOKEN", id="a wrong one"),
        pytest.param("missing_scope", False, "connections:write", id="without its scope"),
        pytest.param("internal_error", False, "SLACK_BASE_URL", id="a Slack that fails"),
    ],
)
def test_the_app_token_is_proven_without_a_link(
    server: Stage, slack: SimulatedSlack, error: str, fix: str, *, ok: bool
) -> None:
    if error:
        slack.fail("apps.connections.open", error=error)
    with contextlib.closing(Slack(token=slack.app_token, base_url=server.root)) as client:
        (finding,) = examine_app_token(client)
    assert (finding.ok, fix in finding.fix, error in finding.text) == (ok, True, True)
    assert slack.sockets.links == 0


@pytest.mark.parametrize(("scope", "missing"), [("commands", "/reviews"), ("users:read", "guest")])
def test_a_scope_that_acting_lacks_is_a_finding(
    notifier: Slack, slack: SimulatedSlack, scope: str, missing: str
) -> None:
    assert list(examine_acting(notifier)) == []
    slack.scopes = ALL_SCOPES - {scope}
    (finding,) = examine_acting(notifier)
    assert (finding.name, finding.ok, missing in finding.text) == (f"slack scope {scope}", False, True)
    assert f"add {scope}" in finding.fix
    slack.token_error = "token_revoked"
    assert list(examine_acting(notifier)) == []


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("suport", "did you mean #support (C0SUPPORT00) or #support_qa (C0QA0000000)? "),
        ("Support-QA", "did you mean #support_qa (C0QA0000000)? "),
        ("cafe\u0301", "did you mean #café (C0CAFE00000)? "),
        ("C0SUPPORT01", "did you mean #support (C0SUPPORT00)? "),
        ("c0qa0000000", "did you mean #support_qa (C0QA0000000)? "),
        ("something else", ""),
    ],
)
def test_the_channel_that_was_probably_meant_is_named(wanted: str, meant: str) -> None:
    named = {"C0SUPPORT00": "support", "C0QA0000000": "support_qa", "C0CAFE00000": "café", "C0LEADS0000": "leads"}
    channels = [Channel(key, name, is_member=True, is_archived=False, is_private=False) for key, name in named.items()]
    assert did_you_mean_channel(wanted, channels) == meant


def test_channels_are_listed_once_and_only_where_one_was_not_found(notifier: Slack, slack: SimulatedSlack) -> None:
    found = list(examine(notifier, [to(CHANNEL), to("C0SUPPORT99"), to("C0SUPPORT98")]))
    assert [finding.fix.partition("?")[0] for finding in found[-2:]] == [f"did you mean #support ({CHANNEL})"] * 2
    assert [call.method for call in slack.attempts].count("conversations.list") == 1


def test_without_the_right_to_list_channels_none_is_meant(notifier: Slack, slack: SimulatedSlack) -> None:
    slack.fail("conversations.list", error="missing_scope")
    assert list(examine(notifier, [to("C0SUPPORT99")]))[-1].fix.startswith("set the channel by its id")
