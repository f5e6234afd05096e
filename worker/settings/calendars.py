"""What the settings of a calendar may say, and the calendar that they make, with the zones of `tzdata` and `holidays`.

As in `values.py`, a parser raises ValueError with the rest of a sentence that begins with the value.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, PlainValidator

from worker.core.calendar import NO_WEEK, Calendar, Holiday, Stretch, Times, Week
from worker.settings.names import did_you_mean, similar, some
from worker.settings.values import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from worker.core.calendar import Stretch, Times, Week
    from worker.settings.model import Settings


NO_HOURS = "always"
"""The name of the calendar that has no hours."""

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_WHOLE: Week = (((timedelta(0), _DAY),),) * 7
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT = tuple(day[:3] for day in _WEEKDAYS)
_DASH = re.compile(r"\s*[-–]\s*")  # noqa: RUF001 - people paste hours from texts
_GAPS = re.compile(r"[\s,]+")
_DAY_NAME = re.compile(r"[a-z]{3,9}", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_ALMOST_TIME = re.compile(r"([01]?\d|2[0-4])(?:[.h]?([0-5]\d))?", re.ASCII)
_DATE = r"(\d{4}-\d{2}-\d{2})"
_RANGE = re.compile(rf"{_DATE}(?:\s*\.\.\s*{_DATE})?", re.ASCII)
_OPENING = re.compile(rf"{_DATE}\s+(\d.*)", re.ASCII)
_EXAMPLE = "write hours such as Mon-Fri 09:00-17:30, or 22:00-06:00 for every night"
_TIMES_EXAMPLE = "write times such as Mon-Fri 09:00, 14:00"
_SAMPLE = (2026, 2027)
"""Years in which it is seen whether the parts of a country have the same holidays; others would show the same."""


def parts(value: object) -> tuple[str, ...]:
    """A list: a TOML array of text, or text with `;` between its parts."""
    found = value if isinstance(value, list) else one_line(value).split(";")
    given = tuple(one_line(part) for part in found if part != "")
    if not given:
        raise ValueError("is empty; write something into it, or leave the setting out")
    return given


def _tzdata(*names: str) -> bytes:
    return files("tzdata").joinpath(*names).read_bytes()


@cache
def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name, from `tzdata`: the machine's own files may be years old. Raises ValueError."""
    known = _tzdata("zones").decode().split()
    if name not in known:
        # Names without a region are of whole countries, or of no place at all: none of them was meant.
        places = ["UTC", *(zone for zone in known if "/" in zone and not zone.startswith("Etc/"))]
        raise ValueError(
            f"is not a time zone{did_you_mean(name.replace(' ', '_'), places)}; "
            "write an IANA name such as Europe/Berlin"
        )
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def zone_name(value: object) -> str:
    """The IANA name of a zone."""
    return zone_named(one_line(value)).key


def _weekday(name: str) -> int:
    """The day that is named, in full or by its first letters."""
    known = [day for day in _WEEKDAYS if _DAY_NAME.fullmatch(name) and day.casefold().startswith(name.casefold())]
    if not known:
        raise ValueError(f"has {name!r}, which is not a day{did_you_mean(name, _SHORT)}; write {', '.join(_SHORT)}")
    return _WEEKDAYS.index(known[0])


def _weekdays(token: str) -> list[int]:
    first, dash, last = token.partition("-")
    begin = _weekday(first)
    end = _weekday(last) if dash else begin
    # Fri-Mon goes on over the end of the week.
    return [day % 7 for day in range(begin, end + 1 + 7 * (end < begin))]


def _time(token: str, example: str = _EXAMPLE) -> timedelta:
    match = _TIME.fullmatch(token)
    time = timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3] or 0)) if match else None
    if time is None or time > _DAY:
        almost = _ALMOST_TIME.fullmatch(token)
        meant = f" (did you mean {int(almost[1]):02}:{almost[2] or '00'}?)" if almost else ""
        raise ValueError(f"has {token!r}, which is not a time from 00:00 to 24:00{meant}; {example}")
    return time


def _stretch(token: str) -> Stretch:
    """From one time to another; where that is not later, it is on the next day."""
    begins, dash, ends = token.partition("-")
    begin = _time(begins)
    if not dash:
        raise ValueError(f"has {token!r}, which has no end; {_EXAMPLE}")
    end = _time(ends)
    if begin in {end, _DAY}:
        raise ValueError(f"has {token!r}, which is empty; write 00:00-24:00 for a whole day")
    return begin, end if end > begin else end + _DAY


def _tokens(part: str) -> list[str]:
    return [token for token in _GAPS.split(_DASH.sub("-", part)) if token]


def _entries(value: object, example: str = _EXAMPLE) -> Iterator[tuple[list[int], list[str]]]:
    """Weekdays with what follows them; every day where none is named."""
    for part in parts(value):
        days: list[int] = []
        times: list[str] = []
        for token in _tokens(part):
            if token[0].isalpha():
                if times:
                    yield days or list(range(7)), times
                    days, times = [], []
                days += _weekdays(token)
            else:
                times.append(token)
        if not times:
            raise ValueError(f"has {part!r}, which has no times; {example}")
        yield days or list(range(7)), times


def weekly_hours(value: object) -> Week:
    """Hours such as `Mon-Fri 09:00-12:00, 13:00-17:00`."""
    found = [(day, *_stretch(token)) for days, tokens in _entries(value) for day in days for token in tokens]
    _refuse_overlap([(_DAY * day + begin, _DAY * day + end) for day, begin, end in found])
    return tuple(tuple(sorted((begin, end) for on, begin, end in found if on == day)) for day in range(7))


def weekly_times(value: object) -> Times:
    """Times such as `Mon-Fri 09:00, 14:00`."""
    entries = _entries(value, _TIMES_EXAMPLE)
    found = {(day, _time(token, _TIMES_EXAMPLE) % _DAY) for days, tokens in entries for day in days for token in tokens}
    return tuple(tuple(sorted(time for on, time in found if on == day)) for day in range(7))


def _refuse_overlap(stretches: Iterable[Stretch]) -> None:
    ordered = sorted(stretches)
    # A week is a circle: its first stretch follows its last.
    following = (ordered[0][0] + 7 * _DAY, ordered[0][1] + 7 * _DAY)
    for (begin, end), (next_begin, next_end) in pairwise([*ordered, following]):
        if next_begin < end:
            both = f"{_shown(begin, end)} and {_shown(next_begin, next_end)}"
            raise ValueError(f"has hours that overlap, {both}; write {_shown(begin, max(end, next_end))} instead")


def _shown(begin: timedelta, end: timedelta) -> str:
    return f"{_SHORT[begin // _DAY % 7]} {_clock(begin % _DAY)}-{_clock(end % _DAY or _DAY)}"


def _clock(time: timedelta) -> str:
    return f"{time // timedelta(hours=1):02}:{time // timedelta(minutes=1) % 60:02}"


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"has {text}, which no month has; write a day such as 2026-12-24") from None


def _closed(value: object) -> tuple[tuple[date, date], ...]:
    """Days off: `2026-12-24` or `2026-12-24..2026-12-31`, as text or as a date of TOML."""
    found = value if isinstance(value, list) else [value] if isinstance(value, date) else parts(value)
    return tuple(_range(each) for each in found)


def _range(value: object) -> tuple[date, date]:
    # A datetime of TOML is a date, too, and its time would be lost.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value, value
    match = _RANGE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"has {str(value)!r}, which is not a day; write 2026-12-24, or 2026-12-24..2026-12-31")
    first, last = _date(match[1]), _date(match[2] or match[1])
    if last < first:
        raise ValueError(f"has {value!r}, which ends before it begins; write {last}..{first}")
    return first, last


def _openings(value: object) -> tuple[tuple[date, Stretch], ...]:
    """Hours of single days: `2026-12-12 10:00-14:00`."""
    found: list[tuple[date, Stretch]] = []
    for part in parts(value):
        match = _OPENING.fullmatch(part)
        if match is None:
            raise ValueError(f"has {part!r}, which is not a day with hours; write them such as 2026-12-12 10:00-14:00")
        found += [(_date(match[1]), _stretch(token)) for token in _tokens(match[2])]
    return tuple(found)


def country_codes(value: object) -> tuple[str, ...]:
    """Countries, or parts of them, by the codes of the package `holidays`."""
    found = value.replace(",", ";") if isinstance(value, str) else value
    return tuple(dict.fromkeys(_code(part) for part in parts(found)))


def _code(given: str) -> str:
    from holidays import list_supported_countries  # noqa: PLC0415 - only where a calendar names a country: it is slow

    country, _, part = (word.strip() for word in given.partition("-"))
    country, known = country.upper(), list_supported_countries()
    if country not in known:
        meant = _code_meant(given.partition("-")[0], 0.6, _country_codes())
        raise ValueError(f"names {given!r}, which is not a country{meant}; write codes such as DE-BE, FR or US-NY")
    parts_of = {word.upper(): f"{country}-{word}" for word in known[country]}
    if part.upper() in parts_of:
        return parts_of[part.upper()]
    alone = [] if _differ_everywhere(country) else [country]
    if not part and alone:
        return country
    codes = [*alone, *parts_of.values()]
    choice = f"one of {some(codes)}" if len(codes) > 1 else country
    if not part:
        raise ValueError(f"names {given!r}, where each part has its own holidays; write {choice}")
    meant = _code_meant(given, 0.85, {code.upper(): code for code in parts_of.values()} | _named_parts(country))
    raise ValueError(f"names {given!r}, and {country} has no part {part!r}{meant}; write {choice}")


def _code_meant(given: str, cutoff: float, codes: Mapping[str, str]) -> str:
    found = similar(given, codes, cutoff=cutoff)
    return f" (did you mean {codes[found]}?)" if found else ""


def _country_codes() -> dict[str, str]:
    """The codes of countries by these and by their names."""
    from holidays.registry import COUNTRIES  # noqa: PLC0415

    known = [(name, code) for name, (_, code, *_) in COUNTRIES.items()]
    return {word: code for name, code in known for word in (name, code)}


def _named_parts(country: str) -> dict[str, str]:
    from holidays import country_holidays  # noqa: PLC0415

    aliases = country_holidays(country).subdivisions_aliases
    return {f"{country}-{name}": f"{country}-{part}" for name, part in aliases.items()}


@cache
def _differ_everywhere(country: str) -> bool:
    """Whether the holidays of the country alone are those of none of its parts: then a part has to be named."""
    from holidays import country_holidays, list_supported_countries  # noqa: PLC0415

    common = country_holidays(country, years=_SAMPLE).keys()
    found = list_supported_countries()[country]
    return bool(found) and all(country_holidays(country, subdiv=part, years=_SAMPLE).keys() != common for part in found)


def _holidays(code: str, first: int, last: int) -> Iterator[Holiday]:
    from holidays import country_holidays  # noqa: PLC0415

    country, _, part = code.partition("-")
    # All years at once, kept as plain dates: the object fills itself when it is asked, and not for two threads.
    found = country_holidays(country, subdiv=part or None, years=range(first, last + 1), expand=False, language="en_US")
    return (Holiday(day, name, code) for day, name in sorted(found.items()))


class CalendarTable(BaseModel):
    """The settings of one calendar: the fields are the keys of `[calendars.NAME]`. Without a zone it is UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    zone: Annotated[str, PlainValidator(zone_name)] = ""
    hours: Annotated[Week | None, PlainValidator(weekly_hours)] = None
    holidays: Annotated[tuple[str, ...], PlainValidator(country_codes)] = ()
    closed: Annotated[tuple[tuple[date, date], ...], PlainValidator(_closed)] = ()
    open: Annotated[tuple[tuple[date, Stretch], ...], PlainValidator(_openings)] = ()
    quiet: Annotated[Week, PlainValidator(weekly_hours)] = NO_WEEK


@cache
def calendar_of(table: CalendarTable, year: int) -> Calendar:
    """The calendar that the settings describe, for the year before this one to two years after it."""
    first, last = date(year - 1, 1, 1), date(year + 2, 12, 31)
    closed = (range(max(begin, first).toordinal(), min(end, last).toordinal() + 1) for begin, end in table.closed)
    return Calendar(
        zone_named(table.zone or "UTC"),
        (first.year, last.year),
        hours=table.hours,
        holidays=tuple(day for code in table.holidays for day in _holidays(code, first.year, last.year)),
        closed=frozenset(date.fromordinal(day) for days in closed for day in days),
        open=tuple(opening for opening in table.open if first <= opening[0] <= last),
        quiet=table.quiet,
    )


def never_open(settings: Settings, now: datetime) -> Iterator[str]:
    """A line on each calendar in which nothing can be posted in the next year."""
    names = {"": "WORKER_HOURS", **{name: f"calendars.{name}" for name in settings.calendars}}
    for name, shown in names.items():
        if why := _why_never(calendar_of(settings.calendar_table(name), now.year), now):
            yield f"{shown} {why}"


def _why_never(calendar: Calendar, now: datetime) -> str:
    year = timedelta(days=366)
    opening = now if calendar.is_open(now) else calendar.next_opening(now)
    if opening is None or opening - now > year:
        then = f", and opens on {opening.astimezone(calendar.zone).date()}" if opening else ""
        return f"is never open in the next year{then}; take days out of closed, or give it open days"
    if calendar.opens(now) - now > year:
        return "is never open without being quiet in the next year; make quiet shorter than hours"
    return ""


def outside_hours(name: str, times: Times | None, table: CalendarTable) -> Iterator[str]:
    """A line on the times of a setting that lie outside the hours, or in quiet, with the nearest one that does not."""
    spans = _posting(table)
    if times is None or not spans:
        return
    every = [_DAY * day + at for day, on_day in enumerate(times) for at in on_day]
    outside = [at for at in every if not any(begin <= at < end for begin, end in spans)]
    # Alike on several days, they are one line.
    moves = sorted((at % _DAY, _nearest(at, spans) - at, at // _DAY) for at in outside)
    for (clock, move), alike in groupby(moves, key=lambda each: each[:2]):
        days = [day for *_, day in alike]
        yield (
            f"{name} has {_moment(days, clock)!r}, which is outside hours: what is due then waits for the next "
            f"opening; write {_moment(days, clock + move)!r}, the nearest time within them"
        )


def _posting(table: CalendarTable) -> list[Stretch]:
    """When something may be posted, from the begin of a week, with the weeks around it; empty: at any time."""
    if table.hours is None and table.quiet == NO_WEEK:
        return []
    spans = _three_weeks(table.hours or _WHOLE)
    for hole in _three_weeks(table.quiet):
        spans = [part for span in spans for part in _parts(span, hole)]
    return spans


def _three_weeks(week: Week) -> list[Stretch]:
    midnights = ((_DAY * (7 * number + day), on_day) for number in (-1, 0, 1) for day, on_day in enumerate(week))
    return [(midnight + begin, midnight + end) for midnight, on_day in midnights for begin, end in on_day]


def _parts(span: Stretch, hole: Stretch) -> list[Stretch]:
    """What is left of a span beside a hole."""
    left, right = (span[0], min(span[1], hole[0])), (max(span[0], hole[1]), span[1])
    return [part for part in (left, right) if part[0] < part[1]]


def _nearest(at: timedelta, spans: Iterable[Stretch]) -> timedelta:
    """The nearest minute in which something may be posted: what falls on a closing waits for the next opening."""
    edges = [edge for begin, end in spans for edge in (begin, end - _MINUTE)]
    return min(edges, key=lambda edge: (abs(edge - at), edge))


def _moment(days: Sequence[int], at: timedelta) -> str:
    """The same time on some days of the week, which may be on the days before or after: `Mon-Fri 09:00`."""
    clock = at % _DAY
    named = sorted((day + at // _DAY) % 7 for day in days)
    runs = [[day for _, day in run] for _, run in groupby(enumerate(named), key=lambda each: each[1] - each[0])]
    shown = (_SHORT[run[0]] + (f"-{_SHORT[run[-1]]}" if len(run) > 1 else "") for run in runs)
    return f"{','.join(shown)} {clock // timedelta(hours=1):02}:{clock // _MINUTE % 60:02}"
