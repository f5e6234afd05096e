"""Requests: what people write after a command, and until when an act is to last. Pure.

What helps somebody whose words cannot be followed stands here, too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.core.actions import after_today, on_monday
from worker.core.text import flat, folded, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from worker.core.calendar import Calendar
    from worker.core.model import Queue

LONGEST_REQUEST = 500
"""Characters of a command that are read; no queue's name and time are so long."""


class Ask(StrEnum):
    """What can be asked for."""

    MINE = "mine"
    QUEUE = "queue"
    MUTE = "mute"
    UNMUTE = "unmute"
    HELP = "help"


class Asked(Struct, frozen=True):
    """What somebody asks for; `about` is what was written of the queue, and of the time."""

    ask: Ask
    about: str = ""


_MUTE = re.compile(r"(un)?mute(?:\s+(.+))?", re.IGNORECASE)
_QUOTED = re.compile("[\"'“”„«»‘’`](.+)[\"'“”„«»‘’`](.*)")  # noqa: RUF001 - as keyboards of several languages write them
_UNTIL = re.compile(r"^(?:until|till|for)\s+", re.IGNORECASE)


def request_of(written: str) -> Asked:
    """Read what was written after a command. A queue whose name is a word of ours is meant where it is quoted."""
    text = flat(written, LONGEST_REQUEST)
    word = text.casefold()
    if word in {"", "mine", "me"}:
        return Asked(Ask.MINE)
    muting = _MUTE.fullmatch(text)
    if word in {"help", "?", "-h", "--help"} or (muting and not muting[2]):
        return Asked(Ask.HELP)
    if muting:
        return Asked(Ask.UNMUTE if muting[1] else Ask.MUTE, muting[2])
    return Asked(Ask.QUEUE, text)


def unquoted(text: str) -> str:
    """A name without the quotes around it."""
    quoted = _QUOTED.fullmatch(text)
    return quoted[1].strip() if quoted and not quoted[2].strip() else text


class Timed(Struct, frozen=True):
    """A queue and a time that were written one after the other: `queues` are those that the `name` may mean."""

    name: str
    until: str
    queues: tuple[Queue, ...] = ()


def timed(queues: Sequence[Queue], written: str) -> Timed:
    """Find where the name ends and the time begins: the longest name that there is, else all but the last word."""
    if quoted := _QUOTED.fullmatch(written):
        return _timed(queues, quoted[1].strip(), quoted[2])
    words = written.split()
    # The longest first: a name may hold blanks, and end in what looks like a time.
    for count in range(len(words), 0, -1):
        found = _timed(queues, " ".join(words[:count]), " ".join(words[count:]))
        if found.queues:
            return found
    at = max(len(words) - 1, 1)
    return _timed(queues, " ".join(words[:at]), " ".join(words[at:]))


def _timed(queues: Sequence[Queue], name: str, until: str) -> Timed:
    return Timed(name, _UNTIL.sub("", until.strip(), count=1), tuple(matching(queues, name)))


_SHORTEST_BEGINNING = 4


def matching(queues: Sequence[Queue], wanted: str) -> list[Queue]:
    """The queue of this id or name, else those whose name differs in case and blanks alone, or whose id begins so."""
    exact = [queue for queue in queues if wanted.lower() == str(queue.queue_id).lower() or wanted == queue.name]
    alike = exact or [queue for queue in queues if folded(queue.name) == folded(wanted)]
    begun = wanted.lower() if len(wanted) >= _SHORTEST_BEGINNING else "-"
    return alike or [queue for queue in queues if str(queue.queue_id).lower().startswith(begun)]


def similar_queues(queues: Sequence[Queue], wanted: str, most: int = 3) -> list[Queue]:
    """The queues that may be meant: whose name, or a word of it, holds what is wanted or is spelled much like it."""
    sought = folded(wanted)
    spelled = [(spelling, queue) for queue in queues for spelling in _spellings(queue)]
    holding = [queue for spelling, queue in spelled if sought and sought in spelling]
    close = get_close_matches(sought, {spelling for spelling, _ in spelled}, n=most)
    near = [queue for each in close for spelling, queue in spelled if spelling == each]
    return list({queue.queue_id: queue for queue in (*holding, *near)}.values())[:most]


def _spellings(queue: Queue) -> list[str]:
    return [folded(queue.name), *map(folded, queue.name.split())]


_NAME = 80
_NAMED = 10


def help_text(command: str) -> str:
    """What can be written after a command, which is given as it was written."""
    return f"""\
{command}: what waits for your review
{command} QUEUE: what waits in a queue, by its name or id
{command} mute QUEUE 1h: hold the messages about a queue; escalations still come. Instead of 1h also 30m, 2d, \
opening (the next one after today), monday, or an instant such as 2026-12-24T10:00
{command} unmute QUEUE: end that
{command} help: this"""


def unknown_queue(command: str, wanted: str, queues: Sequence[Queue]) -> str:
    """That no queue has this name or id, which may be meant, and what can be written."""
    return f"No queue here is called {_quoted(wanted)}. {_meant(wanted, queues)}\n\n{help_text(command)}"


def several_queues(wanted: str, found: Sequence[Queue]) -> str:
    """That more than one queue has this name."""
    ids = "\n".join(flat(str(queue.queue_id), 2 * _NAME) for queue in found[:_NAMED])
    return f"{len(found)} queues are called {_quoted(wanted)}. Write the id of one in place of the name:\n{ids}"


def no_time(command: str, queue: Queue) -> str:
    """That a mute has no end."""
    return f"Until when? Write for example: {command} mute {flat(queue.name, _NAME)} 1h"


def for_reviewers(queue: Queue) -> str:
    """That only reviewers may see what waits in a queue."""
    return f"Only reviewers of {_quoted(queue.name)} can see here what waits in it."


def _meant(wanted: str, queues: Sequence[Queue]) -> str:
    if near := similar_queues(queues, wanted):
        return f"Did you mean {' or '.join(_quoted(queue.name) for queue in near)}?"
    if not queues:
        return "There is none that can be asked for."
    named = [_quoted(queue.name) for queue in queues[:_NAMED]]
    more = f" and {len(queues) - _NAMED:,} more" if len(queues) > _NAMED else ""
    return f"These can be asked for: {', '.join(named)}{more}."


def _quoted(name: str) -> str:
    return f"“{flat(name, _NAME)}”"


_OPENING, _MONDAY = "opening", "monday"
_DATED = re.compile(r"\d{4}-\d")


def until_of(written: str, calendar: Calendar, now: datetime, duration: Callable[[str], timedelta]) -> datetime:
    """The instant that is written: itself, after a duration, or the next opening after today or from Monday on.

    `duration` reads one, and raises ValueError for anything else. Raises ValueError, which says what can be written.
    """
    if (word := written.strip().casefold()) in {_OPENING, _MONDAY}:
        return after_today(calendar, now) if word == _OPENING else on_monday(calendar, now)
    try:
        return now + duration(written)
    except (ValueError, OverflowError):
        return _instant(written, calendar)


def _instant(written: str, calendar: Calendar) -> datetime:
    try:
        # A number alone would be taken for a date, too.
        found = datetime.fromisoformat(written.strip()) if _DATED.match(written.strip()) else None
        at = found and (found if found.tzinfo else found.replace(tzinfo=calendar.zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise ValueError(
            f"{plain(written)!r} is not a time; write a duration such as 1h or 2d, opening for the next opening after "
            "today, monday, or an instant such as 2026-12-24T10:00, on the queue's clock, or 2026-12-24T09:00Z"
        )
    return at
