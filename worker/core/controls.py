"""Controls of messages: what people can press, and how that is written into a message and read from a press. Pure.

What a control is about stands in its `block` as ids that say nothing to a reader; what is wanted in its `value`. The
message itself is never asked: it may be old, edited or gone.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from worker.core.actions import ON_QUEUES, WITH_END, Act, after_today, on_monday
from worker.core.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from worker.core.calendar import Calendar
    from worker.core.message import Message
    from worker.core.model import Id, Queue

ON_RUN, ON_QUEUE, MINE = "run", "queue", "mine"
"""The controls: the menu of a run, that of a queue, and the button that lists the reader's own runs."""

LONGEST = 255
"""Characters of a block's name; of a run with longer ids nothing can be pressed."""

_HOUR = timedelta(hours=1)
_FARTHEST = timedelta(days=366)


class Span(StrEnum):
    """For how long something is put off."""

    HOUR = "hour"
    OPENING = "opening"  # the next opening after today
    MONDAY = "monday"


class Chosen(Struct, frozen=True):
    """What somebody has chosen in a menu. `shown_at` is the end that the menu gave, where it gave an instant."""

    act: Act
    queue_id: Id
    queue_run_id: Id | None = None
    span: Span | None = None
    shown_at: datetime | None = None

    def until(self, calendar: Calendar, now: datetime) -> datetime | None:
        """When it is to end: as the menu said, or at the next such instant where that has passed."""
        if self.span is None:
            return None
        is_ahead = self.shown_at is not None and now < self.shown_at <= now + _FARTHEST
        return self.shown_at if is_ahead else end_of(self.span, calendar, now)


def end_of(span: Span, calendar: Calendar, now: datetime) -> datetime:
    """When something ends that is put off now."""
    if span is Span.HOUR:
        return now + _HOUR
    return after_today(calendar, now) if span is Span.OPENING else on_monday(calendar, now)


def block_of(queue_id: Id, queue_run_id: Id | None = None) -> str:
    """The name of the block of a run, or of a queue; empty where it would be too long."""
    ids = [queue_id] if queue_run_id is None else [queue_id, queue_run_id]
    name = ".".join(map(_written, ids))
    return name if len(name) <= LONGEST else ""


def value_of(act: Act, span: Span | None = None, at: datetime | None = None) -> str:
    """The value of one item of a menu."""
    parts = [act.value, *([span.value] if span else []), *([str(int(at.timestamp()))] if at else [])]
    return " ".join(parts)


def choice_of(action: str, block: str, value: str) -> Chosen | None:
    """What was chosen; None where no menu of ours says so."""
    ids = _ids(block)
    found = _VALUE.fullmatch(value)
    if found is None or action not in {ON_RUN, ON_QUEUE} or len(ids) != (2 if action == ON_RUN else 1):
        return None
    act, span = Act(found["act"]), Span(found["span"]) if found["span"] else None
    if (act in ON_QUEUES) != (action == ON_QUEUE) or (act in WITH_END and act is not Act.CLAIM) != (span is not None):
        return None
    at = datetime.fromtimestamp(int(found["at"]), UTC) if found["at"] else None
    return Chosen(act, ids[0], ids[1] if action == ON_RUN else None, span, at)


_VALUE = re.compile(rf"(?P<act>{'|'.join(Act)})(?: (?P<span>{'|'.join(Span)})(?: (?P<at>[0-9]{{1,11}}))?)?", re.ASCII)
_UUID, _TEXT = "u", "t"


def _written(one: Id) -> str:
    is_uuid = isinstance(one, UUID)
    raw = one.bytes if isinstance(one, UUID) else one.encode("utf-8", "surrogatepass")
    return (_UUID if is_uuid else _TEXT) + urlsafe_b64encode(raw).decode().rstrip("=")


def _ids(block: str) -> list[Id]:
    """The ids in the name of a block; none where it is no name of ours."""
    try:
        return [_read(part) for part in block.split(".")] if 0 < len(block) <= LONGEST else []
    except ValueError:
        return []


def _read(part: str) -> Id:
    raw = urlsafe_b64decode(part[1:] + "=" * (-len(part[1:]) % 4))
    if part.startswith(_UUID):
        return UUID(bytes=raw)
    if not part.startswith(_TEXT):
        raise ValueError(part)
    return raw.decode("utf-8", "surrogatepass")


class Ends(Struct, frozen=True):
    """When something ends that is put off now: at the next opening after today, or on Monday, on the queue's clock."""

    opening_at: datetime
    monday_at: datetime
    zone: tzinfo


class Controls(Struct, frozen=True):
    """What can be pressed in a message: one value for each of its lines, None where nothing can; and for its queue."""

    lines: tuple[Ends | None, ...] = ()
    queue: Ends | None = None


_WITH_CONTROLS = frozenset({Kind.BASELINE, Kind.ANNOUNCEMENT, Kind.REMINDER, Kind.ESCALATION, Kind.DIRECT})


def with_controls(message: Message, calendar_of: Callable[[Queue], Calendar], now: datetime) -> Message:
    """The message with what can be pressed in it; nothing can where nothing waits, or a newer one is pointed to."""
    is_over = not message.waiting or message.successor is not None
    if message.kind not in _WITH_CONTROLS or message.plain or is_over:
        return message
    ends = {queue: _ends(calendar_of(queue), now) for queue in _queues(message)}
    lines = (
        line.is_waiting and line.queue_run_id is not None and (line.queue or message.queue) for line in message.lines
    )
    controls = Controls(
        lines=tuple(ends[queue] if queue else None for queue in lines),
        queue=ends[message.queue] if message.queue is not None else None,
    )
    return replace(message, controls=controls)


def _queues(message: Message) -> set[Queue]:
    return {queue for queue in (message.queue, *(line.queue for line in message.lines)) if queue is not None}


def _ends(calendar: Calendar, now: datetime) -> Ends:
    return Ends(after_today(calendar, now), on_monday(calendar, now), calendar.zone)
