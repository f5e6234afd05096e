"""One request and its reply: read from bytes as the standard library reads them, and written to bytes."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json; charset=utf-8"
LARGEST_HEAD = 16 << 10
LARGEST_BODY = 4 << 10
"""Bytes of a request's body: a small form is all that is ever sent to us."""

_TWICE = ("host", "content-length", "authorization", "origin")
"""Headers that must not come twice: which of the two is meant is a guess."""


class PageRequest(Struct, frozen=True):
    """A whole request. `path` is as it was sent, without the query; names of headers are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        """The value of a header; empty where it is not there."""
        return self.headers.get(name, "")


class Reply(Struct, frozen=True):
    """The status, content type and body of an answer, with further headers.

    `is_stale` asks whoever sends it to have its page made again for those who come next.
    """

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    is_stale: bool = False


class HttpExchange(BaseHTTPRequestHandler):
    """The standard library's reading of a request, and the answer to it, without a connection."""

    server_version = "review-notifier"
    sys_version = ""
    default_request_version = "HTTP/1.0"  # also what is no HTTP gets an answer with a status

    def __init__(self, head: bytes, *, posts: bool) -> None:
        """Read the head of a request; `posts` says whether anything may be sent to us at all."""
        self.rfile = BytesIO(head)
        self.wfile = self._written = BytesIO()
        self.client_address = ("", 0)
        self.requestline, self.request_version, self.command = "", "", ""
        self._methods = ("GET", "HEAD", "POST") if posts else ("GET", "HEAD")
        self._request: PageRequest | None = None
        if len(head) > LARGEST_HEAD:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self.raw_requestline = self.rfile.readline(LARGEST_HEAD + 1)
        if self.parse_request():
            self._request = self._checked()

    @property
    def written(self) -> bytes:
        """The whole answer; empty before there is one."""
        return self._written.getvalue()

    @property
    def length(self) -> int:
        """The number of bytes that the request's body has."""
        return int(self._request.header("content-length") or 0) if self._request and self.command == "POST" else 0

    def request(self, body: bytes) -> PageRequest:
        """The request with its body."""
        if self._request is None:
            raise AssertionError  # it is refused already
        return PageRequest(self._request.method, self._request.path, self._request.query, self._request.headers, body)

    def reply(self, reply: Reply) -> bytes:
        """Write an answer; the bytes of it."""
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
        return self.written

    def _checked(self) -> PageRequest | None:
        """The request without its body; None where it is refused."""
        if refusal := self._refusal():
            self.send_error(refusal)
            return None
        path, _, query = self.path.partition("?")
        return PageRequest(self.command, path, query, {name.lower(): value for name, value in self.headers.items()})

    def _refusal(self) -> HTTPStatus | None:
        if self.command not in self._methods:
            return HTTPStatus.NOT_IMPLEMENTED
        if any(len(self.headers.get_all(name, ())) > 1 for name in _TWICE):
            return HTTPStatus.BAD_REQUEST
        if self.command != "POST":
            return None
        if "transfer-encoding" in self.headers:
            return HTTPStatus.LENGTH_REQUIRED
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            return HTTPStatus.BAD_REQUEST
        # By its digits first: of a number of thousands of them Python would make none.
        return (
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if len(length) > len(str(LARGEST_BODY)) or int(length) > LARGEST_BODY
            else None
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as in http.server
        """A probe each few seconds is not worth a line."""
