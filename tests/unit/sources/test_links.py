"""Where runs and queues are seen."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from worker.sources.langsmith.rows import queue_url, run_url, tenant_in

WEB = "https://smith.example/prefix"
T, P, R, Q = (UUID(int=n) for n in range(1, 5))


def test_a_queue_is_linked_where_its_workspace_is_known() -> None:
    assert queue_url(WEB, T, Q) == f"{WEB}/o/{T}/annotation-queues/{Q}"
    assert queue_url(WEB, None, Q) == ""
    assert queue_url("", T, Q) == ""


@pytest.mark.parametrize(
    ("path", "tenant", "expected"),
    [
        pytest.param("/o/x/r/y", T, f"{WEB}/o/x/r/y", id="by the path that LangSmith gives"),
        pytest.param("//evil.example", T, f"{WEB}/o/{T}/projects/p/{P}/r/{R}", id="by ids where the path is not safe"),
        pytest.param(None, T, f"{WEB}/o/{T}/projects/p/{P}/r/{R}", id="by ids where there is no path"),
        pytest.param(None, None, "", id="not at all without the workspace"),
    ],
)
def test_a_run_is_linked(path: Any, tenant: Any, expected: Any) -> None:
    assert run_url(WEB, path, tenant_id=tenant, project_id=P, run_id=R) == expected


def test_a_run_is_not_linked_without_a_web_root() -> None:
    assert run_url("", "/o/x/r/y", tenant_id=T, project_id=P, run_id=R) == ""


def test_a_link_tells_the_workspace() -> None:
    assert tenant_in(WEB, f"{WEB}/o/{T}/projects/p/{P}/r/{R}") == T
    assert tenant_in(WEB, "") is None
    assert tenant_in("", f"/o/{T}/") is None
