"""How the worker itself stands, as one value, and whether that is good enough. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.meter import STORE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.model import Backlog, Pause, Polled, Standing

LATE_AFTER = 3
"""A last complete poll older than so many intervals is late."""

EVERYWHERE = "*"
"""The channel of a pause that holds for every one."""

NAMED = 20
"""How many queues a text names; the others are counted."""


@dataclass(frozen=True, slots=True)
class ApiInUse:
    """Which of LangSmith's listings is in use; `sunset_at` is when LangSmith ends it (None: no end is announced)."""

    name: str
    sunset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as the worker sees it.

    `trouble` is what its last poll failed in, empty where it was complete. `new` and `gone` count, since the process
    started, runs that were announced and runs that left. `standing` is None until it has been counted.
    `here` tells that this worker polls it, and not another one.
    """

    polled: Polled
    interval: timedelta
    trouble: str = ""
    waiting: int = 0
    new: int = 0
    gone: int = 0
    standing: Standing | None = None
    here: bool = True

    @property
    def name(self) -> str:
        """The queue's name: raw and hostile."""
        return self.polled.queue.name

    def is_late(self, now: datetime) -> bool:
        """Whether its last complete poll is missing or too old."""
        completed_at = self.polled.completed_at
        return completed_at is None or now - completed_at > LATE_AFTER * self.interval


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at one look. `store_error` is empty where the database answered; `unknown` are names without a queue.

    `queues` are those that are to be polled; one that was never attempted is among them. `unlisted_since` tells
    since when the list of queues, where it is needed, cannot be read. `clock_set` is by how much the wall clock was
    set since the look before.
    """

    taken_at: datetime
    queues: Sequence[QueueView] = ()
    unknown: frozenset[str] = frozenset()
    unlisted_since: datetime | None = None
    store_error: str = ""
    pauses: Sequence[Pause] = ()
    backlog: Sequence[Backlog] = ()
    api: ApiInUse | None = None
    clock_set: timedelta = timedelta(0)

    @property
    def waiting(self) -> int:
        """How many runs wait, all queues together."""
        return sum(queue.waiting for queue in self.queues)


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready; `text` says what is wrong, or that nothing is."""

    name: str
    ok: bool
    text: str


def readiness(overview: Overview) -> tuple[Check, ...]:
    """Whether the database answers, every queue was polled lately, and Slack takes the token."""
    return (_database(overview), _queues(overview), _slack(overview))


def _database(overview: Overview) -> Check:
    error = overview.store_error
    if not error and any(queue.trouble == STORE for queue in overview.queues):
        error = next(queue.polled.error for queue in overview.queues if queue.trouble == STORE)
    return Check("database", not error, error or "answers")


def _queues(overview: Overview) -> Check:
    late = [_late(queue) for queue in overview.queues if queue.is_late(overview.taken_at)]
    late += [f"{name}: no queue has this name" for name in sorted(overview.unknown)]
    if overview.unlisted_since is not None:
        late.append("the list of queues cannot be read")
    if not overview.queues and not late:
        return Check("queues", ok=False, text="no queue is polled yet")
    if not late:
        return Check("queues", ok=True, text=f"{len(overview.queues)} polled within {LATE_AFTER} intervals")
    more = f"; and {len(late) - NAMED} more" if len(late) > NAMED else ""
    return Check("queues", ok=False, text="; ".join(late[:NAMED]) + more)


def _late(queue: QueueView) -> str:
    completed_at = queue.polled.completed_at
    when = "never" if completed_at is None else f"{completed_at:%Y-%m-%d %H:%M:%S} UTC"
    because = f" ({queue.polled.error})" if queue.polled.error else ""
    return f"{queue.name}: last complete poll {when}{because}"


def _slack(overview: Overview) -> Check:
    pause = next((pause for pause in overview.pauses if pause.channel == EVERYWHERE), None)
    if pause is None:
        return Check("slack", ok=True, text="takes the token")
    return Check("slack", ok=False, text=f"refuses the token since {pause.since:%Y-%m-%d %H:%M} UTC ({pause.reason})")
