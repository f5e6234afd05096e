"""One HTTP client against servers that mean no good."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
import zlib
from typing import Any
from uuid import UUID

import pytest

from tests.support.raw_server import http, raw_server
from worker.clock import SystemClock
from worker.core.ports import SourceError, StoppingError, Trouble
from worker.demo.langsmith.faults import bomb
from worker.sources.langsmith.errors import TooLargeError
from worker.sources.langsmith.http import Http

KEY = "lsv2_sk_very-secret"
WORKSPACE = str(UUID(int=7))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def client(root: Any, **more: Any) -> Any:
    return Http(
        **{
            "root": root,
            "key": KEY,
            "workspace_id": "",
            "requests_per_second": 1000,
            "clock": SystemClock(),
            "deadline_seconds": 5.0,
            **more,
        }
    )


def read(root: Any, **more: Any) -> Any:
    with client(root, **more).get("/api/v1/x", {"limit": 1}, what="reading") as answer:
        return bytes(answer.body)


def failure(root: Any, **more: Any) -> Any:
    with pytest.raises(SourceError) as caught:
        read(root, **more)
    assert KEY not in str(caught.value)
    assert str(caught.value).startswith("reading: ")
    return caught.value


def test_a_request_carries_what_langsmith_wants_and_no_more() -> None:
    seen = []

    def answer(connection: Any) -> None:
        seen.append(connection.request.decode())
        connection.send(http(b"[]"))

    with raw_server(answer) as root:
        assert read(f"{root}/prefix", workspace_id=WORKSPACE) == b"[]"
    (request,) = seen
    lines = request.lower().split("\r\n")
    assert lines[0] == "get /prefix/api/v1/x?limit=1 http/1.1"
    assert f"x-api-key: {KEY}" in lines
    assert f"x-tenant-id: {WORKSPACE}" in lines
    assert "accept-encoding: gzip" in lines


def test_without_a_workspace_none_is_named() -> None:
    seen = []

    def answer(connection: Any) -> None:
        seen.append(connection.request.lower())
        connection.send(http(b"[]"))

    with raw_server(answer) as root:
        read(root)
    assert b"x-tenant-id" not in seen[0]


def test_a_question_is_sent_as_json() -> None:
    seen = []

    def answer(connection: Any) -> None:
        seen.append(connection.request)
        connection.send(http(b"{}"))

    with raw_server(answer) as root, client(root).post("/api/v2/x", {"ids": ["1"]}, what="asking") as found:
        assert bytes(found.body) == b"{}"
    assert b"POST /api/v2/x" in seen[0]
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2]) == {"ids": ["1"]}


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(b"[1, 2]"), "gzip"),
        (gzip.compress(b"[1, 2]"), "x-gzip"),
        (zlib.compress(b"[1, 2]"), "deflate"),
        (b"[1, 2]", "identity"),
    ],
    ids=["gzip", "x-gzip", "deflate", "identity"],
)
def test_a_packed_body_is_unpacked(packed: Any, encoding: Any) -> None:
    with raw_server(lambda c: c.send(http(packed, f"Content-Encoding: {encoding}"))) as root:
        assert read(root) == b"[1, 2]"


def test_headers_are_found_whatever_their_case() -> None:
    with (
        raw_server(lambda c: c.send(http(b"[]", "SUNSET: soon"))) as root,
        client(root).get("/x", what="reading") as answer,
    ):
        assert answer.headers.get("sunset") == "soon"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda c: c.over.wait(30), id="no answer"),
        pytest.param(lambda c: c.drip(b"H"), id="a status line without end"),
        pytest.param(lambda c: (c.send(HEAD), c.drip(b"X-A: b\r\n", 0.05)), id="headers byte by byte"),
        pytest.param(lambda c: (c.send(HEAD + b"\r\n"), c.drip(b" ")), id="a body byte by byte"),
        pytest.param(lambda c: (c.send(HEAD + b"Content-Length: 10\r\n\r\n["), c.over.wait(30)), id="half a body"),
        pytest.param(
            lambda c: (c.send(b"HTTP/1.1 500 Trouble\r\n\r\n"), c.drip(b" ")), id="an error's body byte by byte"
        ),
    ],
)
def test_the_deadline_ends_it(script: Any) -> None:
    begin = time.perf_counter()
    with raw_server(script) as root:
        error = failure(root, deadline_seconds=0.4)
    assert error.trouble is Trouble.UNREACHABLE
    assert time.perf_counter() - begin < 20


def test_a_shorter_deadline_can_be_asked_for() -> None:
    with (
        raw_server(lambda c: c.over.wait(30)) as root,
        pytest.raises(SourceError, match=r"within 0\.2 s"),
        client(root, deadline_seconds=30).get("/x", what="reading", seconds=0.2),
    ):
        pass


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda _: None, id="closed without an answer"),
        pytest.param(lambda c: c.send(HEAD + b"Content-Length: 10\r\n\r\n["), id="broken off in the body"),
        pytest.param(lambda c: c.send(b"SSH-2.0-OpenSSH\r\n"), id="another protocol"),
        pytest.param(lambda c: c.send(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000), id="a header too large"),
    ],
)
def test_a_broken_connection_is_told_as_such(script: Any) -> None:
    with raw_server(script) as root:
        error = failure(root)
    assert error.trouble is Trouble.UNREACHABLE
    assert "the connection broke" in str(error)


def test_nobody_there() -> None:
    with raw_server(lambda _: None) as root:
        pass
    error = failure(root)
    assert error.trouble is Trouble.UNREACHABLE
    assert "cannot connect" in str(error)


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    with raw_server(lambda c: c.send(http(b"x", "Content-Encoding: br"))) as root:
        assert failure(root).trouble is Trouble.UNLAWFUL


def test_a_redirect_is_not_followed() -> None:
    followed = []

    def answer(connection: Any) -> None:
        followed.append(connection.request.split()[1])
        connection.send(http(b"", "Location: /elsewhere", status="302 Found"))

    with raw_server(answer) as root:
        error = failure(root)
    assert error.trouble is Trouble.UNLAWFUL
    assert followed == [b"/api/v1/x?limit=1"]


def test_nothing_is_sent_twice() -> None:
    asked = []

    def answer(connection: Any) -> None:
        asked.append(1)
        connection.send(http(b"{}", status="503 Trouble"))

    with raw_server(answer) as root:
        failure(root)
    assert asked == [1]


def test_the_wish_to_be_left_alone_is_passed_on() -> None:
    with raw_server(lambda c: c.send(http(b"{}", "Retry-After: 17", status="429 Slow"))) as root:
        error = failure(root)
    assert error.trouble is Trouble.THROTTLED
    assert error.retry_after.total_seconds() == 17


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda c: c.send(http(b" " * 3_000_000)), id="plain"),
        pytest.param(lambda c: c.send(http(gzip.compress(b" " * 3_000_000), "Content-Encoding: gzip")), id="packed"),
        pytest.param(lambda c: c.send(http(bomb(64), "Content-Encoding: gzip")), id="a bomb"),
        pytest.param(lambda c: (c.send(HEAD + b"\r\n"), c.drip(b" " * 500_000, 0)), id="without end"),
    ],
)
def test_a_body_over_the_cap_is_not_read_to_its_end(script: Any) -> None:
    with raw_server(script) as root:
        error = failure(root, most_bytes=2_000_000)
    assert isinstance(error, TooLargeError)
    assert error.trouble is Trouble.UNLAWFUL


def test_an_error_with_an_endless_body_is_still_that_error() -> None:
    def answer(connection: Any) -> None:
        connection.send(b'HTTP/1.1 429 Slow\r\nRetry-After: 3\r\n\r\n{"a":"')
        connection.drip(b"x" * 100_000, 0)

    with raw_server(answer) as root:
        assert failure(root).trouble is Trouble.THROTTLED


@pytest.mark.parametrize("key", ["lsv2_sk_very-secret\r\nX-Evil: 1", "lsv2_sk_very-secret\n", "lsv2_sk_very-secret\0"])
def test_a_key_that_no_header_can_carry_is_not_told(key: Any) -> None:
    with raw_server(lambda c: c.send(http(b"[]"))) as root, pytest.raises(SourceError) as caught:
        read(root, key=key)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not any("secret" in str(error) for error in chain if error)


def test_few_large_bodies_are_held_at_a_time_and_small_ones_pass() -> None:
    large = b" " * 2_000_000

    def answer(connection: Any) -> None:
        connection.send(http(large if b"/large" in connection.request else b"[]"))

    with raw_server(answer) as root:
        shared = client(root)
        holding = threading.Semaphore(0)
        done = threading.Event()

        def hold() -> None:
            with shared.get("/large", what="reading"):
                holding.release()
                done.wait(60)

        threads = [threading.Thread(target=hold) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            assert holding.acquire(timeout=60)
        assert not holding.acquire(timeout=0.2)
        with shared.get("/small", what="reading") as found:
            assert bytes(found.body) == b"[]"
        done.set()
        for thread in threads:
            thread.join(60)
        assert holding.acquire(timeout=60)
        assert holding.acquire(timeout=60)


def test_closing_frees_whoever_waits_at_once() -> None:
    asked = threading.Event()

    def answer(connection: Any) -> None:
        asked.set()
        connection.over.wait(30)

    with raw_server(answer) as root:
        shared = client(root, deadline_seconds=30)
        found = []

        def ask() -> None:
            try:
                with shared.get("/x", what="reading"):
                    pass
            except StoppingError as error:
                found.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(60)
        begin = time.perf_counter()
        shared.close()
        thread.join(60)
        assert time.perf_counter() - begin < 15
        assert found[0].trouble is Trouble.UNREACHABLE
        with pytest.raises(StoppingError, match="stopping"), shared.get("/x", what="reading"):
            pass


def test_closing_frees_whoever_waits_for_a_turn() -> None:
    with raw_server(lambda c: c.send(http(b"[]"))) as root:
        shared = client(root, requests_per_second=0.01)
        with shared.get("/x", what="reading"):
            pass
        thread = threading.Timer(0.1, shared.close)
        thread.start()
        with pytest.raises(StoppingError, match="stopping"), shared.get("/x", what="reading"):
            pass
        thread.join()


def test_several_members_are_one_body() -> None:
    members = gzip.compress(b"[1, ") + gzip.compress(b"2]")
    with raw_server(lambda c: c.send(http(members, "Content-Encoding: gzip"))) as root:
        assert read(root) == b"[1, 2]"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(b"x" * 1000)[:-9], id="half a packed body"),
        pytest.param(gzip.compress(b"[1, ") + b"2]", id="half packed"),
        pytest.param(b"not gzip", id="not packed at all"),
    ],
)
def test_a_packed_body_that_is_broken_is_told_as_such(body: bytes) -> None:
    with raw_server(lambda c: c.send(http(body, "Content-Encoding: gzip"))) as root:
        error = failure(root)
    assert error.trouble is Trouble.UNREACHABLE
    assert "the packed answer" in str(error)


def marked(*bodies: bytes) -> list[bytes]:
    """The mark of each of these answers."""
    left = list(bodies)
    with raw_server(lambda c: c.send(left.pop(0))) as root, contextlib.closing(client(root)) as shared:
        found = []
        for _ in bodies:
            with shared.get("/", what="reading", known=()) as answer:
                found.append(answer.mark)
        return found


def packed(body: bytes, at: int = 1) -> bytes:
    return http(gzip.compress(body, mtime=at), "Content-Encoding: gzip")


def test_the_same_body_has_the_same_mark_whenever_it_was_packed() -> None:
    first, again, other = marked(packed(b"[1]"), packed(b"[1]", at=1_790_000_000), packed(b"[2]"))
    assert first == again != other


def test_any_other_byte_gives_another_mark() -> None:
    body = b'[{"a": 1}, 2]'
    others = [body[:at] + b"x" + body[at + 1 :] for at in range(len(body))]
    first, again, *found = marked(*map(http, (body, body, *others)))
    assert first == again
    assert len({first, *found}) == 1 + len(others)


def test_a_known_body_is_not_unpacked_and_any_other_is() -> None:
    bodies = [b"[1]", b"[1]", b"[2]", b"[]"]
    with raw_server(lambda c: c.send(http(bodies.pop(0)))) as root, contextlib.closing(client(root)) as shared:
        with shared.get("/", what="reading", known=()) as first:
            assert (bytes(first.body), first.is_known) == (b"[1]", False)
        with shared.get("/", what="reading", known={first.mark}) as again:
            assert (bytes(again.body), again.is_known) == (b"", True)
        with shared.get("/", what="reading", known={first.mark}) as other:
            assert (bytes(other.body), other.is_known) == (b"[2]", False)
        with shared.get("/", what="reading") as unmarked:
            assert unmarked.mark == b""


def test_the_region_is_doubted_as_long_as_nothing_was_answered() -> None:
    answers = [
        http(b'{"error":"Forbidden"}', status="403 F"),
        http(b"[]"),
        http(b'{"error":"Forbidden"}', status="403 F"),
    ]
    with raw_server(lambda c: c.send(answers.pop(0))) as root, contextlib.closing(client(root)) as shared:
        with pytest.raises(SourceError, match="check LANGSMITH_ENDPOINT first"), shared.get("/", what="reading"):
            pass
        with shared.get("/", what="reading"):
            pass
        with pytest.raises(SourceError, match="the key may not read this"), shared.get("/", what="reading"):
            pass
