"""One row of a listing as a QueueRun, with no more facts than may be shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from worker.core.model import Facts, QueueRun, Show
from worker.sources.links import run_url
from worker.sources.values import PREVIEW_CHARACTERS, amount, count, identity, instant, length, tags, text
from worker.sources.wire import BriefRow, Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Id
    from worker.sources.wire import ItemRow, QueriedRow

CONVERSATION = "THREAD"
LONG = frozenset({Show.ERROR, Show.INPUTS_PREVIEW, Show.OUTPUTS_PREVIEW})


Makeable: TypeAlias = "QueueRun | Callable[[], QueueRun]"
"""A run, or how it is made of its row: that is dear, and of a list that has not changed none is needed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which list is read, and what of its rows is wanted. `web` is the root of links, '' for none."""

    queue_id: Id
    status: str
    show: frozenset[Show]
    web: str = ""
    tenant_id: UUID | None = None


class Sighting(msgspec.Struct, frozen=True):
    """A run as one page shows it. `mark` condenses what `core.diff.digest` looks at."""

    queue_run_id: Id
    mark: int
    run: Makeable


@dataclass(frozen=True, slots=True)
class Trace:
    """Where the run of an item is to be looked up."""

    run_id: Id
    project_id: Id
    began_at: datetime | None


def row_type(show: frozenset[Show]) -> type[BriefRow]:
    """What of a row of `runs` is kept until it is known whether anything has changed."""
    return BriefRow if show.isdisjoint(LONG) else Row


def sighted(row: BriefRow, wanted: Wanted) -> Sighting | None:
    """A row of `runs` that becomes a QueueRun when somebody asks for it; None as in `of_runs`."""
    queue_run_id = identity(row.queue_run_id)
    if queue_run_id is None:
        return None
    mark = hash(
        (
            queue_run_id,
            row.added_at if isinstance(row.added_at, str) else None,
            row.effective_added_at if isinstance(row.effective_added_at, str) else None,
            length(row.reserved_by) > 0,
            length(row.completed_by),
        )
    )
    return Sighting(queue_run_id, mark, partial(_of_runs, row, wanted, queue_run_id))


def of_runs(row: BriefRow, wanted: Wanted) -> QueueRun | None:
    """A row of `runs`; None where it cannot be told from others, because it has no usable `queue_run_id`."""
    queue_run_id = identity(row.queue_run_id)
    return None if queue_run_id is None else _of_runs(row, wanted, queue_run_id)


def _of_runs(row: BriefRow, wanted: Wanted, queue_run_id: Id) -> QueueRun:
    run_id = identity(row.id)
    ids = {"tenant_id": wanted.tenant_id, "project_id": identity(row.session_id), "run_id": run_id}
    return QueueRun(
        queue_run_id=queue_run_id,
        run_id=run_id,
        added_at=instant(row.added_at),
        effective_added_at=instant(row.effective_added_at),
        reserved=length(row.reserved_by) > 0,
        done=length(row.completed_by),
        facts=facts(row, wanted.show, run_url(wanted.web, row.app_path, **ids)),
    )


def of_items(row: ItemRow, wanted: Wanted) -> QueueRun | None:
    """A row of `items`, with what it tells by itself; None where it has no usable `id`."""
    queue_run_id = identity(row.id)
    if queue_run_id is None:
        return None
    return QueueRun(
        queue_run_id=queue_run_id,
        run_id=identity(row.run_id),
        added_at=instant(row.added_at),
        effective_added_at=instant(row.effective_added_at),
        reserved=length(row.reserved_by) > 0,
        done=length(row.completed_by),
        facts=_conversation(row, wanted.show) if row.item_type == CONVERSATION else Facts(),
    )


def trace(row: ItemRow) -> Trace | None:
    """Where the run of an item is to be looked up; None for a conversation, and where LangSmith does not say."""
    run_id, project_id = identity(row.run_id), identity(row.project_id)
    if run_id is None or project_id is None or row.item_type == CONVERSATION:
        return None
    return Trace(run_id, project_id, instant(row.start_time))


def facts(row: BriefRow | QueriedRow, show: frozenset[Show], url: str) -> Facts:
    """What `show` allows of a run, cleaned and cut."""
    return Facts(
        name=text(row.name) if Show.NAME in show else "",
        run_type=text(row.run_type).lower() if Show.TYPE in show else "",
        url=url,
        tags=tags(row.tags) if Show.TAGS in show else (),
        error=text(getattr(row, "error", None), PREVIEW_CHARACTERS) if Show.ERROR in show else "",
        inputs_preview=text(getattr(row, "inputs_preview", None), PREVIEW_CHARACTERS)
        if Show.INPUTS_PREVIEW in show
        else "",
        outputs_preview=text(getattr(row, "outputs_preview", None), PREVIEW_CHARACTERS)
        if Show.OUTPUTS_PREVIEW in show
        else "",
        thread=text(row.thread_id) if Show.THREAD in show else "",
        tokens=count(row.total_tokens) if Show.TOKENS in show else None,
        cost=amount(row.total_cost) if Show.COST in show else "",
    )


def _conversation(row: ItemRow, show: frozenset[Show]) -> Facts:
    """A conversation has no name: its id stands for it."""
    thread = text(row.thread_id)
    return Facts(
        name=f"Conversation {thread[:8]}".strip() if Show.NAME in show else "",
        run_type="conversation" if Show.TYPE in show else "",
        thread=thread if Show.THREAD in show else "",
    )
