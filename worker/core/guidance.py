"""Guidance: what a person is shown who wrote a command that cannot be followed, or asked what can be written. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.request import similar_queues
from worker.core.text import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.core.model import Queue

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
