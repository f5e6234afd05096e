"""How what is known is put into lines."""

from __future__ import annotations

import pytest

from tests.builders import HOUR, NOON, queue, review
from worker.core.model import Left, Story
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
