"""Makes text with anything from outside in it harmless to a terminal, for all that commands print for people. Pure."""

from __future__ import annotations

from worker.notifiers.text import flat

LONGEST = 1000
"""Characters of a line."""


def plain(text: str) -> str:
    """One line that cannot move the cursor or turn the letters."""
    return flat(text, LONGEST)


def plain_lines(text: str) -> str:
    """The same line by line, for a text of ours that has several."""
    return "\n".join(plain(line) for line in text.split("\n"))
