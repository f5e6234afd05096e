"""LangSmith changes its listing under the running worker, and nobody in the channel notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.langsmith_stage import ITEMS, QUEUE, QUEUES
from tests.system.conftest import CHANNEL
from tests.system.process import stays, wait_for

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.process import Bench
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack


def kinds(slack: SimulatedSlack) -> list[str]:
    return [message["metadata"]["event_payload"]["kind"] for message in slack.messages(CHANNEL)]


def listings(langsmith: SimulatedLangSmith) -> list[str]:
    paths = [asked.path.rpartition("/")[2] for asked in langsmith.requests]
    return [path for path in paths if path in {"runs", "items"}]


def reads(langsmith: SimulatedLangSmith, listing: str) -> bool:
    """Whether the last polls were all by this listing."""
    return listings(langsmith)[-2:] == [listing] * 2


@pytest.mark.long(11)
def test_from_one_listing_to_the_other_and_back_nothing_is_told_again(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    first = langsmith.add_run(queue, name="first")
    with bench.service() as service:
        wait_for(lambda: kinds(slack) == ["baseline"], "a baseline")
        langsmith.deprecate()
        wait_for(lambda: reads(langsmith, "items"), "the newer listing")
        stays(lambda: kinds(slack) == ["baseline"], 2, "nothing is told again")
        langsmith.add_run(queue, name="second")
        wait_for(lambda: kinds(slack) == ["baseline", "announcement"], "what is new")
        assert "second" in slack.messages(CHANNEL)[-1]["text"]
        assert service.stop() == 0
    with bench.service() as service:
        wait_for(lambda: reads(langsmith, "items"), "the newer listing after a restart")
        langsmith.deprecate(deprecation="", sunset="")
        langsmith.switch_off(ITEMS)
        wait_for(lambda: reads(langsmith, "runs"), "the older listing again")
        langsmith.complete(first)
        stays(lambda: kinds(slack) == ["baseline", "announcement"], 2, "nothing is told again")
        assert [line["listing"] for line in service.logged("listing_changed")] == ["runs"]


def test_a_server_that_only_has_the_older_listing_is_warned_of_and_served(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    for route in (ITEMS, QUEUE, QUEUES):
        langsmith.switch_off(route)
    langsmith.deprecate()
    langsmith.add_run(queue, name="first")
    with bench.service() as service:
        wait_for(lambda: kinds(slack) == ["baseline"], "a baseline")
        wait_for(lambda: service.logged("listing_ends"), "a warning")
        langsmith.add_run(queue, name="second")
        wait_for(lambda: kinds(slack) == ["baseline", "announcement"], "what is new")
    assert len(service.logged("listing_ends")) == 1
