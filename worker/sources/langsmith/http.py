"""LangSmith over HTTP: the budget of requests, what is kept of an answer, what a failure means for a poll."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct

from worker.core.ports import SourceError, StoppingError, Trouble
from worker.net.client import Client, Request
from worker.net.failures import FailureKind, NetError
from worker.net.response import read_whole
from worker.net.route import DIRECT
from worker.sources.langsmith.choice import date
from worker.sources.langsmith.errors import TooLargeError, from_status, unlawful, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from uuid import UUID

    from worker.core.ports import Clock
    from worker.net.response import Buffer, Response
    from worker.net.route import Route

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


class Answer(Struct, frozen=True):
    """A success with its whole body, unpacked. `headers` have names in lower case.

    `mark` is the digest of the body as it came where one was asked for, b"" where that is large. Of a known body
    (`is_known`) nothing has been unpacked.
    """

    headers: Mapping[str, str]
    body: bytearray
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
        route: Route = DIRECT,
    ) -> None:
        self._workspace_id = workspace_id
        self._clock = clock
        self._seconds = deadline_seconds
        self.skew = Skew(clock)
        self.most_bytes = most_bytes
        self._is_known = False
        self._stopping = threading.Event()
        self._budget = Budget(per_second=requests_per_second, clock=clock, wait=self._stopping.wait)
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._client = Client(root, clock=clock, route=route, headers=_headers(key, workspace_id))

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        what: str,
        seconds: float | None = None,
        known: Container[bytes] | None = None,
    ) -> AbstractContextManager[Answer]:
        """Read `path` below the root. `what` names it in errors. Leave the context as soon as the body is decoded.

        `known` are the marks of bodies that need not be unpacked; None where no mark is wanted.
        """
        return self._answer(Request("GET", path, params=params), what, seconds, known)

    def post(
        self,
        path: str,
        body: Any,  # noqa: ANN401 - whatever JSON can hold
        *,
        what: str,
        tenant_id: UUID | None = None,
        seconds: float | None = None,
    ) -> AbstractContextManager[Answer]:
        """Ask with a JSON body; only for questions that change nothing.

        `tenant_id` is the workspace to ask in where the settings name none.
        """
        headers = {"X-Tenant-Id": str(tenant_id)} if tenant_id and not self._workspace_id else None
        return self._answer(Request("POST", path, headers=headers, json=body), what, seconds)

    def close(self) -> None:
        """Break off whatever is under way; its callers get a StoppingError at once."""
        self._stopping.set()
        self._client.close()

    @contextlib.contextmanager
    def _answer(
        self, request: Request, what: str, seconds: float | None, known: Container[bytes] | None = None
    ) -> Iterator[Answer]:
        # Before the check below: a turn may take long, and the worker may be stopping by then.
        self._budget.turn()
        if self._stopping.is_set():
            raise _stopping(what)
        with contextlib.ExitStack() as held:
            yield self._read(request, what, seconds or self._seconds, known, held)

    def _read(
        self, request: Request, what: str, seconds: float, known: Container[bytes] | None, held: contextlib.ExitStack
    ) -> Answer:
        """Send and read everything, or raise. What the memory of a large body costs is `held` until it is decoded."""
        try:
            with self._client.send(request, seconds=seconds, is_safe=True) as response:
                if response.status != OK:
                    body = response.beginning(ERROR_BYTES)
                    now = self._clock.now()
                    raise from_status(what, response.status, response.headers, body, now, is_known=self._is_known)
                # A key that was accepted once is no stranger: what is refused later is a right, not the region.
                self._is_known = True
                # Now, not after the body: a slow one would look like a clock that is ahead.
                self.skew.heard(response.headers)
                return self._received(response, what, known, held)
        # Raised outside of the handler, so that no traceback holds the request with its key.
        except NetError as error:
            failure = _stopping(what) if self._stopping.is_set() else unreachable(what, error)
        raise failure

    def _received(
        self, response: Response, what: str, known: Container[bytes] | None, held: contextlib.ExitStack
    ) -> Answer:
        """Receive the whole body: as it comes, where that is small enough, else unpacked at once."""
        raw = _beginning(response.raw)
        is_whole = len(raw) <= PACKED_BYTES
        # The packed bytes: to know a page again must not cost its unpacking.
        mark = _mark(raw, response.encoding) if is_whole and known is not None else b""
        if mark and known is not None and mark in known:
            return Answer(response.headers, bytearray(), mark, is_known=True)
        pieces: Iterable[Buffer] = _pieces(raw) if is_whole else chain["Buffer"](_pieces(raw), response.raw)
        return Answer(response.headers, self._body(pieces, response.encoding, what, held), mark)

    def _body(self, pieces: Iterable[Buffer], encoding: str, what: str, held: contextlib.ExitStack) -> bytearray:
        """Unpack everything, and count as a large body from there on; few of them are held at a time."""
        is_large = False

        def grown(size: int) -> None:
            nonlocal is_large
            if not is_large and size > LARGE_BYTES:
                is_large = True
                self._hold_a_large_body(held)

        try:
            return read_whole(pieces, encoding, most=self.most_bytes, grown=grown)
        except NetError as error:
            failure = _unusable(what, error)
        raise failure

    def _hold_a_large_body(self, held: contextlib.ExitStack) -> None:
        """Few large bodies at a time; a server that sends little or nothing takes no place of theirs."""
        before = self._clock.monotonic()
        held.enter_context(self._large)
        # The wait for a place is ours and not the server's: its deadline moves by so much.
        self._client.extend(self._clock.monotonic() - before)


def _unusable(what: str, error: NetError) -> SourceError:
    """What a body means for a poll that cannot be used."""
    match error.kind:
        case FailureKind.TOO_LARGE:
            return TooLargeError(f"{what}: {error}", Trouble.UNLAWFUL)
        case FailureKind.ENCODING:
            return unlawful(what, str(error))
        case _:
            return unreachable(what, error)


def _headers(key: str, workspace_id: str) -> dict[bytes, bytes]:
    headers = {
        b"X-API-Key": key.encode(),
        b"Accept": b"application/json",
        b"Accept-Encoding": b"gzip",
        b"User-Agent": b"langsmith-review-notifier",
    }
    return headers | ({b"X-Tenant-Id": workspace_id.encode()} if workspace_id else {})


def _mark(raw: bytes, encoding: str) -> bytes:
    """A digest: the same for the same answer, and for no other but for the time at which gzip packed it."""
    whole = memoryview(raw)
    digest = hashlib.sha256(encoding.encode() + b"\n", usedforsecurity=False)
    digest.update(whole[: GZIP_TIME.start])
    # Where nothing is packed, no bytes are left out.
    digest.update(whole[GZIP_TIME.stop if raw.startswith(GZIP) else GZIP_TIME.start :])
    return digest.digest()


def _pieces(raw: bytes) -> Iterator[memoryview]:
    """A body in pieces that are as small as if they came from the network."""
    whole = memoryview(raw)
    return (whole[at : at + PIECE_BYTES] for at in range(0, len(whole), PIECE_BYTES))


def _beginning(coming: Iterator[bytes]) -> bytes:
    """What comes until it is more than can be kept."""
    raw = bytearray()
    for piece in coming:
        raw += piece
        if len(raw) > PACKED_BYTES:
            break
    return bytes(raw)


def _stopping(what: str) -> StoppingError:
    return StoppingError(f"{what}: the worker is stopping", Trouble.UNREACHABLE)


class Budget:
    """Spreads requests evenly: one every `1 / per_second`, without bursts, first come, first served. Thread-safe.

    A queue of many pages asks for one turn after the other, so its turns interleave with those of all other queues.
    """

    def __init__(self, *, per_second: float, clock: Clock, wait: Callable[[float], object]) -> None:
        """`wait` passes a number of seconds, or returns early where the program stops."""
        self._gap = 1 / per_second
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._next = float("-inf")

    def turn(self) -> None:
        """Return when the next request may be sent."""
        # Reserved under the lock and waited for outside of it, so that others can reserve meanwhile.
        wait = self._reserve()
        if wait > 0:
            self._wait(wait)

    def _reserve(self) -> float:
        with self._lock:
            now = self._clock.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
            return at - now


log = structlog.get_logger(__name__)

TOLERANCE = timedelta(minutes=5)
"""So far two clocks may differ before it matters which of them ages are judged by."""

AGREES = TOLERANCE / 2
"""A clock that was wrong is right again when it differs by less: one at the edge is reported once."""

NOTHING = timedelta(0)

PLAUSIBLE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""A clock that says anything else is not one to judge ages by."""


class Skew:
    """Our clock against that of the server."""

    def __init__(self, clock: Clock) -> None:
        """Until somebody has answered, our clock is right."""
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead = NOTHING

    @property
    def ahead(self) -> timedelta:
        """How far our clock was ahead at the last answer; nothing where it was about right."""
        return self._ahead

    def heard(self, headers: Mapping[str, str]) -> None:
        """Compare the clocks. To be called as soon as the headers of an answer are there."""
        said = date(headers.get("date", ""))
        if said is None or not PLAUSIBLE[0] <= said < PLAUSIBLE[1]:
            return
        ahead = self._clock.now() - said
        with self._lock:
            was_wrong = self._ahead != NOTHING
            is_wrong = abs(ahead) > (AGREES if was_wrong else TOLERANCE)
            self._ahead = ahead if is_wrong else NOTHING
            if is_wrong and not was_wrong:
                fix = "run NTP on this machine; if its clock is right, LangSmith's is wrong"
                log.warning("clock_differs", seconds=round(ahead.total_seconds()), fix=fix)
            elif was_wrong and not is_wrong:
                log.info("clock_agrees")
