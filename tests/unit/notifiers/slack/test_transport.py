"""Slack's client over a raw socket: what goes out, how often, and what is known when nothing comes back."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest
from slack_sdk.errors import SlackApiError, SlackRequestError

from worker.notifiers.slack import transport as slack_transport
from worker.notifiers.slack.errors import NoAnswer
from worker.notifiers.slack.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "xoxb-marked-secret"
PATIENCE = 1.5


@dataclass
class Listener:
    """Answers every connection with the same bytes and keeps what it heard; `waits` leaves hanging up to the caller."""

    answer: bytes
    heard: list[bytes] = field(default_factory=list)
    hung_up: list[bool] = field(default_factory=list)
    waits: bool = False
    root: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def serve(self, listening: socket.socket) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    self._treat(connection)

    def _treat(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        request = b""
        while not _is_whole(request) and (part := connection.recv(65_536)):
            request += part
        self.heard.append(request)
        connection.sendall(self.answer)
        if self.waits:
            self.hung_up.append(connection.recv(1) == b"")


def _is_whole(request: bytes) -> bool:
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    is_http = not request or request.startswith(b"P")
    return not is_http or (length is not None and len(body) == int(length[1]))


@contextlib.contextmanager
def listening(answer: bytes, *, waits: bool = False) -> Iterator[Listener]:
    listener = Listener(answer, waits=waits)
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener.root = f"http://127.0.0.1:{server.getsockname()[1]}/api/"
        thread = threading.Thread(target=listener.serve, args=(server,), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.stopped.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@contextlib.contextmanager
def client(root: str, seconds: float = PATIENCE) -> Iterator[Transport]:
    with contextlib.closing(Transport(TOKEN, base_url=root, seconds=seconds)) as made:
        yield made


def http(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def test_a_call_goes_out_once_as_json_with_the_token_in_the_header_alone() -> None:
    with listening(http(b'{"ok":true,"ts":"1.2","channel":"C1"}')) as server, client(server.root) as slack:
        answer = slack.chat_postMessage(channel="C1", text="é", thread_ts=None)
    head, body = server.heard[0].split(b"\r\n\r\n", 1)
    assert answer["ts"] == "1.2"
    assert head.startswith(b"POST /api/chat.postMessage HTTP/1.1\r\n")
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert b"Accept-Encoding: identity" in head
    assert body == '{"channel": "C1", "text": "é"}'.encode()
    assert len(server.heard) == 1


def test_a_read_goes_out_as_a_form_without_what_was_not_given() -> None:
    with listening(http(b'{"ok":true}')) as server, client(server.root) as slack:
        slack.conversations_history(channel="C1", include_all_metadata=True, limit=5)
    body = server.heard[0].split(b"\r\n\r\n", 1)[1].decode()
    assert dict(parse_qsl(body)) == {"channel": "C1", "include_all_metadata": "true", "limit": "5"}


def test_no_connection_is_kept_for_slack_to_close_unseen() -> None:
    with listening(http(b'{"ok":true}'), waits=True) as server, client(server.root) as slack:
        slack.auth_test()
        slack.auth_test()
    assert server.hung_up == [True, True]


def test_no_answer_tells_what_must_be_hidden() -> None:
    body = rb'{"ok":true,"ts":"1.2","error":"x\u006fxb-marked-secret","x":[{"deep":["a xoxb-marked-secret b",1,null]}]}'
    hiding = partial(Transport, TOKEN, hide=lambda text: text.replace(TOKEN, "[redacted]"))
    with listening(http(body)) as server, contextlib.closing(hiding(base_url=server.root, seconds=PATIENCE)) as slack:
        answer = slack.auth_test().data
    hidden = {"error": "[redacted]", "x": [{"deep": ["a [redacted] b", 1, None]}]}
    assert answer == {"ok": True, "ts": "1.2", **hidden}


def test_another_token_can_be_given_for_one_call() -> None:
    with listening(http(b'{"ok":true}')) as server, client(server.root) as slack:
        slack.apps_connections_open(app_token="xapp-1")
    assert b"Authorization: Bearer xapp-1" in server.heard[0]
    assert TOKEN.encode() not in server.heard[0]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[1]", b"null", b'{"ok":', b"[" * 200_000, b"\xff\xfe\x00", b"9" * 10_000],
    ids=["empty", "a page", "a list", "null", "half", "deep", "not Unicode", "a huge number"],
)
def test_what_is_no_json_object_is_an_answer_without_data(body: bytes) -> None:
    with (
        listening(http(body)) as server,
        client(server.root) as slack,
        pytest.raises(SlackApiError) as caught,
    ):
        slack.auth_test()
    assert caught.value.response.data == {}
    assert caught.value.response.status_code == 200


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param(b"", "broken", id="nothing"),
        pytest.param(b"HTTP/1.1 2", "broken", id="half a status line"),
        pytest.param(b"SSH-2.0\r\n\r\n", "broken", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "broken", id="half a body"),
        pytest.param(http(b"not gzip", headers="Content-Encoding: gzip\r\n"), "unreadable", id="a wrong encoding"),
        pytest.param(http(b"x" * (slack_transport.BODY_LIMIT + 1)), "too_large", id="too much"),
    ],
)
def test_no_lawful_answer_may_mean_that_it_is_done(answer: bytes, word: str) -> None:
    with listening(answer) as server, client(server.root) as slack, pytest.raises(NoAnswer) as caught:
        slack.chat_postMessage(channel="C1", text="x")
    assert (caught.value.kind, caught.value.may_be_done) == (word, True)
    assert len(server.heard) == 1
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("written", [0, 1], ids=["nothing was", "the head was"])
def test_what_is_too_late_is_never_written_whole_and_not_done(written: int) -> None:
    answers = iter([True] * written + [False])
    with listening(http(b'{"ok": true}')) as slack, client(slack.root) as web:
        with pytest.raises(NoAnswer) as caught:
            web.asking(lambda: next(answers)).chat_postMessage(channel="C1", text="late")
        assert (caught.value.kind, caught.value.may_be_done) == ("too_late", False)
        assert web.api_test().data == {"ok": True}
    assert not any(b"late" in heard for heard in slack.heard)


def test_what_never_left_is_not_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with client(f"http://127.0.0.1:{port}/api/") as slack, pytest.raises(NoAnswer) as caught:
        slack.auth_test()
    assert (caught.value.kind, caught.value.may_be_done) == ("connect", False)


def test_a_server_that_speaks_no_tls_was_not_told_anything() -> None:
    with (
        listening(http(b'{"ok":true}')) as server,
        client(server.root.replace("http:", "https:")) as slack,
        pytest.raises(NoAnswer) as caught,
    ):
        slack.auth_test()
    assert (caught.value.kind, caught.value.may_be_done) == ("tls", False)
    assert all(TOKEN.encode() not in heard for heard in server.heard)


def test_headers_that_drip_end_at_the_total_deadline() -> None:
    """Every byte comes well within the time-out of a read, and the head never ends."""
    with _dripping() as root, client(root) as slack, pytest.raises(NoAnswer) as caught:
        slack.auth_test()
    assert (caught.value.kind, caught.value.may_be_done) == ("deadline", True)


@pytest.mark.parametrize("how", [{"files": {"file": "x"}}, {"auth": {"client_id": "x"}}])
def test_what_it_cannot_send_it_refuses(how: dict[str, dict[str, str]]) -> None:
    with client("http://127.0.0.1:1/") as slack, pytest.raises(SlackRequestError):
        slack.api_call("files.upload", **how)


@contextlib.contextmanager
def _dripping() -> Iterator[str]:
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not stop.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/api/"
        stop.set()
        thread.join(5)
