"""Controls of messages: what people can press, and how that is written into a message and read from a press. Pure.

What a control is about stands in its `block` as ids that say nothing to a reader; what is wanted in its `value`. The
message itself is never asked: it may be old, edited or gone.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from worker.core.actions import ON_QUEUES, WITH_END, Act, after_today, on_monday

if TYPE_CHECKING:
    from worker.core.calendar import Calendar
    from worker.core.model import Id

ON_RUN, ON_QUEUE, MINE = "run", "queue", "mine"
"""The controls: the menu of a run, that of a queue, and the button that lists the reader's own runs."""

LONGEST = 255
"""Characters of a block's name; of a run with longer ids nothing can be pressed."""

HOUR = timedelta(hours=1)
_FARTHEST = timedelta(days=366)


class Span(StrEnum):
    """For how long something is put off."""

    HOUR = "hour"
    OPENING = "opening"  # the next opening after today
    MONDAY = "monday"


@dataclass(frozen=True, slots=True)
class Choice:
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
        return now + HOUR
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


def choice_of(action: str, block: str, value: str) -> Choice | None:
    """What was chosen; None where no menu of ours says so."""
    ids = _ids(block)
    found = _VALUE.fullmatch(value)
    if found is None or action not in {ON_RUN, ON_QUEUE} or len(ids) != (2 if action == ON_RUN else 1):
        return None
    act, span = Act(found["act"]), Span(found["span"]) if found["span"] else None
    if (act in ON_QUEUES) != (action == ON_QUEUE) or (act in WITH_END and act is not Act.CLAIM) != (span is not None):
        return None
    at = datetime.fromtimestamp(int(found["at"]), UTC) if found["at"] else None
    return Choice(act, ids[0], ids[1] if action == ON_RUN else None, span, at)


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
