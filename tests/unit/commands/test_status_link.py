"""What `status` says of the link by which people are heard."""

from __future__ import annotations

import pytest

from tests.support.builders import HOUR, NOON, SECOND
from worker.commands.status import link_json, link_text
from worker.core.overview import LinkState

UP = LinkState(NOON - 2 * HOUR, NOON - 3 * SECOND, 1, 1)


@pytest.mark.parametrize(
    ("link", "text"),
    [
        (
            UP,
            "is heard since 2026-03-02 10:00:00 UTC (2 h) over 1 link, last sign of life 3 s ago",
        ),
        (LinkState(NOON, NOON, 2, 3), "over 2 links, of 3 that Slack counts, last sign"),
        (LinkState(), "What people do in Slack is not heard by it at present"),
    ],
)
def test_it_says_since_when_and_over_how_many_links(link: LinkState, text: str) -> None:
    assert text in link_text(link, NOON)


def test_it_says_so_to_programs() -> None:
    assert link_json(UP)["links"] == 1
    assert link_json(LinkState()) == {"connected_at": None, "links": 0, "counted": 0, "last_pong_at": None}
