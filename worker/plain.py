"""Makes text with anything from outside in it harmless to a terminal, for all that commands print for people. Pure."""

from __future__ import annotations

import re

from worker.notifiers.text import flat

_DIRECTIONS = "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_BESIDE_JSON = re.compile(f"[\x7f-\x9f{_DIRECTIONS}]")
"""Control and direction characters that JSON does not escape by itself."""
_OBEYED = re.compile(f"[\x00-\x1f\x7f-\x9f{_DIRECTIONS}]")

_LONGEST = 1000
"""Characters of a line."""


def plain(text: str) -> str:
    """One line that cannot move the cursor or turn the letters."""
    return flat(text, _LONGEST)


def plain_lines(text: str) -> str:
    """The same line by line, for a text of ours that has several."""
    return "\n".join(plain(line) for line in text.split("\n"))


def json_safe(text: str) -> str:
    """JSON of which a terminal obeys nothing; it means the same."""
    return _BESIDE_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def visible(text: str) -> str:
    """Text in which every character that a terminal would obey is written out, as Python does."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)
