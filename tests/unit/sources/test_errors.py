"""What an answer that is no success means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import NOON
from worker.core.ports import Trouble
from worker.sources.langsmith.errors import from_status

JSON, HTML = b'{"detail":"a secret of the server"}', b"<html>a secret of the server</html>"


@pytest.mark.parametrize(
    ("status", "body", "trouble", "fix"),
    [
        pytest.param(401, JSON, Trouble.REFUSED, "LANGSMITH_API_KEY", id="a wrong key"),
        pytest.param(403, JSON, Trouble.REFUSED, "annotation-queues:read", id="a key that may not"),
        pytest.param(
            403,
            b'{"error":"org_scoped_key_requires_workspace"}',
            Trouble.REFUSED,
            "LANGSMITH_WORKSPACE_ID",
            id="an organisation's key without the workspace",
        ),
        pytest.param(401, HTML, Trouble.UNREACHABLE, "proxy", id="a proxy's log-in page"),
        pytest.param(403, HTML, Trouble.UNREACHABLE, "proxy", id="a firewall's page"),
        pytest.param(403, b"", Trouble.UNREACHABLE, "proxy", id="a firewall without a page"),
        pytest.param(403, b'"denied"', Trouble.UNREACHABLE, "proxy", id="JSON that is no object"),
        pytest.param(403, b"[" * 100_000, Trouble.UNREACHABLE, "proxy", id="nesting without end"),
        pytest.param(403, b'{"a":"\xff"}', Trouble.UNREACHABLE, "proxy", id="no UTF-8"),
        pytest.param(407, HTML, Trouble.UNREACHABLE, "proxy", id="a proxy that wants a password"),
        pytest.param(404, JSON, Trouble.MISSING, "WORKER_QUEUES", id="not found"),
        pytest.param(405, JSON, Trouble.MISSING, "WORKER_QUEUES", id="not to be read any more"),
        pytest.param(410, JSON, Trouble.MISSING, "WORKER_QUEUES", id="gone"),
        pytest.param(429, JSON, Trouble.THROTTLED, "WORKER_REQUESTS_PER_SECOND", id="too many requests"),
        pytest.param(408, JSON, Trouble.UNREACHABLE, "again later", id="time-out"),
        pytest.param(500, JSON, Trouble.UNREACHABLE, "again later", id="broken"),
        pytest.param(503, HTML, Trouble.UNREACHABLE, "again later", id="down for maintenance"),
        pytest.param(302, b"", Trouble.UNLAWFUL, "redirects are not followed", id="a redirect"),
        pytest.param(422, JSON, Trouble.UNLAWFUL, "LANGSMITH_ENDPOINT", id="parameters that it does not know"),
        pytest.param(204, b"", Trouble.UNLAWFUL, "LANGSMITH_ENDPOINT", id="no content"),
    ],
)
def test_each_status_has_its_trouble_and_fix(status: Any, body: bytes, trouble: Any, fix: Any) -> None:
    error = from_status("reading", status, {}, body, NOON)
    assert error.trouble is trouble
    assert fix in str(error)
    assert str(status) in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(("value", "expected"), [("17", timedelta(seconds=17)), ("soon", None)])
def test_the_wish_to_be_left_alone_is_in_the_error(value: str, expected: timedelta | None) -> None:
    assert from_status("reading", 429, {"retry-after": value}, b"", NOON).retry_after == expected


def test_a_key_that_nothing_was_ever_shown_may_be_of_another_region() -> None:
    forbidden = b'{"error":"Forbidden"}'
    text = str(from_status("listing the queues", 403, {}, forbidden, NOON, is_known=False))
    assert text.index("LANGSMITH_ENDPOINT") < text.index("annotation-queues:read")
    for region in ("", "eu.", "apac.", "aws."):
        assert f"https://{region}api.smith.langchain.com" in text
    assert "LANGSMITH_ENDPOINT" not in str(from_status("reading", 403, {}, forbidden, NOON))
