"""Charts as SVG within the page, each with a table of the same numbers for who does not see it. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from worker.web.html import Html, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.web.shown import DayRow, WeekCell

_DAY_WIDTH = 12
_HEIGHT = 100
_LEVELS = 4
"""Shades of the heat map, beside the one for nothing."""

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = 24


def sparkline(days: Sequence[DayRow]) -> Html | None:
    """What came and left on each of the last days, small; the numbers stand in words beside it."""
    if not days:
        return None
    came, left = sum(each.came for each in days), sum(_left(each) for each in days)
    words = f"the last {f'{len(days)} days' if len(days) > 1 else 'day'}: {came:,} came, {left:,} left"
    return element("figure", _bars(days, words), element("figcaption", words), class_="spark")


def flow_chart(days: Sequence[DayRow]) -> Html:
    """What came and left on each day, and how many waited at its end.

    The line has a scale of its own: beside thousands that wait, what comes in a day would not be seen.
    """
    words = f"Runs that came and left on each of {len(days)} days, and how many waited at the end of each"
    legend = element(
        "ul",
        *(element("li", word, class_=f"key {word}") for word in ("came", "left", "waiting")),
        element("li", "not watched", class_="key unseen") if any(each.waiting is None for each in days) else None,
        class_="legend",
    )
    axis = element("p", *(element("span", f"{day.day:%-d %b}") for day in (days[0], days[-1])), class_="axis")
    scales = f"Bars up to {_most_moved(days):,} a day, the line up to {_most_waiting(days):,}"
    top = element("p", scales, class_="top")
    chart = element("div", top, _bars(days, words, waiting=True), axis, class_="plot")
    return element("figure", legend, chart, _table_of_days(days), class_="chart")


def heat_map(week: Sequence[Sequence[WeekCell]]) -> Html:
    """When runs come: a square for each hour of the week, the darker the more."""
    means = [[cell.came / cell.seen if cell.seen else None for cell in hours] for hours in week]
    most = max((mean for hours in means for mean in hours if mean is not None), default=0.0)
    squares = [
        element("rect", x=hour * 10, y=day * 10, width=9, height=9, class_=_shade(mean, most))
        for day, hours in enumerate(means)
        for hour, mean in enumerate(hours)
    ]
    words = "Runs that came, by weekday and hour"
    drawn = _svg(words, 10 * _HOURS, 10 * len(WEEKDAYS), squares)
    days = element("ul", *(element("li", day) for day in WEEKDAYS), class_="weekdays", aria_hidden="true")
    hours = element("p", *(element("span", str(hour)) for hour in range(0, _HOURS + 1, 6)), class_="axis")
    keys = [("none", "heat-0"), ("few", "heat-1"), (f"up to {most:.3g} an hour", "heat-4")] if most else []
    keys += [("not watched", "unseen")] if None in chain.from_iterable(means) else []
    legend = element("ul", *(element("li", word, class_=f"key {of}") for word, of in keys), class_="legend")
    return element(
        "figure",
        legend if keys else None,
        element("div", days, element("div", drawn, hours, class_="plot"), class_="heat"),
        _table_of_week(week),
        class_="chart",
    )


def _left(day: DayRow) -> int:
    return day.reviewed + day.removed + day.unknown


def _most_moved(days: Sequence[DayRow]) -> int:
    return max((max(each.came, _left(each)) for each in days), default=0)


def _most_waiting(days: Sequence[DayRow]) -> int:
    return max((each.waiting or 0 for each in days), default=0)


def _bars(days: Sequence[DayRow], words: str, *, waiting: bool = False) -> Html:
    """Two bars a day, and the line of what waits where that is wanted; an empty field where nothing was watched."""
    most, drawn = _most_moved(days) or 1, []
    for number, day in enumerate(days):
        x = number * _DAY_WIDTH
        if day.waiting is None:
            drawn.append(element("rect", x=x, y=0, width=_DAY_WIDTH - 1, height=_HEIGHT, class_="unseen"))
        drawn.append(_bar(x, day.came, most, "came"))
        drawn.append(_bar(x + 5, _left(day), most, "left"))
    line = _lines(days, _most_waiting(days) or 1) if waiting else []
    return _svg(words, len(days) * _DAY_WIDTH, _HEIGHT, [*drawn, *line])


def _bar(x: int, count: int, most: int, class_: str) -> Html:
    height = _height(count, most)
    return element("rect", x=x, y=_HEIGHT - height, width=5, height=height, class_=class_)


def _height(count: int, most: int) -> int:
    # What is there at all is seen.
    return max(round(count / most * _HEIGHT), 2) if count else 0


def _lines(days: Sequence[DayRow], most: int) -> list[Html]:
    """The line of what waits, broken where that is not known."""
    lines: list[list[str]] = [[]]
    for number, day in enumerate(days):
        if day.waiting is None:
            lines.append([])
        else:
            lines[-1].append(f"{number * _DAY_WIDTH + 5},{_HEIGHT - _height(day.waiting, most)}")
    return [element("polyline", points=" ".join(points), class_="waiting") for points in lines if points]


def _svg(words: str, width: int, height: int, drawn: Sequence[Html]) -> Html:
    return element(
        "svg", *drawn, viewBox=f"0 0 {width} {height}", preserveAspectRatio="none", role="img", aria_label=words
    )


def _shade(mean: float | None, most: float) -> str:
    if mean is None:
        return "unseen"
    return f"heat-{-(-mean * _LEVELS // most):.0f}" if mean else "heat-0"


def _table_of_days(days: Sequence[DayRow]) -> Html:
    names = ("Day", "Came", "Reviewed", "Removed", "Left unseen", "Waiting", "Overdue")
    rows = [
        (
            f"{day.day:%a %-d %b}",
            day.came,
            day.reviewed,
            day.removed,
            day.unknown,
            _known(day.waiting),
            _known(day.overdue),
        )
        for day in reversed(days)
    ]
    return _table("Every day in numbers", names, rows)


def _known(count: int | None) -> int | str:
    return "not known" if count is None else count


def _table_of_week(week: Sequence[Sequence[WeekCell]]) -> Html:
    rows = [
        (f"{hour:02}:00", *(week[day][hour].came if week[day][hour].seen else "-" for day in range(len(WEEKDAYS))))
        for hour in range(_HOURS)
    ]
    return _table("Every hour in numbers", ("Hour", *WEEKDAYS), rows)


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[int | str]]) -> Html:
    """A table that is opened by who wants the numbers; wider than a small screen, so it scrolls by itself."""
    head = element("tr", *(element("th", name, scope="col") for name in names))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell, class_="number") for cell in rest))
        for first, *rest in rows
    ]
    table = element("table", element("thead", head), element("tbody", *body))
    around = element("div", table, class_="scrolls", tabindex=0, role="region", aria_label=title)
    return element("details", element("summary", title), around)
