"""How what is known is put into lines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import HOUR, NOON, delivery, queue, review
from worker.core.model import Facts, Left, Receipt, Story, Told
from worker.views import story_lines


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (None, "closed: no longer waiting"),
        (Left.UNKNOWN, "closed: no longer waiting"),
        (Left.REVIEWED, "closed: reviewed"),
        (Left.REMOVED, "closed: removed"),
    ],
)
def test_the_story_of_a_run_ends_with_how_it_left(left: Left | None, said: str) -> None:
    story = Story(queue(), review("a", closed_at=NOON, left=left))
    assert story_lines(story, NOON + HOUR)[-1] == f"  {NOON:%Y-%m-%dT%H:%M:%SZ}  {said}"


def test_the_story_of_a_run_forges_no_line_and_moves_no_cursor() -> None:
    hostile = "ok\n  2026-01-01T00:00:00Z  closed: reviewed\x1b[31m\u202e"
    told = Told(delivery(last_error=hostile, receipt=Receipt(hostile, hostile)))
    story = Story(replace(queue(), name=hostile), review("a", facts=Facts(name=hostile)), (told,))
    lines = story_lines(story, NOON)
    assert len(lines) == 5
    assert not set("\n\x1b\u202e") & set("".join(lines))
