"""One HTTP client for all queues: budget, total deadline, cap on decoded bytes; no redirect, no second try."""

from __future__ import annotations

import contextlib
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from worker.core.ports import SourceError, Trouble
from worker.sources.budget import Budget
from worker.sources.deadline import Backend, Deadline
from worker.sources.errors import TooLargeError, from_status, unlawful
from worker.sources.inflate import inflated
from worker.sources.transport import PooledTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.core.ports import Clock

DEADLINE_SECONDS = 30.0
MOST_BYTES = 64 * 1024 * 1024
ERROR_BYTES = 64 * 1024
LARGE_BYTES = 1024 * 1024
LARGE_AT_ONCE = 4
OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A success with its whole body, decoded. `headers` are case-insensitive."""

    headers: Mapping[str, str]
    body: bytearray


class Http:
    """Reads from LangSmith. Thread-safe. Every failure is a SourceError that names what was read, never the key."""

    def __init__(  # noqa: PLR0913  (plain values from the settings, all by name)
        self,
        *,
        root: str,
        key: str,
        workspace_id: str,
        requests_per_second: float,
        clock: Clock,
        deadline_seconds: float = DEADLINE_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._root = httpx.URL(root)
        self._clock = clock
        self._seconds = deadline_seconds
        self.most_bytes = most_bytes
        self._stopping = threading.Event()
        self._budget = Budget(per_second=requests_per_second, clock=clock, wait=self._stopping.wait)
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._deadline = Deadline(clock)
        self._backend = Backend(self._deadline)
        self._client = httpx.Client(
            base_url=self._root,
            headers=_headers(key, workspace_id),
            transport=PooledTransport(self._root, self._backend),
            timeout=deadline_seconds,
            follow_redirects=False,
        )

    @contextlib.contextmanager
    def get(
        self, path: str, params: Mapping[str, str | int] | None = None, *, what: str, seconds: float | None = None
    ) -> Iterator[Answer]:
        """Read `path` below the root. `what` names it in errors. Leave the context as soon as the body is decoded."""
        request = self._client.build_request("GET", path, params=params)
        with self._answer(request, what, seconds) as answer:
            yield answer

    @contextlib.contextmanager
    def post(self, path: str, body: Any, *, what: str, seconds: float | None = None) -> Iterator[Answer]:  # noqa: ANN401
        """Ask with a JSON body; only for questions that change nothing."""
        request = self._client.build_request("POST", path, json=body)
        with self._answer(request, what, seconds) as answer:
            yield answer

    def close(self) -> None:
        """Break off whatever is under way; its callers get a SourceError at once."""
        self._stopping.set()
        self._backend.break_off()
        self._client.close()

    @contextlib.contextmanager
    def _answer(self, request: httpx.Request, what: str, seconds: float | None) -> Iterator[Answer]:
        self._budget.turn()
        if self._stopping.is_set():
            raise SourceError(f"{what}: the worker is stopping", Trouble.UNREACHABLE)
        with contextlib.ExitStack() as held:
            yield self._read(request, what, seconds or self._seconds, held)

    def _read(self, request: httpx.Request, what: str, seconds: float, held: contextlib.ExitStack) -> Answer:
        """Send and read everything, or raise. What the memory of a large body costs is `held` until it is decoded."""
        self._deadline.begin(seconds)
        try:
            response = self._client.send(request, stream=True)
            with contextlib.closing(response):
                if response.status_code != OK:
                    raise from_status(
                        what, response.status_code, response.headers, self._error_body(response), self._clock.now()
                    )
                return Answer(response.headers, self._body(response, what, held))
        except (httpcore.TimeoutException, httpx.TimeoutException):
            problem = f"no whole answer within {seconds:g} s"
        except (httpcore.ConnectError, httpcore.ProxyError) as error:
            problem = f"cannot connect ({error})"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.TransportError, zlib.error, OSError) as error:
            # The text of these may quote a header, so only their kind is told.
            problem = f"the connection broke ({type(error).__name__})"
        raise SourceError(
            f"{what}: {problem}; check LANGSMITH_ENDPOINT and the network if this goes on", Trouble.UNREACHABLE
        )

    def _body(self, response: httpx.Response, what: str, held: contextlib.ExitStack) -> bytearray:
        body = bytearray()
        is_large = False
        for piece in _pieces(response, what):
            body += piece
            if len(body) > self.most_bytes:
                megabytes = self.most_bytes // 1024 // 1024
                raise TooLargeError(f"{what}: the answer is larger than {megabytes} MB", Trouble.UNLAWFUL)
            if not is_large and len(body) > LARGE_BYTES:
                is_large = True
                self._hold_a_large_body(held)
        return body

    def _hold_a_large_body(self, held: contextlib.ExitStack) -> None:
        """Few large bodies at a time; a server that sends little or nothing takes no place of theirs."""
        before = self._clock.monotonic()
        held.enter_context(self._large)
        self._deadline.extend(self._clock.monotonic() - before)

    @staticmethod
    def _error_body(response: httpx.Response) -> bytes:
        body = b""
        try:
            for piece in _pieces(response, "an error"):
                body += piece
                if len(body) > ERROR_BYTES:
                    break
        except (SourceError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, zlib.error):
            return body
        return body


def _headers(key: str, workspace_id: str) -> dict[bytes, bytes]:
    headers = {
        b"X-API-Key": key.encode(),
        b"Accept": b"application/json",
        b"Accept-Encoding": b"gzip",
        b"User-Agent": b"langsmith-review-notifier",
    }
    return headers | ({b"X-Tenant-Id": workspace_id.encode()} if workspace_id else {})


def _pieces(response: httpx.Response, what: str) -> Iterator[bytes]:
    """The decoded body in pieces of bounded size, whatever it is packed into."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return response.iter_raw()
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return inflated(response.iter_raw())
    raise unlawful(what, "the answer is in an encoding that was not asked for")
