"""What `check` finds about people in Slack, each with the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.slack_stage import TOKEN, Stage, stage
from worker.core.audience import Problem
from worker.core.model import Reviewer
from worker.demo.slack.server import ALL_SCOPES
from worker.notifiers.slack.check import add_scope
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.reach import MOST, REASONS, Whom, examine_people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.core.overview import Finding
    from worker.demo.slack.server import SimulatedSlack

    Examine = Callable[..., dict[str, Finding]]

ADA, ADAS = "U0ADA00001", Reviewer("ada", "Ada", "Ada@Example.com")


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def slack(server: Stage) -> SimulatedSlack:
    slack = server.reset()
    slack.add_user(ADA, "ada@example.com", "Ada Lovelace")
    return slack


@pytest.fixture
def examine(server: Stage, slack: SimulatedSlack) -> Iterator[Examine]:  # noqa: ARG001 - it answers
    notifier = Slack(token=TOKEN, base_url=server.root)
    yield lambda **whom: {finding.name: finding for finding in examine_people(notifier, Whom(**whom))}
    notifier.close()


def test_a_reviewer_who_is_found(examine: Examine) -> None:
    (found,) = examine(reviewers=(ADAS,), is_direct=True).values()
    assert (found.name, found.ok, found.text) == ("reviewer Ada@Example.com", True, f"{ADA} (Ada Lovelace)")


def test_a_reviewer_who_is_not_found(examine: Examine) -> None:
    (found,) = examine(reviewers=(Reviewer("bob", email="bob@example.com"),)).values()
    assert not found.ok
    assert found.text == "no Slack user is found"
    assert found.fix == "write the Slack id as slack in a table of this e-mail under [people]"


def test_a_reviewer_whose_slack_id_the_settings_have(examine: Examine, slack: SimulatedSlack) -> None:
    slack.add_user("U0BOB00001", "robert@example.com", "Bob")
    bob = Reviewer("bob", email="Bob@example.com")
    (found,) = examine(reviewers=(bob,), corrected={"bob@example.com": "U0BOB00001"}).values()
    assert (found.ok, found.text) == (True, "U0BOB00001 (Bob)")
    (wrong,) = examine(reviewers=(bob,), corrected={"bob@example.com": "U0WRONG001"}).values()
    assert (wrong.ok, wrong.text) == (False, "no Slack user has the id U0WRONG001")
    assert wrong.fix == "correct slack in the table of this e-mail under [people]"


def test_a_service_account_and_who_wants_no_notice_are_no_fault(examine: Examine) -> None:
    found = examine(reviewers=(Reviewer("robot", "Nightly job"), ADAS), unnotified=frozenset({"ada@example.com"}))
    assert [finding.ok for finding in found.values()] == [True, True]
    assert "service account" in found["reviewer Nightly job"].text
    assert "tell = false" in found["reviewer Ada@Example.com"].text


@pytest.mark.parametrize(
    ("is_direct", "changes", "ok", "part"),
    [
        (True, {"guest": "multi"}, False, "is a guest in Slack"),
        (False, {"guest": "multi"}, True, ADA),
        (False, {"is_bot": True}, False, "is a bot in Slack"),
    ],
)
def test_guests_and_bots(
    examine: Examine,
    slack: SimulatedSlack,
    is_direct: bool,  # noqa: FBT001 - a table's column
    changes: dict[str, object],
    ok: bool,  # noqa: FBT001
    part: str,
) -> None:
    slack.alter_user(ADA, **changes)
    (found,) = examine(reviewers=(ADAS,), is_direct=is_direct).values()
    assert found.ok is ok
    assert part in found.text


def test_scopes_are_found_missing_where_they_are_needed(examine: Examine, slack: SimulatedSlack) -> None:
    slack.scopes = ALL_SCOPES - {"users:read.email", "users:read", "im:write", "im:history", "usergroups:read"}
    found = examine(reviewers=(ADAS,), is_direct=True)
    missing = {name for name, finding in found.items() if name.startswith("slack scope") and not finding.ok}
    assert missing == {f"slack scope {one}" for one in ("users:read.email", "users:read", "im:write", "im:history")}
    assert found["slack scope im:write"].fix == add_scope("im:write")
    assert not found["reviewer Ada@Example.com"].ok
    assert examine(reviewers=(ADAS,)).keys() & {"slack scope im:write", "slack scope im:history"} == set()
    assert examine() == {}


@pytest.mark.parametrize(
    ("state", "part"),
    [({"is_deleted": True}, "has left"), ({"is_bot": True}, "is a bot"), ({"guest": "single"}, "guest")],
)
def test_an_owner_who_cannot_be_reached(
    examine: Examine, slack: SimulatedSlack, state: dict[str, object], part: str
) -> None:
    assert examine(owners=(ADA,))[f"owner {ADA}"].ok
    slack.alter_user(ADA, **state)
    found = examine(owners=(ADA, "U0NOBODY01"))
    assert not found[f"owner {ADA}"].ok
    assert part in found[f"owner {ADA}"].text
    assert found["owner U0NOBODY01"].text == "no Slack user is found"
    assert found["owner U0NOBODY01"].fix.startswith("set WORKER_OWNER")


def test_mentions_of_the_settings(examine: Examine, slack: SimulatedSlack) -> None:
    slack.add_user("U0LEFT0001", "left@example.com", is_deleted=True)
    slack.add_group("S0ONCALL01", "on-call", ADA)
    slack.add_group("S0FORMER01", "former", is_disabled=True)
    found = examine(mentions=(ADA, "U0LEFT0001", "W0NOBODY01", "S0ONCALL01", "S0FORMER01", "S0NOBODY01"))
    assert {name.removeprefix("mention "): finding.ok for name, finding in found.items()} == {
        ADA: True,
        "U0LEFT0001": False,
        "W0NOBODY01": False,
        "S0ONCALL01": True,
        "S0FORMER01": False,
        "S0NOBODY01": False,
    }
    assert found["mention S0FORMER01"].text == "is a user group that is switched off"
    assert found["mention S0FORMER01"].fix.startswith("set WORKER_ESCALATE_MENTION")


def test_mentions_that_cannot_be_proven_with_the_small_manifest_are_no_fault(
    examine: Examine, slack: SimulatedSlack
) -> None:
    slack.scopes = {"chat:write", "channels:read", "channels:history", "groups:read", "groups:history"}
    found = examine(mentions=(ADA, "S0ONCALL01"))
    assert [finding.ok for finding in found.values()] == [True, True]
    assert "no users:read" in found[f"mention {ADA}"].text
    assert "no usergroups:read" in found["mention S0ONCALL01"].text


def test_a_bad_token_is_a_finding_of_its_own(examine: Examine, slack: SimulatedSlack) -> None:
    slack.token_error = "token_revoked"
    assert examine(reviewers=(ADAS,)) == {}


def test_a_look_up_that_is_throttled_says_so(examine: Examine, slack: SimulatedSlack) -> None:
    slack.fail("users.lookupByEmail", mode="ratelimited", retry_after=30)
    (found,) = examine(reviewers=(ADAS,)).values()
    assert (found.ok, found.fix) == (False, "try again later")


def test_not_more_reviewers_are_looked_up_than_slack_answers_at_once(examine: Examine) -> None:
    many = tuple(Reviewer(str(n), email=f"r{n}@example.com") for n in range(MOST + 3))
    found = examine(reviewers=many)
    assert len(found) == MOST + 1
    assert found["reviewers"].text.startswith("3 more were not looked up")


def test_every_problem_has_its_words() -> None:
    assert REASONS.keys() == set(Problem) - {Problem.NONE}
