"""One row of a listing as a QueueRun, with no more facts than may be shown. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.model import Facts, QueueRun, Show
from worker.sources.links import run_url
from worker.sources.values import PREVIEW_CHARACTERS, amount, count, identity, instant, length, tags, text

if TYPE_CHECKING:
    from uuid import UUID

    from worker.sources.wire import Row


def queue_run(row: Row, *, show: frozenset[Show], web: str, tenant_id: UUID | None) -> QueueRun | None:
    """A row of `runs`; None where it cannot be told from others, because it has no usable `queue_run_id`."""
    queue_run_id = identity(row.queue_run_id)
    if queue_run_id is None:
        return None
    run_id = identity(row.id)
    project_id = identity(row.session_id)
    return QueueRun(
        queue_run_id=queue_run_id,
        run_id=run_id,
        added_at=instant(row.added_at),
        effective_added_at=instant(row.effective_added_at),
        reserved=length(row.reserved_by) > 0,
        done=length(row.completed_by),
        facts=facts(row, show, run_url(web, row.app_path, tenant_id=tenant_id, project_id=project_id, run_id=run_id)),
    )


def facts(row: Row, show: frozenset[Show], url: str) -> Facts:
    """What `show` allows of a run, cleaned and cut."""
    return Facts(
        name=text(row.name) if Show.NAME in show else "",
        run_type=text(row.run_type).lower() if Show.TYPE in show else "",
        url=url,
        tags=tags(row.tags) if Show.TAGS in show else (),
        error=text(row.error, PREVIEW_CHARACTERS) if Show.ERROR in show else "",
        inputs_preview=text(row.inputs_preview, PREVIEW_CHARACTERS) if Show.INPUTS_PREVIEW in show else "",
        outputs_preview=text(row.outputs_preview, PREVIEW_CHARACTERS) if Show.OUTPUTS_PREVIEW in show else "",
        thread=text(row.thread_id) if Show.THREAD in show else "",
        tokens=count(row.total_tokens) if Show.TOKENS in show else None,
        cost=amount(row.total_cost) if Show.COST in show else "",
    )
