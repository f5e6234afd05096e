"""What people write after the command, and which queue they mean."""

from __future__ import annotations

import pytest

from tests.support.builders import queue
from worker.core.request import Ask, Asked, matching, request_of, similar_queues, timed, unquoted

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
