"""What `init` proposes, and what an answer means. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from worker.core.text import folded, plain
from worker.settings.names import did_you_mean, some
from worker.settings.values import ALL_QUEUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.core.model import Queue
    from worker.notifiers.slack.errors import Channel

_SHOWN = 20
"""Queues or channels that are shown to choose from."""

_COMMENT = re.compile(r"(?m)^\s*#.*\n|[ \t]+# .*$")


class ChoiceError(Exception):
    """An answer means nothing; `str()` says why, and what can be answered."""


def numbered(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Rows to choose from by their numbers, each a name with something about it."""
    lines = [f"   {number}  {plain(name)}{f' ({more})' if more else ''}" for number, (name, more) in enumerate(rows, 1)]
    return lines[:_SHOWN] + ([f"   and {len(rows) - _SHOWN} more, by name or id"] if len(rows) > _SHOWN else [])


def chosen_queues(answer: str, queues: Sequence[Queue]) -> dict[str, str]:
    """The queues of an answer, names by ids; empty for all. Where none could be listed it is taken as it stands."""
    given = answer.strip()
    if given.casefold() == ALL_QUEUES:
        return {}
    by_name = {queue.name: queue for queue in queues}
    parts = [given] if given in by_name else [part.strip() for part in given.split(",") if part.strip()]
    if not queues:
        return dict.fromkeys(parts, "")
    found = [_queue(part, queues) for part in parts]
    return {str(queue.queue_id): queue.name for queue in found}


def _queue(part: str, queues: Sequence[Queue]) -> Queue:
    same = [queue for queue in queues if part in {queue.name, str(queue.queue_id)}]
    alike = [queue for queue in queues if folded(part) in {folded(queue.name), str(queue.queue_id)}]
    if same or alike:
        return (same or alike)[0]
    if part.isascii() and part.isdigit() and 0 < int(part) <= len(queues[:_SHOWN]):
        return queues[int(part) - 1]
    names = [queue.name for queue in queues]
    raise ChoiceError(f"the key sees no queue {part!r}{did_you_mean(part, names)}; it sees {some(names)}")


def chosen_channel(answer: str, numbers: Sequence[Channel], every: Iterable[Channel]) -> str:
    """The id of the channel of an answer; `numbers` are those that were shown. Anything else as it stands."""
    name = answer.strip().removeprefix("#")
    if name.isascii() and name.isdigit() and 0 < int(name) <= len(numbers[:_SHOWN]):
        return numbers[int(name) - 1].channel_id
    return next((channel.channel_id for channel in every if folded(channel.name) == folded(name)), name)


def manifest_link(manifest: str) -> str:
    """The address that creates a Slack app of a manifest."""
    # Without its comments, which make the address three times as long.
    return f"https://api.slack.com/apps?new_app=1&manifest_yaml={quote(_COMMENT.sub('', manifest), safe='')}"
