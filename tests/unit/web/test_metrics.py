from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from tests.support.builders import DAY, HOUR, MINUTE, NOON, pause, queue
from tests.support.overviews import overview, view
from worker.core.actions import Act, Refusal
from worker.core.model import Fate, Kind, QueueTotals
from worker.core.overview import DONE, ApiInUse
from worker.core.owed import Backlog, State
from worker.web.metrics import Metrics

if TYPE_CHECKING:
    from worker.core.overview import Overview


def metrics(seen: Overview | None = None, *, most_queues: int = 200) -> Metrics:
    return Metrics(version="1.2.3", commit="abc", overview=lambda: seen, most_queues=most_queues)


def value(of: Metrics, name: str, **labels: str) -> float | None:
    """One sample as Prometheus reads it."""
    for family in text_string_to_metric_families(of.exposition().decode()):
        for sample in family.samples:
            if sample.name == f"review_notifier_{name}" and sample.labels == labels:
                return sample.value
    return None


def test_polls_are_counted_with_their_time_and_trouble() -> None:
    counted = metrics()
    counted.polled(queue(), seconds=2)
    counted.polled(queue(), seconds=4, trouble="unreachable")
    assert value(counted, "polls_total", queue="Support QA") == 2
    assert value(counted, "poll_failures_total", queue="Support QA", trouble="unreachable") == 1
    assert value(counted, "poll_seconds_sum") == 6


def test_disagreements_are_counted_as_far_as_they_are_known() -> None:
    seen = metrics(overview(view(disagreed=2), view("Triage")))
    assert value(seen, "queue_disagreed", queue="Support QA") == 2
    assert value(seen, "queue_disagreed", queue="Triage") is None


def test_being_throttled_is_counted_by_service() -> None:
    counted = metrics()
    counted.throttled()
    counted.polled(queue(), seconds=1, trouble="throttled")
    counted.polled(queue(), seconds=1, trouble="missing")
    assert value(counted, "throttled_total", service="slack") == 1
    assert value(counted, "throttled_total", service="langsmith") == 1


def test_deliveries_and_edits_are_counted_by_what_became_of_them() -> None:
    counted = metrics()
    counted.delivered(Kind.REMINDER, "unknown")
    counted.edited("made")
    assert value(counted, "deliveries_total", kind="reminder", outcome="unknown") == 1
    assert value(counted, "edits_total", outcome="made") == 1


def test_what_left_is_counted_by_its_fate_and_measured() -> None:
    counted = metrics()
    counted.closed(queue(), Fate.REVIEWED)
    counted.waited(queue(), 90 * MINUTE)
    assert value(counted, "reviews_closed_total", queue="Support QA", fate="reviewed") == 1
    assert value(counted, "reviews_closed_total", queue="Support QA", fate="removed") == 0
    assert value(counted, "time_to_review_seconds_bucket", queue="Support QA", le="3600.0") == 0
    assert value(counted, "time_to_review_seconds_bucket", queue="Support QA", le="7200.0") == 1


def test_calls_and_acts_are_counted_by_what_became_of_them() -> None:
    counted = metrics()
    counted.called(2, 1)
    counted.acted(Act.CLAIM, DONE)
    counted.acted(Act.CLAIM, Refusal.TAKEN.value)
    assert value(counted, "calls_total", outcome="made") == 2
    assert value(counted, "calls_total", outcome="spared") == 1
    assert value(counted, "acts_total", act="claim", outcome="done") == 1
    assert value(counted, "acts_total", act="claim", outcome="taken") == 1
    assert value(counted, "acts_total", act="snooze", outcome="done") == 0


def test_what_is_held_is_shown_by_its_end() -> None:
    seen = metrics(overview(view(held_until=NOON + HOUR), view("Triage")))
    held = "queue_held_until_timestamp_seconds"
    assert value(seen, held, queue="Support QA") == (NOON + HOUR).timestamp()
    assert value(seen, held, queue="Triage") == 0


@pytest.mark.parametrize(("hanging", "ready"), [((), 1), (("edit",), 0)])
def test_a_loop_that_hangs_is_a_condition_that_does_not_hold(hanging: tuple[str, ...], ready: int) -> None:
    shown = Metrics(version="1.2.3", commit="abc", overview=overview, hanging=lambda: hanging)
    assert value(shown, "ready", check="loops") == ready


def test_what_matters_begins_at_zero() -> None:
    assert value(metrics(), "deliveries_total", kind="announcement", outcome="dead") == 0


def test_failures_begin_at_zero_before_the_first_of_them() -> None:
    shown = metrics(overview(view(completed_at=None)))
    for trouble in ("refused", "unreachable", "store"):
        assert value(shown, "poll_failures_total", queue="Support QA", trouble=trouble) == 0
    assert value(shown, "polls_total", queue="Support QA") == 0
    assert value(shown, "reviews_closed_total", queue="Support QA", fate="reviewed") == 0
    assert value(shown, "time_to_review_seconds_count", queue="Support QA") == 0
    assert value(shown, "deliveries_total", kind="ops", outcome="held") == 0
    assert value(shown, "edits_total", outcome="failed") == 0


def test_a_queue_that_gets_its_name_leaves_nothing_under_its_id() -> None:
    named = view()
    queue_id = str(named.polled.queue.queue_id)
    seen = [overview(replace(named, polled=replace(named.polled, queue=replace(queue(), name=queue_id))))]
    shown = Metrics(version="1", commit="c", overview=lambda: seen[0])
    assert value(shown, "polls_total", queue=queue_id) == 0
    seen[0] = overview(named)
    assert value(shown, "polls_total", queue="Support QA") == 0
    assert value(shown, "polls_total", queue=queue_id) is None


def test_what_waits_in_a_queue_of_which_nothing_is_known_is_no_number() -> None:
    unknown = metrics(overview(view(completed_at=None)))
    assert value(unknown, "queue_waiting", queue="Support QA") is None
    assert value(unknown, "queue_oldest_seconds", queue="Support QA") is None


def test_reasons_are_counted_by_kind_and_begin_at_zero() -> None:
    shown = metrics(overview(view(), pauses=[pause("C1"), pause("C2")]))
    assert value(shown, "reasons", kind="channel_refused") == 2
    assert value(shown, "reasons", kind="token_refused") == 0


def test_a_build_is_told_before_anything_was_looked_at() -> None:
    assert value(metrics(), "build_info", version="1.2.3", commit="abc") == 1
    assert value(metrics(), "outbox_oldest_seconds") is None


def test_a_look_shows_queues_outbox_and_readiness() -> None:
    seen = overview(
        view(waiting=3, standing=QueueTotals(waiting=3, stale=2, oldest_since=NOON - HOUR)),
        pauses=[pause()],
        backlog=[Backlog(State.PENDING, 4, NOON - MINUTE), Backlog(State.DEAD, 1, NOON - DAY)],
        api=ApiInUse("runs", NOON + 10 * DAY),
    )
    shown = metrics(seen)
    expected = {
        ("queue_waiting", "Support QA"): 3,
        ("queue_stale", "Support QA"): 2,
        ("queue_oldest_seconds", "Support QA"): 3600,
        ("queue_completed_timestamp_seconds", "Support QA"): NOON.timestamp(),
    }
    assert {key: value(shown, key[0], queue=key[1]) for key in expected} == expected
    assert value(shown, "outbox", state="pending") == 4
    assert value(shown, "outbox", state="unknown") == 0
    assert value(shown, "outbox_oldest_seconds") == 60
    assert value(shown, "held_destinations") == 1
    assert value(shown, "ready", check="queues") == 1
    assert value(shown, "langsmith_api_info", api="runs") == 1
    assert value(shown, "langsmith_api_sunset_days") == 10
    assert value(shown, "looked_timestamp_seconds") == NOON.timestamp()


def test_a_queue_that_was_never_polled_completely_is_not_taken_for_a_fresh_one() -> None:
    shown = metrics(overview(view(completed_at=None)))
    assert value(shown, "queue_completed_timestamp_seconds", queue="Support QA") == 0
    assert value(shown, "ready", check="queues") == 0


def test_labels_are_bounded_and_the_rest_is_one() -> None:
    queues = [
        view(f"q{number}", waiting=1, standing=QueueTotals(oldest_since=NOON - number * HOUR)) for number in range(5)
    ]
    shown = metrics(overview(*queues), most_queues=2)
    assert value(shown, "queue_waiting", queue="other") == 3
    assert value(shown, "queue_oldest_seconds", queue="other") == 4 * 3600
    for number in range(1000):
        shown.polled(queue(f"later {number}"), seconds=1)
    assert value(shown, "polls_total", queue="other") == 1000
    assert shown.exposition().count(b"review_notifier_polls_total{") == 3


@pytest.mark.parametrize("name", ['a"b\\c\nd', "é" * 500, "{}", ""], ids=["quotes", "long", "braces", "empty"])
def test_a_hostile_name_breaks_nothing(name: str) -> None:
    shown = metrics(overview(view(name, waiting=7)))
    assert value(shown, "queue_waiting", queue=name[:80]) == 7
