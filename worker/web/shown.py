"""What the page and its API show, as one value each; the API gives them as they are. Pure.

Texts from outside are raw and hostile: the page escapes them. Ages and durations are whole seconds.
"""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003  msgspec reads the annotations
from typing import Protocol

from msgspec import Struct


class ProcessRow(Struct, frozen=True):
    """One process that works on the database."""

    pid: int
    host: str
    since: datetime
    version: str


class ReasonRow(Struct, frozen=True):
    """One reason why the worker is not well, with what to do about it, as in `status`."""

    kind: str
    area: str
    subject: str | None
    text: str
    fix: str
    since: datetime | None


class DayRow(Struct, frozen=True):
    """One day of a queue's zone. `waiting` and `overdue` are those of its end; null where no poll was complete then."""

    day: date
    came: int
    reviewed: int
    removed: int
    unknown: int
    waiting: int | None
    overdue: int | None


class WeekCell(Struct, frozen=True):
    """One hour of the week. `seen` is how many such hours were watched: with 0 nothing is known of it."""

    came: int
    reviewed: int
    seen: int


class Flow(Struct, frozen=True):
    """The last days: what came and left, and how long it took. Times count open time where the queue has a calendar.

    `week` has a list of 24 hours for each weekday, Monday first.
    """

    zone: str
    days: list[DayRow]
    week: list[list[WeekCell]]
    came: int
    reviewed: int
    removed: int
    unknown: int
    first_review_p50_seconds: int | None
    first_review_p95_seconds: int | None
    last_review_p50_seconds: int | None
    last_review_p95_seconds: int | None
    overdue_share: float | None


class TurnRow(Struct, frozen=True):
    """How many runs wait for one person; `name` is empty where none is known, as is `slack`."""

    name: str
    slack: str
    email: str | None
    runs: int


class QueueRow(Struct, frozen=True):
    """One queue: what waits in it, how it is polled, and what is held. `hours` says whether its calendar is open.

    `left_out` counts the runs that filters keep from people, `expiring` those whose traces expire soon, the first at
    `expires_at`: afterwards no one can review it.
    """

    queue_id: str
    name: str
    url: str
    waiting: int
    overdue: int
    left_out: int
    expiring: int
    expires_at: datetime | None
    reserved: int
    oldest_since: datetime | None
    oldest_age_seconds: int | None
    disagreed: int | None
    last_complete_poll_at: datetime | None
    late: bool
    failing_since: datetime | None
    error: str | None
    undelivered: int
    dead: int
    worker: str | None
    open: bool
    hours: str
    held_until: datetime | None
    held_runs: int
    held_messages: int
    claimed: int
    snoozed: int
    muted_until: datetime | None
    turns: list[TurnRow]
    nobodys: int
    days: list[DayRow]


class RunRow(Struct, frozen=True, omit_defaults=True):
    """One run that waits. Of its text only what WORKER_SHOW lets a message show is there.

    `waits_for` names those whose turn it is. `next_due_at` is the next notice (null: none comes), `next_why` why.
    """

    queue_run_id: str
    run_id: str | None
    label: str
    url: str
    since: datetime
    age_seconds: int
    overdue: bool
    reserved: bool
    waits_for: list[str]
    next_due_at: datetime | None
    next_why: str
    expires_at: datetime | None = None
    run_type: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    inputs_preview: str = ""
    outputs_preview: str = ""
    thread: str = ""
    tokens: int | None = None
    cost: str = ""
    claimed_by: str | None = None
    snoozed_until: datetime | None = None


class MessageRow(Struct, frozen=True):
    """One message, owed or posted. `url` leads to it, empty where it is not posted; `why` says why it is not."""

    key: str
    state: str
    kind: str
    queue_id: str | None
    queue: str | None
    channel: str
    created_at: datetime
    settled_at: datetime | None
    edited_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    url: str
    why: str


class PauseRow(Struct, frozen=True):
    """A channel, or all of them (`*`), to which nothing is posted at present."""

    channel: str
    since: datetime
    until: datetime
    why: str


class PersonRow(Struct, frozen=True):
    """One reviewer, as `people` shows it; `email` is null where the page asks for no token."""

    name: str
    email: str | None
    slack: str
    turns: int
    called_today: int
    budget_left: int
    why_unresolved: str | None


class Front(Struct, frozen=True):
    """Everything that the first page shows."""

    taken_at: datetime
    version: str
    running: bool
    services: list[ProcessRow]
    ok: bool
    reasons: list[ReasonRow]
    queues: list[QueueRow]
    pauses: list[PauseRow]
    undelivered: list[MessageRow]
    messages: list[MessageRow]
    people: list[PersonRow]
    has_people: bool


class QueuePage(Struct, frozen=True):
    """Everything that the page of one queue shows; `runs` are those from the `offset` on, oldest first."""

    taken_at: datetime
    queue: QueueRow
    flow: Flow
    runs: list[RunRow]
    offset: int
    limit: int
    messages: list[MessageRow]


class Reading(Protocol):
    """Reads what is shown from the database. Every method may raise StoreError."""

    def front(self) -> Front:
        """What the first page shows."""
        ...

    def queue(self, queue_id: str, offset: int) -> QueuePage | None:
        """What the page of one queue shows; None for a queue that is not polled."""
        ...

    def close(self) -> None:
        """Close the connections to the database."""
        ...
