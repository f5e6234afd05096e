"""Makes text from outside harmless: one visible line for people, nothing that a terminal obeys. Pure.

Whatever is cut is cut by characters, before it is escaped: half an entity would show.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

URL_LIMIT = 500
"""Characters of a link's target; a longer one is not linked."""

PILE_LIMIT = 3
"""Accents on one letter; no script needs more."""

LINE_LIMIT = 1000
"""Characters of a line that a terminal shows."""

_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that look like nothing
_KEPT_FORMATS = "\u200c\u200d"  # joiners: emoji and several scripts are spelled with them
_SAFE_IN_URL = "/?#[]@!$&'()+,;=:%-._"
_DIRECTIONS = "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_BESIDE_JSON = re.compile(f"[\x7f-\x9f{_DIRECTIONS}]")
"""Control and direction characters that JSON does not escape by itself."""
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_PLAIN_ADDRESS = re.compile(r"https?://[a-z0-9.-]*[a-z0-9](?::[0-9]+)?/[A-Za-z0-9/?#=&+,;:%._-]*")
_OBEYED = re.compile(f"[\x00-\x1f\x7f-\x9f{_DIRECTIONS}]")

MARKED_PLACE = re.compile("\x02(?P<place>[^\x02\x03]*)\x03")
"""A channel, by its id or its name, within a text of ours, so that a medium may link it."""

_MARKS = str.maketrans("", "", "\x02\x03")


def flat(raw: str, limit: int) -> str:
    """`raw` as one visible line of at most `limit` characters: no control, bidi or hidden ones, single spaces."""
    kept = raw[: limit * 8]
    # Nearly all names are ASCII, of which only control characters hide.
    kept = _CONTROLS.sub(" ", kept) if kept.isascii() else _unpiled("".join(_visible(char) for char in kept))
    text = " ".join(kept.split())
    if not text.strip(_KEPT_FORMATS + " "):
        return ""
    return text if len(text) <= limit and len(raw) <= limit * 8 else text[: limit - 1].rstrip() + "…"


def folded(name: str) -> str:
    """The name without what people overlook in one: case, blanks, and the ways of writing an accent."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def plain(text: str) -> str:
    """One line that cannot move the cursor or turn the letters."""
    return flat(text, LINE_LIMIT)


def plain_lines(text: str) -> str:
    """Each line of a text of ours as `plain` gives it."""
    return "\n".join(plain(line) for line in text.split("\n"))


def json_safe(text: str) -> str:
    """The same JSON without anything that a terminal would obey."""
    return _BESIDE_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def visible(text: str) -> str:
    """Text in which every character that a terminal would obey is written out, as Python does."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def marked_place(place: str) -> str:
    """A channel within a text of ours."""
    return f"\x02{unmarked(place)}\x03"


def unmarked(text: str) -> str:
    """The text without marks: all that may come from outside, and ours for people who see no links."""
    return text.translate(_MARKS)


def web_address(url: str) -> str:
    """`url` percent-encoded; empty unless it is an http(s) address of moderate length."""
    if _PLAIN_ADDRESS.fullmatch(url):
        return url if len(url) <= URL_LIMIT else ""
    try:
        # A tilde needs no encoding elsewhere; here it could end a struck line.
        parts, encoded = urlsplit(url), quote(url, safe=_SAFE_IN_URL).replace("~", "%7E")
    except ValueError:
        return ""
    # urlsplit overlooks blanks in front, which would make the link's target something else.
    is_web = encoded.lower().startswith(("http://", "https://"))
    if not is_web or not parts.hostname or "@" in parts.netloc or not parts.netloc.isascii():
        return ""
    return encoded if len(encoded) <= URL_LIMIT else ""


def age(wait: timedelta) -> str:
    """A duration in its largest full unit: `45 s`, `12 min`, `4 h`, `3 d`."""
    seconds = max(int(wait.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def time_ago(since: datetime, as_of: datetime) -> str:
    """The time from `since` to `as_of`, in words."""
    return f"{age(as_of - since)} ago" if as_of - since >= timedelta(seconds=1) else "just now"


def clock_time(at: datetime, zone: tzinfo, *, day: bool = False, seconds: bool = False) -> str:
    """An instant on the clock of a zone, whose name it gives: `14:00 UTC`, with its day `23 Nov 14:00 UTC`."""
    try:
        there = at.astimezone(zone)
    except OverflowError:  # at the ends of time
        there = at
    date = f"{there.day} {there:%b} " if day else ""
    clock = f"{there:%H:%M:%S}" if seconds else f"{there:%H:%M}"
    return f"{date}{clock} {there.tzname()}"


def day_time(at: datetime, zone: tzinfo) -> str:
    """An instant with its day on the clock of a zone: `Mon 30 Nov 09:00`."""
    there = at.astimezone(zone)
    return f"{there:%a} {there.day} {there:%b %H:%M}"


def day_time_in(at: datetime, zone: tzinfo) -> str:
    """The same with the name of the zone: `Mon 30 Nov 09:00 (Europe/Berlin)`."""
    return f"{day_time(at, zone)} ({zone})"


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf":
        return char if char in _KEPT_FORMATS else ""
    return " " if category in {"Cc", "Cs", "Cn", "Zl", "Zp", "Zs"} or char in _FILLERS else char


def _unpiled(text: str) -> str:
    """The text with at most three accents on each letter."""
    # Piled up, accents paint over the lines above.
    pile, kept = 0, []
    for char in text:
        pile = pile + 1 if unicodedata.combining(char) else 0
        kept.append(char if pile <= PILE_LIMIT else "")
    return "".join(kept)
