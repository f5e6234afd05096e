"""The words of the worker's reports on itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND
from worker.core import incident_texts
from worker.core.incidents import Group, Incident
from worker.core.overview import NAMED
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from datetime import timedelta

SUNSET = NOON + 60 * DAY


def incident(group: Group, name: str = "", *, ago: timedelta = HOUR, error: str = "", ended: bool = False) -> Incident:
    return Incident(group, name, name, NOON - ago, error, ended_at=NOON if ended else None)


@pytest.mark.parametrize(
    ("group", "text"),
    [
        pytest.param(
            [incident(Group.KEY, error="HTTP 401")],
            "LangSmith has refused the API key since 2026-03-02 11:00 UTC: HTTP 401. Nothing is polled until it is "
            "accepted: put a valid key in LANGSMITH_API_KEY, or its region's address in LANGSMITH_ENDPOINT, and "
            "restart. What was posted before stays as it is. `review-notifier check` tries the key.",
            id="key",
        ),
        pytest.param(
            [incident(Group.LIST)],
            "Listing the queues has failed since 2026-03-02 11:00 UTC, so new queues are not noticed. "
            "Known ones are polled. `review-notifier queues` tries it.",
            id="list",
        ),
        pytest.param(
            [incident(Group.NAME, "Ghost"), incident(Group.NAME, "Spirit")],
            "Ghost, Spirit: no queue has this name; correct WORKER_QUEUES or worker.toml, "
            "`review-notifier queues` lists what the key can see.",
            id="names",
        ),
        pytest.param(
            [
                incident(Group.QUEUE, "A", ago=MINUTE, error="HTTP 500"),
                replace(incident(Group.QUEUE, "B\x02", error="HTTP 502\x03"), waiting=1200, channel="reviews"),
            ],
            "Polling A, B (for \x02reviews\x03) has failed since 2026-03-02 11:00 UTC: HTTP 502. "
            "1,200 runs waited there at the last poll. "
            "Nothing is lost: new runs are announced when polling works again. "
            "`review-notifier check` tries to read each queue.",
            id="queues, since the first",
        ),
        pytest.param(
            [
                Incident(Group.PART, "posts_late", "posts_late", NOON, "posts are late", fix="look at the network"),
                Incident(Group.PART, "queue_blind", "queue_blind", NOON, "nothing is seen", fix="use another key"),
            ],
            "posts are late. Fix: look at the network. nothing is seen. Fix: use another key.",
            id="what parts of the worker announce",
        ),
    ],
)
def test_what_has_begun(group: list[Incident], text: str) -> None:
    assert incident_texts.begun(group, ADVICE) == text


@pytest.mark.parametrize(
    ("group", "text"),
    [
        pytest.param(
            [incident(Group.KEY, ended=True)],
            "LangSmith accepts the API key again. Blind from 2026-03-02 11:00 UTC to 2026-03-02 12:00 UTC; "
            "found since: 1 new run, 2 runs that left.",
            id="key",
        ),
        pytest.param(
            [incident(Group.LIST, ended=True)],
            "The queues can be listed again; that had failed since 2026-03-02 11:00 UTC.",
            id="list",
        ),
        pytest.param([incident(Group.NAME, "Ghost", ended=True)], "Ghost: found now.", id="name"),
        pytest.param(
            [incident(Group.QUEUE, "A", ago=MINUTE), incident(Group.QUEUE, "B", ended=True)],
            "A, B can be polled again. Blind from 2026-03-02 11:00 UTC to 2026-03-02 12:00 UTC; "
            "found since: 1 new run, 2 runs that left.",
            id="queues",
        ),
        pytest.param(
            [incident(Group.PART, error="posts are late", ended=True)],
            "This is over: posts are late. It began 2026-03-02 11:00 UTC.",
            id="what a part of the worker announced",
        ),
    ],
)
def test_what_has_ended(group: list[Incident], text: str) -> None:
    assert incident_texts.ended(group, (1, 2), ADVICE) == text


def test_the_worker_s_own_outage() -> None:
    assert incident_texts.outage(NOON - HOUR, NOON, (0, 1)) == (
        "The worker polled nothing for a while. Blind from 2026-03-02 11:00 UTC to 2026-03-02 12:00 UTC; "
        "found since: 0 new runs, 1 run that left."
    )


@pytest.mark.parametrize(
    ("now", "when"),
    [
        pytest.param(NOON, "ends on 2026-05-01", id="before"),
        pytest.param(SUNSET, "ends on 2026-05-01", id="on the very instant"),
        pytest.param(SUNSET + SECOND, "was to end on 2026-05-01", id="after"),
    ],
)
def test_the_end_of_a_listing(now: object, when: str) -> None:
    assert incident_texts.sunset("runs", SUNSET, now, ADVICE) == (  # type: ignore[arg-type]
        f"LangSmith's listing runs, which this worker reads, {when}. Set WORKER_LANGSMITH_API=auto, and update the "
        "worker (or a self-hosted LangSmith) if that does not help."
    )


@pytest.mark.parametrize(
    ("kind", "runs", "queue", "name"),
    [
        ("reminder", 4, "Support QA", "a reminder of 4 runs in Support QA"),
        ("announcement", 1, "", "an announcement of 1 run"),
        ("direct", 2, "", "a direct message about 2 runs"),
        ("report", 0, "Support QA", "a report in Support QA"),
        ("ops", 3, "", "a report to the operators"),
        ("of a later version", 0, "", "of a later version"),
    ],
)
def test_what_a_message_is_called(kind: str, runs: int, queue: str, name: str) -> None:
    assert incident_texts.message_named(kind, runs, queue) == name


def test_many_queues_are_named_in_part_and_counted() -> None:
    def told(count: int) -> str:
        failing = [incident(Group.QUEUE, f"q{number}") for number in range(count)]
        return incident_texts.begun(failing, ADVICE).split(" has failed")[0]

    assert told(NAMED).endswith(f"q{NAMED - 1}")
    assert told(NAMED + 1).endswith(f"q{NAMED - 1} and 1 more")


def test_what_several_workers_found_together_is_not_counted() -> None:
    told = incident_texts.outage(NOON - HOUR, NOON, None)
    assert told.endswith("Blind from 2026-03-02 11:00 UTC to 2026-03-02 12:00 UTC.")


def test_of_many_parts_the_first_are_reported_and_the_others_counted() -> None:
    group = [Incident(Group.PART, f"{number}", "kind", NOON, f"{number}", fix="x") for number in range(NAMED + 2)]
    assert incident_texts.begun(group, ADVICE).endswith(" And 2 more.")
