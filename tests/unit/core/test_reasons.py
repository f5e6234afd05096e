"""Why the worker is not well: each reason with what is wrong and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import HOUR, MINUTE, NOON, SECOND, pause, snapshot
from tests.support.overviews import overview, view
from worker.core.model import QueueTotals
from worker.core.overview import Area, Asked, Reason
from worker.core.owed import EVERYWHERE, Backlog, State
from worker.core.ports import Trouble
from worker.core.status.reasons import KINDS, START_GRACE, only_here, reasons, rows_text
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from worker.core.overview import Overview, QueueView

NEVER_POLLED = view(completed_at=None)


def kinds(seen: Overview) -> list[str]:
    return [reason.kind for reason in reasons(seen)]


def only(seen: Overview) -> Reason:
    (reason,) = reasons(seen)
    return reason


def test_a_worker_that_polls_and_posts_is_well() -> None:
    assert reasons(overview(view(), backlog=[Backlog(State.PENDING, 9, NOON - HOUR)])) == ()


@pytest.mark.parametrize(
    ("ran_for", "found"),
    [
        pytest.param(3 * MINUTE, [], id="three intervals"),
        pytest.param(3 * MINUTE + SECOND, ["queue_late"], id="more than three"),
    ],
)
def test_a_queue_that_was_never_polled_is_given_three_intervals(ran_for: object, found: list[str]) -> None:
    assert kinds(overview(NEVER_POLLED, started_at=NOON - ran_for)) == found  # type: ignore[operator]


@pytest.mark.parametrize(
    ("ran_for", "found"),
    [
        pytest.param(3 * MINUTE, [], id="three intervals"),
        pytest.param(3 * MINUTE + SECOND, ["queue_missing"], id="more than three"),
    ],
)
def test_a_worker_without_any_queue_is_given_three_intervals(ran_for: object, found: list[str]) -> None:
    assert kinds(overview(started_at=NOON - ran_for, unlisted_since=NOON - 4 * MINUTE)) == found  # type: ignore[operator]


def test_where_nobody_works_there_is_nothing_to_wait_for() -> None:
    assert only(replace(overview(NEVER_POLLED), started_at=None)).fix == START_GRACE
    assert only(replace(overview(), started_at=None)) == Reason(
        "queue_missing", Area.QUEUES, "no queue has been polled", START_GRACE
    )


def test_a_queue_that_failed_when_nobody_works_says_both() -> None:
    failed = view(completed_at=None, failing_since=NOON, trouble="refused", error="HTTP 401")
    fix = only(replace(overview(failed), started_at=None)).fix
    assert fix == f"{ADVICE.troubles[Trouble.REFUSED]}; then {START_GRACE}"


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_late_queue_says_what_to_do_about_what_stands_in_the_way(trouble: Trouble) -> None:
    late = view(completed_at=NOON - HOUR, failing_since=NOON - HOUR, trouble=trouble, error="HTTP 5xx")
    reason = only(overview(late))
    assert (reason.area, reason.fix, reason.since) == (Area.QUEUES, ADVICE.troubles[trouble], NOON - HOUR)
    assert reason.text == "Support QA: last complete poll 2026-03-02 11:00:00 UTC (HTTP 5xx)"
    assert reason.subject == str(late.polled.queue.queue_id)


def test_a_late_queue_without_an_error_points_to_the_log() -> None:
    assert "queue_failing" in only(overview(view(completed_at=NOON - HOUR))).fix


def test_the_list_of_queues_may_be_unreadable_for_a_while() -> None:
    assert kinds(overview(view(), unlisted_since=NOON - 15 * MINUTE)) == []
    long = only(overview(view(), unlisted_since=NOON - 16 * MINUTE, unlisted="HTTP 502"))
    assert (long.kind, long.text.endswith("(HTTP 502)")) == ("queues_not_listed", True)


def test_a_refused_token_or_channel_says_why_and_that_nothing_is_lost() -> None:
    token, channel = reasons(
        overview(view(), pauses=[pause(EVERYWHERE, error="", reason="token_revoked"), pause("C1")])
    )
    assert (token.kind, channel.kind, channel.subject) == ("token_refused", "channel_refused", "C1")
    assert "token_revoked" in token.text
    assert "SLACK_BOT_TOKEN" in token.fix
    assert channel.text.endswith("(Slack answered not_in_channel: invite the app to the channel)")
    assert "kept" in token.fix
    assert "kept" in channel.fix


@pytest.mark.parametrize(
    ("backlog", "text"),
    [
        pytest.param(Backlog(State.DEAD, 1, NOON), "1 delivery is dead", id="one"),
        pytest.param(
            Backlog(State.HELD, 2, NOON, "look into the channel"),
            "2 deliveries are held, the last because: look into the channel",
            id="two, with the error",
        ),
    ],
)
def test_dead_and_held_deliveries_are_counted_and_explained(backlog: Backlog, text: str) -> None:
    reason = only(overview(view(), backlog=[backlog]))
    assert (reason.text, reason.kind, reason.since) == (text, f"delivery_{backlog.state}", NOON)
    assert f"--state {backlog.state}" in reason.fix


def test_slack_may_be_silent_for_a_while() -> None:
    silent = Asked(NOON - HOUR, failing_since=NOON - 5 * MINUTE, error="time-out")
    assert kinds(overview(view(), asked=silent)) == []
    reason = only(overview(view(), asked=replace(silent, failing_since=NOON - 5 * MINUTE - SECOND)))
    assert reason.text == "has not answered since 2026-03-02 11:54 UTC (time-out)"


def test_what_parts_announce_is_a_reason_as_it_is() -> None:
    blind = Reason("queue_blind", Area.QUEUES, "The key sees 0 of 3", "Use another key", "q1", NOON)
    assert reasons(overview(view(), announced=[blind])) == (blind,)


def test_every_kind_that_is_found_here_is_one_of_those_that_metrics_begin_at_zero() -> None:
    ill = overview(
        view(completed_at=NOON - HOUR, trouble="store", error="disk full"),
        unknown=frozenset({"Ghost"}),
        unlisted_since=NOON - HOUR,
        pauses=[pause(EVERYWHERE), pause("C1")],
        backlog=[Backlog(State.DEAD, 1, NOON), Backlog(State.HELD, 1, NOON)],
        asked=Asked(failing_since=NOON - HOUR),
    )
    assert set(kinds(ill)) | {"queue_missing"} == {*KINDS, "slack_unanswered"}


def test_a_database_that_refuses_is_said_once() -> None:
    denied = Reason("database_refuses", Area.DATABASE, "denied. As its owner: GRANT", "grant it")
    assert kinds(overview(view(), store_error=denied.text, announced=(denied,))) == ["database_refuses"]
    assert kinds(overview(view(), store_error="gone", announced=(denied,))) == ["database_failing", "database_refuses"]


def test_another_process_finds_by_itself_what_the_database_shows() -> None:
    seen = overview(view(completed_at=NOON - HOUR), unknown=("Ghost",))
    assert kinds(seen) != ["queue_unknown"]
    assert [reason.kind for reason in only_here(seen)] == ["queue_unknown"]


@pytest.mark.parametrize("written", ["slack", "source", ""])
def test_an_area_that_an_earlier_version_wrote_is_the_notifier(written: str) -> None:
    assert Area(written) is Area.NOTIFIER


@pytest.mark.parametrize(
    ("queue", "known"),
    [
        pytest.param(view(), True, id="it was polled"),
        pytest.param(view(completed_at=None, standing=QueueTotals()), True, id="it was counted"),
        pytest.param(NEVER_POLLED, False, id="neither"),
    ],
)
def test_something_is_known_of_a_queue_where(queue: QueueView, known: bool) -> None:  # noqa: FBT001
    assert queue.is_known is known


@pytest.mark.parametrize(
    ("obscured", "effect"),
    [(True, "no run is taken for reviewed meanwhile"), (False, "runs that are known already count as waiting")],
)
def test_rows_that_cannot_be_used_say_what_follows(obscured: bool, effect: str) -> None:  # noqa: FBT001
    assert effect in rows_text(replace(snapshot(unusable=1), obscured=obscured))
