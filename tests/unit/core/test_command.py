"""What people write after the command, and which queue they mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.builders import queue
from tests.support.office import FRIDAY, MONDAY, office
from worker.core.command import (
    Ask,
    Asked,
    for_reviewers,
    help_text,
    matching,
    no_time,
    request_of,
    several_queues,
    similar_queues,
    timed,
    unknown_queue,
    unquoted,
    until_of,
)
from worker.settings.values import duration

SUPPORT, RAG, MUTE = queue("Support QA"), queue("RAG bot: grounding"), queue("mute")
QUEUES = (SUPPORT, RAG, MUTE)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", Asked(Ask.MINE)),
        ("  Mine ", Asked(Ask.MINE)),
        ("HELP", Asked(Ask.HELP)),
        ("?", Asked(Ask.HELP)),
        ("mute", Asked(Ask.HELP)),
        ("mute Support QA 1h", Asked(Ask.MUTE, "Support QA 1h")),
        ("Unmute  Support\u202eQA", Asked(Ask.UNMUTE, "SupportQA")),
        ("muted things", Asked(Ask.QUEUE, "muted things")),
        ("Support QA", Asked(Ask.QUEUE, "Support QA")),
        ('"help"', Asked(Ask.QUEUE, '"help"')),
        ("x" * 10_000, Asked(Ask.QUEUE, "x" * 499 + "…")),
    ],
)
def test_what_is_asked_for(written: str, meant: Asked) -> None:
    assert request_of(written) == meant


@pytest.mark.parametrize(
    ("written", "name", "until", "found"),
    [
        ("Support QA 1h", "Support QA", "1h", SUPPORT),
        ("support  qa until 2026-12-24 10:00", "support qa", "2026-12-24 10:00", SUPPORT),
        ("Support QA for 2d", "Support QA", "2d", SUPPORT),
        ('"Support QA" opening', "Support QA", "opening", SUPPORT),
        ("„mute“ 1h", "mute", "1h", MUTE),
        ("mute 1h", "mute", "1h", MUTE),
        ("Support QA", "Support QA", "", SUPPORT),
        (str(RAG.queue_id) + " 1h", str(RAG.queue_id), "1h", RAG),
        ("Suport QA 1h", "Suport QA", "1h", None),
        ("nothing", "nothing", "", None),
    ],
)
def test_where_a_name_ends_and_a_time_begins(written: str, name: str, until: str, found: object) -> None:
    read = timed(QUEUES, written)
    assert (read.name, read.until, read.queues) == (name, until, () if found is None else (found,))


def test_quotes_around_a_name_are_none_of_it() -> None:
    assert unquoted("“help”") == "help"
    assert unquoted('say "hi"') == 'say "hi"'


@pytest.mark.parametrize(
    ("wanted", "best"),
    [
        ("Suport QA", SUPPORT),
        ("suport", SUPPORT),
        ("groundng", RAG),
        ("support", SUPPORT),
        ("rag", RAG),
        ("RAG bot grounding", RAG),
        ("zzz", None),
        ("", None),
    ],
)
def test_which_queue_may_be_meant(wanted: str, best: object) -> None:
    assert similar_queues(QUEUES, wanted)[:1] == ([] if best is None else [best])


def test_two_queues_of_one_name_are_both_found_and_distinct_by_their_ids() -> None:
    twins = (queue("QA", queue_id=SUPPORT.queue_id), queue("QA", queue_id=RAG.queue_id))
    assert matching(twins, "qa") == [*twins]
    assert matching(twins, str(RAG.queue_id).upper()) == [twins[1]]


def test_a_queue_is_found_by_a_beginning_of_its_id_and_by_a_name_that_is_written_otherwise() -> None:
    beginning = str(SUPPORT.queue_id)[:8]
    assert matching((SUPPORT, RAG), beginning) == [SUPPORT]
    assert matching((SUPPORT, RAG), beginning[:3]) == []
    cafe = queue("Café  Zürich")
    assert matching((SUPPORT, cafe), "cafe\u0301 ZU\u0308RICH") == [cafe]


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


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("opening", MONDAY),
        (" Monday ", MONDAY),
        ("2026-12-24T10:00", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ("2026-12-24 09:00Z", datetime(2026, 12, 24, 9, tzinfo=UTC)),
    ],
)
def test_an_end_is_an_opening_or_an_instant_on_the_queues_clock(written: str, at: datetime) -> None:
    assert until_of(written, office(), FRIDAY, duration) == at


def test_an_end_is_so_long_from_now() -> None:
    assert until_of("1d12h", office(), FRIDAY, duration) == FRIDAY + duration("36h")


@pytest.mark.parametrize("written", ["soon", "tomorrow", "1", "99999y", "2026-13-01", "0001-01-01T00:00+23:59", "\x00"])
def test_anything_else_is_no_time(written: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        until_of(written, office(), FRIDAY, duration)
