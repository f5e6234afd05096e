"""The processes that work on a database, as `status` in yet another process learns of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  msgspec reads the annotations
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from uuid import UUID


class Area(StrEnum):
    """The area that a reason belongs to: one condition of `/readyz`."""

    LOOPS = "loops"
    DATABASE = "database"
    QUEUES = "queues"
    NOTIFIER = "notifier"
    DELIVERIES = "deliveries"

    @classmethod
    def _missing_(cls, value: object) -> Area:  # noqa: ARG003
        """The notifier's area, for every unknown name."""
        # Earlier versions stored it under the name of the notifier's service.
        return cls.NOTIFIER


class Reason(msgspec.Struct, frozen=True):
    """One reason why the worker is not well: for exit status 1 of `status`, and for a `/readyz` that is not ready.

    `kind` is a word that metrics count by; with the `subject` (a queue's id, a channel) it identifies the reason.
    `text` says what is wrong and `fix` what to do; both are sentences of ours, in which names and errors are raw and
    hostile.
    """

    kind: str
    area: Area
    text: str
    fix: str
    subject: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """One process that works, or has worked, on this database.

    `command` is `run` or `poll`. `ended_at` stays None where it was killed. `reasons` are only those that the database
    does not show anyway.
    """

    process_id: UUID
    command: str
    host: str
    pid: int
    version: str
    started_at: datetime
    ended_at: datetime | None = None
    reasons: tuple[Reason, ...] = ()
