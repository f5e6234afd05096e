"""One HTTP client for all queues: budget, total deadline, cap on unpacked bytes; no redirect, no second try."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from worker.core.ports import SourceError, Trouble
from worker.sources.budget import Budget
from worker.sources.deadline import Backend, Deadline
from worker.sources.errors import TooLargeError, from_status, unlawful
from worker.sources.inflate import inflated
from worker.sources.skew import Skew
from worker.sources.transport import PooledTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from worker.core.ports import Clock
    from worker.sources.inflate import Buffer

DEADLINE_SECONDS = 30.0
MOST_BYTES = 64 * 1024 * 1024
ERROR_BYTES = 64 * 1024
LARGE_BYTES = 1024 * 1024
PACKED_BYTES = 4 * 1024 * 1024
"""A larger body is unpacked while it comes, and what came is not kept."""

PIECE_BYTES = 64 * 1024
GZIP = b"\x1f\x8b"
GZIP_TIME = slice(4, 8)
"""Where a gzip member says when it was packed (RFC 1952): some servers write the present second there."""

LARGE_AT_ONCE = 4
OK = 200


@dataclass(frozen=True, slots=True)
class Packed:
    """A body as it came."""

    raw: bytes
    encoding: str

    @property
    def mark(self) -> bytes:
        """A digest: the same for the same answer, and for no other but for the time at which gzip packed it."""
        whole = memoryview(self.raw)
        digest = hashlib.sha256(self.encoding.encode() + b"\n", usedforsecurity=False)
        digest.update(whole[: GZIP_TIME.start])
        digest.update(whole[GZIP_TIME.stop if self.raw.startswith(GZIP) else GZIP_TIME.start :])
        return digest.digest()

    def pieces(self) -> Iterator[memoryview]:
        """The body in pieces that are as small as if they came from the network."""
        whole = memoryview(self.raw)
        return (whole[at : at + PIECE_BYTES] for at in range(0, len(whole), PIECE_BYTES))


@dataclass(frozen=True, slots=True)
class Answer:
    """A success with its whole body, unpacked. `headers` are case-insensitive.

    `packed` is the body as it came, None where that is large, and `mark` its digest where one was asked for.
    Where the body is a known one `is_known`, and it has not been unpacked.
    """

    headers: Mapping[str, str]
    body: bytearray
    packed: Packed | None = None
    mark: bytes = b""
    is_known: bool = False


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
        self.skew = Skew(clock)
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
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        what: str,
        seconds: float | None = None,
        known: bytes | None = None,
    ) -> Iterator[Answer]:
        """Read `path` below the root. `what` names it in errors. Leave the context as soon as the body is decoded.

        `known` is the mark of a body that need not be unpacked, b"" of none; None where no mark is wanted.
        """
        request = self._client.build_request("GET", path, params=params)
        with self._answer(request, what, seconds, known) as answer:
            yield answer

    @contextlib.contextmanager
    def post(self, path: str, body: Any, *, what: str, seconds: float | None = None) -> Iterator[Answer]:  # noqa: ANN401
        """Ask with a JSON body; only for questions that change nothing."""
        request = self._client.build_request("POST", path, json=body)
        with self._answer(request, what, seconds) as answer:
            yield answer

    @contextlib.contextmanager
    def unpacked(self, packed: Packed, *, what: str) -> Iterator[bytearray]:
        """The body of an answer that was kept as it came. Leave the context as soon as it is decoded."""
        with contextlib.ExitStack() as held:
            yield self._body(packed.pieces(), packed.encoding, what, lambda: held.enter_context(self._large))

    def close(self) -> None:
        """Break off whatever is under way; its callers get a SourceError at once."""
        self._stopping.set()
        self._backend.break_off()
        self._client.close()

    @contextlib.contextmanager
    def _answer(
        self, request: httpx.Request, what: str, seconds: float | None, known: bytes | None = None
    ) -> Iterator[Answer]:
        self._budget.turn()
        if self._stopping.is_set():
            raise SourceError(f"{what}: the worker is stopping", Trouble.UNREACHABLE)
        with contextlib.ExitStack() as held:
            yield self._read(request, what, seconds or self._seconds, known, held)

    def _read(
        self, request: httpx.Request, what: str, seconds: float, known: bytes | None, held: contextlib.ExitStack
    ) -> Answer:
        """Send and read everything, or raise. What the memory of a large body costs is `held` until it is decoded."""
        self._deadline.begin(seconds)
        try:
            response = self._client.send(request, stream=True)
            with contextlib.closing(response):
                if response.status_code != OK:
                    raise from_status(
                        what, response.status_code, response.headers, self._error_body(response), self._clock.now()
                    )
                self.skew.heard(response.headers)
                return self._received(response, what, known, held)
        except (httpcore.TimeoutException, httpx.TimeoutException):
            problem = f"no whole answer within {seconds:g} s"
        except (httpcore.ConnectError, httpcore.ProxyError) as error:
            problem = f"cannot connect ({error})"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.TransportError, OSError) as error:
            problem = _broke(error)
        raise _unreachable(what, problem)

    def _received(self, response: httpx.Response, what: str, known: bytes | None, held: contextlib.ExitStack) -> Answer:
        """Receive the whole body: as it comes, where that is small enough to be kept, else unpacked at once."""
        encoding = response.headers.get("content-encoding", "").strip().lower()
        coming = response.iter_raw()
        packed = Packed(_beginning(coming), encoding)
        is_whole = len(packed.raw) <= PACKED_BYTES
        mark = packed.mark if is_whole and known is not None else b""
        if mark and mark == known:
            return Answer(response.headers, bytearray(), packed, mark, is_known=True)
        pieces: Iterable[Buffer] = packed.pieces() if is_whole else chain["Buffer"](packed.pieces(), coming)
        body = self._body(pieces, encoding, what, lambda: self._hold_a_large_body(held))
        return Answer(response.headers, body, packed if is_whole else None, mark)

    def _body(self, pieces: Iterable[Buffer], encoding: str, what: str, hold: Callable[[], object]) -> bytearray:
        """Unpack everything; `hold` is called before the memory of a large body is used."""
        body = bytearray()
        is_large = False
        try:
            for piece in _unpacked(pieces, encoding, what):
                body += piece
                if len(body) > self.most_bytes:
                    megabytes = self.most_bytes // 1024 // 1024
                    raise TooLargeError(f"{what}: the answer is larger than {megabytes} MB", Trouble.UNLAWFUL)
                if not is_large and len(body) > LARGE_BYTES:
                    is_large = True
                    hold()
        except zlib.error as error:
            raise _unreachable(what, _broke(error)) from None
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
            encoding = response.headers.get("content-encoding", "").strip().lower()
            for piece in _unpacked(response.iter_raw(), encoding, "an error"):
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


def _beginning(coming: Iterator[bytes]) -> bytes:
    """What comes until it is more than can be kept."""
    raw = bytearray()
    for piece in coming:
        raw += piece
        if len(raw) > PACKED_BYTES:
            break
    return bytes(raw)


def _unpacked(raw: Iterable[Buffer], encoding: str, what: str) -> Iterable[Buffer]:
    """The unpacked body in pieces of bounded size, whatever it is packed into."""
    if encoding in {"", "identity"}:
        return raw
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return inflated(raw)
    raise unlawful(what, "the answer is in an encoding that was not asked for")


def _broke(error: Exception) -> str:
    """The text of these errors may quote a header, so only their kind is told."""
    return f"the connection broke ({type(error).__name__})"


def _unreachable(what: str, problem: str) -> SourceError:
    text = f"{what}: {problem}; check LANGSMITH_ENDPOINT and the network if this goes on"
    return SourceError(text, Trouble.UNREACHABLE)
