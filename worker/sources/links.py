"""Where a run and a queue are seen in LangSmith's web interface. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sources.values import safe_path, tenant_of

if TYPE_CHECKING:
    from uuid import UUID

    from worker.core.model import Id


def tenant_in(web: str, url: str) -> UUID | None:
    """The workspace that a link to a run tells of."""
    return tenant_of(url.removeprefix(web)) if web else None


def queue_url(web: str, tenant_id: UUID | None, queue_id: Id) -> str:
    """The page of a queue, or '' where the workspace is not known."""
    return f"{web}/o/{tenant_id}/annotation-queues/{queue_id}" if web and tenant_id else ""


def run_url(
    web: str, app_path: object = None, *, tenant_id: UUID | None, project_id: Id | None, run_id: Id | None
) -> str:
    """The page of a run: by the path that LangSmith gives, else by its ids, else ''."""
    path = safe_path(app_path)
    if path or not web:
        return f"{web}{path}" if web else ""
    if tenant_id is None or project_id is None or run_id is None:
        return ""
    return f"{web}/o/{tenant_id}/projects/p/{project_id}/r/{run_id}"
