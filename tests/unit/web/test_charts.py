"""What the charts draw, read as a browser reads it, and the tables behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.support.shown import HOSTILE, day_row, flow
from worker.web.charts import flow_chart, heat_map, sparkline
from worker.web.html import element, outward_link, pieces

if TYPE_CHECKING:
    from worker.web.html import Html


def drawn(chart: Html | None) -> ET.Element:
    """The drawing of a chart; each of its shapes has to end by itself."""
    assert chart is not None
    found = ET.fromstring(chart.text).find(".//svg")  # noqa: S314 - of our own making
    assert found is not None
    return found


def cells(chart: Html) -> list[list[str]]:
    rows = ET.fromstring(chart.text).iter("tr")  # noqa: S314 - of our own making
    return [["".join(cell.itertext()) for cell in row] for row in rows]


def test_every_day_has_two_bars_beside_each_other() -> None:
    shapes = list(drawn(flow_chart([day_row(0, came=4, reviewed=2, waiting=4), day_row(1, came=0, reviewed=1)])))
    bars = [(one.get("class"), one.get("x"), one.get("height")) for one in shapes if one.tag == "rect"]
    assert bars == [("came", "0", "100"), ("left", "5", "50"), ("came", "12", "0"), ("left", "17", "25")]


def test_thousands_that_wait_leave_the_bars_of_a_day_as_high_as_they_are() -> None:
    chart = flow_chart([day_row(0, came=4, reviewed=2, waiting=10_000), day_row(1, came=1, reviewed=0, waiting=5000)])
    shapes = list(drawn(chart))
    assert [one.get("height") for one in shapes if one.get("class") == "came"] == ["100", "25"]
    assert [one.get("points") for one in shapes if one.tag == "polyline"] == ["5,0 17,50"]
    assert "Bars up to 4 a day, the line up to 10,000" in chart.text


def test_a_day_that_was_not_watched_breaks_the_line_and_is_no_zero() -> None:
    chart = flow_chart([day_row(0), day_row(1, waiting=None, overdue=None), day_row(2)])
    shapes = list(drawn(chart))
    assert sum(one.tag == "polyline" for one in shapes) == 2
    assert sum(one.get("class") == "unseen" for one in shapes) == 1
    assert "not watched" in chart.text
    assert [row[-2:] for row in cells(chart)[1:]] == [["1", "0"], ["not known", "not known"], ["1", "0"]]


def test_the_heat_map_has_each_hour_of_the_week_the_darker_the_more_came() -> None:
    shapes = list(drawn(heat_map(flow().week)))
    assert len(shapes) == 7 * 24
    assert [shapes[at].get("class") for at in (0, 1, 24 + 1, 7 * 24 - 1)] == ["unseen", "heat-0", "heat-1", "heat-4"]


def test_the_heat_map_says_what_its_shades_mean() -> None:
    shown = "".join(ET.fromstring(heat_map(flow().week).text).itertext())  # noqa: S314 - of our own making
    assert shown.startswith("nonefewup to 34.5 an hournot watched")


def test_the_numbers_of_the_heat_map_stand_in_a_table() -> None:
    rows = cells(heat_map(flow().week))
    assert rows[0] == ["Hour", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert rows[1][1:] == ["-"] * 7
    assert rows[24][:3] == ["23:00", "0", "23"]


@pytest.mark.parametrize("days", [[], [day_row(came=0, reviewed=0, waiting=0)]], ids=["no days", "nothing came"])
def test_where_nothing_came_nothing_is_drawn_too_high(days: list[object]) -> None:
    chart = sparkline(days)  # type: ignore[arg-type]
    heights = [one.get("height") for one in drawn(chart)] if chart else []
    assert set(heights) <= {"0"}


def test_a_queue_that_is_new_has_a_past_of_one_day() -> None:
    assert "the last day: " in (chart.text if (chart := sparkline([day_row()])) else "")


def test_a_text_is_escaped_as_content_and_as_an_attribute() -> None:
    shown = element("p", HOSTILE, title=HOSTILE).text
    assert shown.count("&lt;script&gt;") == 2
    assert "<script" not in shown
    (inner,) = pieces([None, ["a ", element("b", 1_000)]]).text.splitlines()
    assert inner == "a <b>1,000</b>"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "", "//evil.example", "data:text/html,x", "https://a@b.example"]
)
def test_an_address_that_is_none_is_no_link(url: str) -> None:
    assert outward_link(url, "label").text == "label"
