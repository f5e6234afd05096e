"""Leases: how several workers share the queues and tasks, and for how long. Pure."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from worker.core.model import Id

TTL = timedelta(seconds=10)
"""The length of a worker's lease: a worker that does not renew it for this long is taken for dead."""

RENEW = TTL / 3  # one renewal may fail: the next still comes before the lease lapses

SOON = timedelta(seconds=1)
"""The wait before looking again for an assignment that should be ours and is not free yet."""


def assignment_name(queue_id: Id) -> str:
    """The name of the assignment to poll a queue, which is never that of a task, nor of another queue."""
    # Tasks, and queues whose ids are UUIDs, keep the names that older versions gave them: during a rolling update old
    # and new workers share one table, and under a second name each would be done by an old and by a new one at once.
    # No older version had queues with other ids. Quoted, since a database may not keep every character of a name.
    return str(queue_id) if isinstance(queue_id, UUID) else f"queue:{quote(queue_id)}"


class Task(StrEnum):
    """A task that one worker does for all of them."""

    REPORTS = "reports"
    EDITS = "edits"
    HOUSE = "house"
    PEOPLE = "people"
    LINK = "link"  # to hear what people do in the notifier's service
    SPARE_LINK = "spare_link"  # the same by a second worker, so that one that dies is no gap


LINKS = (Task.LINK, Task.SPARE_LINK)


def tasks_for(held: Collection[str], free: Collection[str], workers: int) -> frozenset[str]:
    """The tasks that a worker may have, by what it has and what is free: only one link where others are alive."""
    mine = [*(link for link in LINKS if link in held), *(link for link in LINKS if link in free), *LINKS]
    spared = {str(link) for link in LINKS if link is not mine[0]} if workers > 1 else set()
    return frozenset(str(task) for task in Task) - spared


class Assignment(Struct, frozen=True):
    """One thing that one of several workers does alone: a task by its own name, or a queue by `assignment_name`.

    `token` rises whenever the assignment passes to another worker, so that the former one cannot be mistaken for it.
    """

    name: str
    worker_id: UUID
    token: int


class Renewal(Struct, frozen=True):
    """The answer that a worker gets when it renews its lease.

    `assignments` are its own, by name; `now` is the database's time; `workers` counts the living ones. `again_in` is
    the wait until there may be more to take: another lease may end then, or not everything that should be ours was
    free.
    """

    assignments: Mapping[str, Assignment]
    now: datetime
    workers: int
    again_in: timedelta


class Living(Struct, frozen=True):
    """The workers whose lease lasts at `now`, eldest first, each with its end."""

    now: datetime
    until: Mapping[UUID, datetime]

    def share(self, worker_id: UUID, count: int) -> int:
        """The number of queues, of `count`, that are a worker's: an even part; the eldest take the remainder."""
        order = list(self.until)
        return count // len(order) + (order.index(worker_id) < count % len(order))

    def again_in(self, worker_id: UUID) -> timedelta:
        """The wait before the next renewal: in time for our own lease, and when another's may have ended."""
        others = (until - self.now for other, until in self.until.items() if other != worker_id)
        return max(min((RENEW, *others)), SOON)
