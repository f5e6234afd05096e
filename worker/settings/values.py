"""What one setting may say: text (or a TOML value) in, a typed value out. Pure.

Every function raises ValueError with the rest of a sentence that begins with the value: what is wrong, then the remedy.
The value itself is never part of it, because only the caller knows whether it may be shown.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

NEVER = "never"
LONGEST = timedelta(days=3650)
LONGEST_POLL_INTERVAL = timedelta(days=7)
MOST_REQUESTS_PER_SECOND = 1000
STATUSES = ("needs_my_review", "needs_others_review")

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_UNDECODED = re.compile(r"[\ud800-\udfff]")
"""What Python makes of bytes of the environment that are no text."""

_DIGITS = 8  # more of them cannot be meant, and would overflow a timedelta
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})

E = TypeVar("E", bound="StrEnum")


def text(value: object) -> str:
    """Text on one line, without the white space around it."""
    if not isinstance(value, str):
        raise ValueError("is not text; put it in quotation marks")  # noqa: TRY004  pydantic collects ValueError alone
    stripped = value.strip()
    if not stripped:
        raise ValueError("is empty; write a value, or leave the setting out")
    if _UNDECODED.search(stripped):
        raise ValueError("is not UTF-8 text, or the locale is not one of UTF-8; write UTF-8, and set LC_ALL=C.UTF-8")
    if not stripped.isprintable():
        raise ValueError("contains a line break or a control character; write it on one line")
    return stripped


def words(value: object) -> tuple[str, ...]:
    """A list: comma-separated text, or a TOML array of text."""
    parts = value if isinstance(value, list) else text(value).split(",")
    return tuple(text(part) for part in parts if part != "")


def boolean(value: object) -> bool:
    """`true` or `false`, also as yes/no, on/off, 1/0."""
    if isinstance(value, bool):
        return value
    word = value.strip().casefold() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError("is neither true nor false; write one of them")
    return word in _TRUE


def one_of(kind: type[E]) -> Callable[[object], E]:
    """A parser of one word out of an enumeration, in any case."""

    def parse(value: object) -> E:
        word = text(value).casefold()
        if word not in list(kind):
            raise ValueError(f"is not one of {', '.join(kind)}; write one of them")
        return kind(word)

    return parse


def set_of(kind: type[E]) -> Callable[[object], frozenset[E]]:
    """A parser of several words out of an enumeration, in any case."""

    def parse(value: object) -> frozenset[E]:
        given = [word.casefold() for word in words(value)]
        unknown = [word for word in given if word not in list(kind)]
        if unknown:
            raise ValueError(f"names something that is not one of {', '.join(kind)}; write some of them")
        return frozenset(kind(word) for word in given)

    return parse


def duration(value: object) -> timedelta:
    """A length of time such as `90s`, `15m`, `4h`, `2d` or `1d12h`; more than zero, at most ten years."""
    return _duration(value, longest=LONGEST)


def poll_interval(value: object) -> timedelta:
    """How often to poll: at least a second, at most a week."""
    return _duration(value, longest=LONGEST_POLL_INTERVAL)


def duration_or_never(value: object) -> timedelta | None:
    """A duration, or `never` as None."""
    if isinstance(value, str) and value.strip().casefold() == NEVER:
        return None
    return _duration(value, longest=LONGEST, otherwise=", or never")


def _duration(value: object, *, longest: timedelta, otherwise: str = "") -> timedelta:
    examples = f"such as 90s, 15m, 4h, 2d, 1d12h{otherwise}"
    match = _DURATION.fullmatch(value.strip().casefold()) if isinstance(value, str) else None
    if match is None or match.lastindex is None:
        raise ValueError(f"is not a duration with its unit; write one {examples}")
    if max(len(part or "") for part in match.groups()) > _DIGITS:
        raise ValueError(f"is longer than {longest.days}d; write a duration {examples}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not length:
        raise ValueError(f"is no time at all; write a duration of a second or more, {examples}")
    if length > longest:
        raise ValueError(f"is longer than {longest.days}d; write a duration {examples}")
    return length


def requests_per_second(value: object) -> float:
    """A budget above 0 and at most 1000; fractions are fine."""
    rate = _number(value)
    if not 0 < rate <= MOST_REQUESTS_PER_SECOND:
        raise ValueError(f"is not a number above 0 and up to {MOST_REQUESTS_PER_SECOND}; write one such as 20 or 0.5")
    return rate


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def statuses(value: object) -> tuple[str, ...]:
    """Which runs count as waiting, `needs_my_review` first; it is always among them."""
    given = {word.casefold() for word in words(value)}
    if not given <= set(STATUSES):
        raise ValueError(f"names a status that cannot be watched; write {STATUSES[0]}, or {','.join(STATUSES)}")
    if STATUSES[0] not in given:
        raise ValueError(f"leaves out {STATUSES[0]}, which is always watched; write {','.join(STATUSES)}")
    return tuple(status for status in STATUSES if status in given)
