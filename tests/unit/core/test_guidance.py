"""What people are shown whose command cannot be followed."""

from __future__ import annotations

from tests.support.builders import queue
from worker.core.guidance import for_reviewers, help_text, no_time, several_queues, unknown_queue

SUPPORT, RAG = queue("Support QA"), queue("RAG bot")


def test_the_help_names_all_that_can_be_written() -> None:
    lines = help_text("/reviews").split("\n")
    assert [line.split(":")[0] for line in lines] == [
        "/reviews",
        "/reviews QUEUE",
        "/reviews mute QUEUE 1h",
        "/reviews unmute QUEUE",
        "/reviews help",
    ]


def test_an_unknown_queue_is_answered_with_those_that_may_be_meant() -> None:
    text = unknown_queue("/reviews", "Suport", [SUPPORT, RAG])
    assert "No queue here is called “Suport”. Did you mean “Support QA”?" in text
    assert help_text("/reviews") in text
    assert "These can be asked for: “Support QA”, “RAG bot”." in unknown_queue("/reviews", "zzz", [SUPPORT, RAG])
    many = [queue(f"Queue {number}") for number in range(14)]
    assert "“Queue 9” and 4 more." in unknown_queue("/reviews", "zzz", many)
    assert "There is none that can be asked for." in unknown_queue("/reviews", "zzz", [])


def test_hostile_names_stay_in_their_line() -> None:
    hostile = queue("a\n\u202eb" + "x" * 500)
    for text in (
        unknown_queue("/reviews", hostile.name, [hostile]).split("\n\n")[0],
        no_time("/reviews", hostile),
        for_reviewers(hostile),
    ):
        assert ("\n" in text, "\u202e" in text, len(text) < 300) == (False, False, True)


def test_of_queues_with_one_name_the_ids_are_listed() -> None:
    text = several_queues("qa", [SUPPORT, RAG])
    assert text.split("\n")[1:] == [str(SUPPORT.queue_id), str(RAG.queue_id)]
    assert "2 queues are called “qa”" in text
