"""How several workers share what there is to do: whose lease lasts how long, and how much is whose. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.core.model import Id

TTL = timedelta(seconds=10)
"""How long a worker's lease lasts: whoever does not renew it for so long is taken for dead."""

RENEW = TTL / 3

SOON = timedelta(seconds=1)
"""When to look again for what should be ours and is not free yet."""


def assignment_name(queue_id: Id) -> str:
    """The name of the assignment to poll a queue, which is never that of a task, nor of another queue."""
    # Tasks, and queues whose ids are UUIDs, keep the names that older versions gave them: during a rolling update old
    # and new workers share one table, and under a second name each would be done by an old and by a new one at once.
    # No older version had queues with other ids. Quoted, since a database may not keep every character of a name.
    return str(queue_id) if isinstance(queue_id, UUID) else f"queue:{quote(queue_id)}"


class Task(StrEnum):
    """What is done once for all workers, whoever of them does it."""

    REPORTS = "reports"
    EDITS = "edits"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one of several workers does alone: a task by its own name, or polling a queue by `assignment_name`.

    `token` rises whenever the assignment changes hands, so that whoever had it before cannot be taken for who has it
    now.
    """

    name: str
    worker_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a worker learns when it renews its lease.

    `assignments` are its own, by name; `now` is the database's time; `workers` counts the living ones. `again_in` is
    when there may be something to take: another's lease ends then, or not everything was found that should be ours.
    """

    assignments: Mapping[str, Assignment]
    now: datetime
    workers: int
    again_in: timedelta


@dataclass(frozen=True, slots=True)
class Living:
    """The workers whose lease lasts at `now`, eldest first, each with its end."""

    now: datetime
    until: Mapping[UUID, datetime]

    def share(self, worker_id: UUID, count: int) -> int:
        """How many of so many queues are a worker's: an even part; the eldest take what is left over."""
        order = list(self.until)
        return count // len(order) + (order.index(worker_id) < count % len(order))

    def again_in(self, worker_id: UUID) -> timedelta:
        """When to renew: in time for our own lease, and when the first lease of another may have ended."""
        others = (until - self.now for other, until in self.until.items() if other != worker_id)
        return max(min((RENEW, *others)), SOON)
