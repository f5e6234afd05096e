"""Worklists as Slack shows them: within every limit, with nothing of a run's taken for markup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, NOON, queue, review, rules_with
from tests.support.slack_reader import limits_broken, mrkdwn
from worker.core.audience import NO_PERSONS
from worker.core.model import Acts, Facts, Show
from worker.core.worklist import Shelf, Worklist, worklist_in, worklist_of
from worker.demo.slack.limits import block_errors
from worker.notifiers.slack.private_answers import worklist_blocks, worklist_text

if TYPE_CHECKING:
    from worker.core.model import Queue

ME = "U0ME0000001"
NOW = NOON + DAY
TAKEN = Acts(ME, "Me", NOW + DAY)
LINK = "https://smith.example/runs/"


def listed(*names: str, of: Queue | None = None, **more: Any) -> Worklist:
    own = of or queue("Support QA", url="https://smith.example/queue")
    runs = [review(number, facts=Facts(name, url=f"{LINK}{number}", **more)) for number, name in enumerate(names)]
    shelf = Shelf(own, rules_with(show=frozenset(Show)).view(own), runs, len(runs), muted_until=NOW + DAY)
    return worklist_in(shelf, ME, NO_PERSONS, NOW)


def of_mine(*names: str, nobodys: int = 0, has_people: bool = False) -> Worklist:
    runs = [replace(review(name, facts=Facts(name)), acts=TAKEN) for name in names]
    shelves = [
        Shelf(own := queue(f"Queue & {number}"), rules_with().view(own), runs if not number else [], 7)
        for number in range(max(nobodys, 1))
    ]
    made = worklist_of(ME, NO_PERSONS, shelves, NOW)
    return replace(made, has_people=has_people)


def test_a_queue_is_listed_with_links_and_dates() -> None:
    made = listed("Refund", "Cancel")
    text = worklist_text(made)
    assert text.split("\n")[0] == "2 runs wait in Support QA"
    assert "muted until 4 Mar 12:00 UTC · as of 3 Mar 12:00 UTC" in text
    shown = "\n".join(mrkdwn({"blocks": worklist_blocks(made)}))
    assert f"<{LINK}0|Refund>" in shown
    assert "<!date^" in shown
    assert "<https://smith.example/queue|Open Support QA in LangSmith>" in shown


def test_more_than_ten_are_counted() -> None:
    assert "and 15 more" in worklist_text(listed(*(f"run {number}" for number in range(25))))


@pytest.mark.parametrize(
    "hostile", ["<!channel>", "<https://evil.example|x>", "@everyone *b* `c`", "a\nb\u202ec", "&" * 300, "🙂" * 300]
)
def test_hostile_text_is_shown_as_text_and_fits(hostile: str) -> None:
    own = queue(hostile, url="https://smith.example/queue")
    made = listed(
        *[hostile] * 25, of=own, error=hostile * 9, tags=(hostile,) * 9, thread=hostile, inputs_preview=hostile
    )
    rendered = {"text": worklist_text(made), "blocks": worklist_blocks(made), "metadata": {}}
    assert limits_broken(rendered) == []
    assert block_errors(rendered["blocks"], most=100) == []
    assert not [text for text in mrkdwn(rendered) if "<!channel" in text or "|x>" in text]
    assert "\u202e" not in json.dumps(rendered, ensure_ascii=False)


def test_why_a_list_is_empty_is_said() -> None:
    nobody = worklist_text(of_mine(nobodys=7))
    assert "Nothing waits for your review" in nobody
    assert "No queue has reviewers in the settings" in nobody
    assert "49 runs in Queue &amp; 0 (7)" in nobody
    assert "2 more queues (14)" in nobody
    assert "You are not known as a reviewer" in worklist_text(of_mine(has_people=True))


def test_what_may_be_out_of_date_says_so() -> None:
    made = replace(listed("a"), failing_since=NOON)
    assert "This queue could not be read since 2 Mar 12:00 UTC" in worklist_text(made)


def test_what_is_taken_says_by_whom() -> None:
    text = worklist_text(of_mine("Refund"))
    assert "1 run waits for your review" in text
    assert "1 taken by you" in text
    assert "Me has it" in text
