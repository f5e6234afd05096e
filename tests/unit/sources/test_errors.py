"""What an answer that is no success means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schemas import date_like
from worker.core.ports import Trouble
from worker.sources.errors import from_status, retry_after

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
JSON, HTML = b'{"detail":"a secret of the server"}', b"<html>a secret of the server</html>"


@pytest.mark.parametrize(
    ("status", "body", "trouble", "remedy"),
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
def test_each_status_has_its_trouble_and_remedy(status: Any, body: bytes, trouble: Any, remedy: Any) -> None:
    error = from_status("reading", status, {}, body, NOW)
    assert error.trouble is trouble
    assert remedy in str(error)
    assert str(status) in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("120", timedelta(minutes=2), id="seconds"),
        pytest.param(" 7 ", timedelta(seconds=7), id="seconds among blanks"),
        pytest.param("0", timedelta(0), id="at once"),
        pytest.param("1.5", timedelta(seconds=1), id="a fraction"),
        pytest.param("999999999", timedelta(seconds=999_999_999), id="thirty years"),
        pytest.param("Mon, 02 Mar 2026 12:05:00 GMT", timedelta(minutes=5), id="a date"),
        pytest.param("Mon, 02 Mar 2026 12:05:00", timedelta(minutes=5), id="a date without a zone"),
        pytest.param("Mon, 02 Mar 2026 11:00:00 GMT", None, id="a date in the past"),
        pytest.param("-5", None, id="negative"),
        pytest.param("9" * 40, None, id="absurd"),
        pytest.param("soon", None, id="a word"),
        pytest.param("", None, id="nothing"),
        pytest.param("NaN", None, id="NaN"),
        pytest.param("Mon, 99 Foo 2026 12:05:00 GMT", None, id="no date"),
    ],
)
def test_a_wish_to_be_left_alone_is_read_or_ignored(value: Any, expected: Any) -> None:
    assert retry_after(value, NOW) == expected
    assert from_status("reading", 429, {"retry-after": value}, b"", NOW).retry_after == expected


@given(st.text() | date_like())
def test_no_wish_is_too_strange(value: Any) -> None:
    found = retry_after(value, NOW)
    assert found is None or found >= timedelta(0)
