"""What a person asks for with a command: read from the words that were written. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.core.text import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

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


@dataclass(frozen=True, slots=True)
class Asked:
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


@dataclass(frozen=True, slots=True)
class Timed:
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


def matching(queues: Sequence[Queue], wanted: str) -> list[Queue]:
    """The queue of this id or name, else those whose name differs in case and blanks alone."""
    exact = [queue for queue in queues if wanted.lower() == str(queue.queue_id).lower() or wanted == queue.name]
    return exact or [queue for queue in queues if _folded(queue.name) == _folded(wanted)]


def similar_queues(queues: Sequence[Queue], wanted: str, most: int = 3) -> list[Queue]:
    """The queues that may be meant: whose name, or a word of it, holds what is wanted or is spelled much like it."""
    sought = _folded(wanted)
    spelled = [(spelling, queue) for queue in queues for spelling in _spellings(queue)]
    holding = [queue for spelling, queue in spelled if sought and sought in spelling]
    close = get_close_matches(sought, {spelling for spelling, _ in spelled}, n=most)
    near = [queue for each in close for spelling, queue in spelled if spelling == each]
    return list({queue.queue_id: queue for queue in (*holding, *near)}.values())[:most]


def _spellings(queue: Queue) -> list[str]:
    name = _folded(queue.name)
    return [name, *name.split()]


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
