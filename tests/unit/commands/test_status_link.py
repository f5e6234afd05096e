"""What `status` says of the link by which people are heard."""

from __future__ import annotations

from uuid import uuid4

from tests.support.builders import HOUR, NOON, SECOND
from worker.commands.status import link_lines
from worker.commands.tables import link_json
from worker.core.overview import LinkState, Process

UP = LinkState(NOON - 2 * HOUR, NOON - 3 * SECOND, 1, 1)


def lines(*links: LinkState | None) -> list[str]:
    services = [Process(uuid4(), "run", "host", pid, "0.2.0", NOON, link=link) for pid, link in enumerate(links, 1)]
    return link_lines(services, NOON)


def test_it_says_since_when_and_over_how_many_links() -> None:
    since = "since 2026-03-02 10:00:00 UTC (2 h ago)"
    assert lines(UP) == [f"Process 1 has heard what people do in Slack {since} over 1 link, last sign of life 3 s ago"]
    (line,) = lines(LinkState(NOON, NOON, 2, 3))
    assert "over 2 links (Slack counts 3), last sign" in line


def test_of_several_workers_those_that_stand_by_are_left_out() -> None:
    assert len(lines(UP, LinkState(), UP)) == 2
    assert lines(LinkState(), LinkState()) == ["What people do in Slack is not heard at present"]
    assert lines(None) == []


def test_it_says_so_to_programs() -> None:
    assert link_json(UP)["links"] == 1
    assert link_json(LinkState()) == {"connected_at": None, "links": 0, "counted": 0, "last_pong_at": None}
