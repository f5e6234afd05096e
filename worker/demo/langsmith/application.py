"""The ASGI application of the simulated LangSmith: keys, faults and headers around its endpoints."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.demo.langsmith.answers import AnswerError
from worker.demo.langsmith.faults import QueryLimit
from worker.demo.langsmith.routes import Endpoints
from worker.demo.langsmith.state import TENANT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from worker.core.ports import Clock
    from worker.demo.langsmith.faults import SourceFaults
    from worker.demo.langsmith.state import Annotations, Key

PACK_FROM = 500
INFO = "/api/v1/info"
NOT_FOUND = {"detail": "Not Found"}
_NEWEST = "/api/v2/"
"""Below this a request names its workspace, whatever its key."""


class ReceivedRequest(Struct, frozen=True):
    """One request that was received; `query` without repeated names, `at` by the monotonic clock."""

    method: str
    path: str
    query: dict[str, str]
    at: float


class Application:
    """Serves `annotations`. What may be switched is an attribute; the list of requests is thread-safe."""

    def __init__(self, annotations: Annotations, faults: SourceFaults, clock: Clock) -> None:
        """Serve everything, packed, and nothing is deprecated."""
        self._annotations = annotations
        self._faults = faults
        self._clock = clock
        self._endpoints = Endpoints(annotations)
        self._lock = threading.Lock()
        self._asked: list[ReceivedRequest] = []
        self.missing: set[str] = set()
        self.deprecated: dict[str, str] = {}
        self.packs = True
        self.queries = QueryLimit(clock)
        self.before: Callable[[ReceivedRequest], None] | None = None
        self.paths = {INFO, *(path for _, path in self._endpoints.routes())}
        self.asgi = self._build()

    def asked(self) -> Sequence[ReceivedRequest]:
        """Every request so far, the oldest first."""
        with self._lock:
            return tuple(self._asked)

    def forget(self) -> None:
        """Empty the list of requests."""
        with self._lock:
            self._asked.clear()

    def note(self, request: Request) -> ReceivedRequest:
        """Remember a request, and let happen what shall happen before it is answered."""
        asked = ReceivedRequest(request.method, request.url.path, dict(request.query_params), self._clock.monotonic())
        with self._lock:
            self._asked.append(asked)
        # Outside the lock: what happens now may ask for the requests so far.
        if self.before is not None:
            self.before(asked)
        return asked

    def _build(self) -> Starlette:
        routes = [Route(INFO, self._info)]
        for (method, path), ask in self._endpoints.routes().items():
            routes.append(Route(path, self._endpoint(path, ask), methods=[method]))
        return Starlette(
            routes=routes,
            middleware=[Middleware(Noting, application=self, faults=self._faults)],
            exception_handlers={404: _not_found, 405: _not_found},
        )

    def _endpoint(
        self, path: str, ask: Callable[[Request, Key], object]
    ) -> Callable[[Request], Coroutine[None, None, Response]]:
        async def endpoint(request: Request) -> Response:
            request.state.body = _parsed(await request.body())
            try:
                self._admit(path)
                key = self._key(request)
                self.queries.admit(path)
                self._endpoints.admit(path, request)
                return self._pack(request, ask(request, key), self._headers(path))
            except AnswerError as refused:
                return JSONResponse(refused.body, status_code=refused.status, headers=refused.headers)

        return endpoint

    def _admit(self, path: str) -> None:
        if path in self.missing:
            raise AnswerError(404, NOT_FOUND)

    def _key(self, request: Request) -> Key:
        key = self._annotations.keys.get(request.headers.get("x-api-key", ""))
        tenant = request.headers.get("x-tenant-id")
        if key is None:
            raise AnswerError(401, {"detail": "Invalid token"})
        if tenant is None and request.url.path.startswith(_NEWEST):
            raise AnswerError(403, {"error": "Forbidden"})
        if key.organisation and tenant is None:
            raise AnswerError(403, {"error": "org_scoped_key_requires_workspace"})
        if tenant not in {None, str(TENANT_ID)}:
            raise AnswerError(403, {"detail": "Forbidden"})
        return key

    def _headers(self, path: str) -> dict[str, str]:
        return dict(self.deprecated) if path.endswith(("/runs", "/size")) else {}

    def _pack(self, request: Request, body: object, headers: dict[str, str]) -> Response:
        written = json.dumps(body).encode()
        if self.packs and len(written) >= PACK_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            # Fast rather than small: it goes no further than this machine.
            written = gzip.compress(written, compresslevel=1)
            headers |= {"content-encoding": "gzip"}
        return Response(written, media_type="application/json", headers=headers)

    async def _info(self, _request: Request) -> Response:
        if INFO in self.missing:
            return JSONResponse(NOT_FOUND, status_code=404)
        return JSONResponse({"version": "0.16.20", "instance_flags": {"simulated": True}})


class Noting:
    """Notes every request and lets it meet its fault, before anything else looks at it."""

    def __init__(self, app: ASGIApp, application: Application, faults: SourceFaults) -> None:
        """Stand before `app`."""
        self._app = app
        self._application = application
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        fault = self._faults.take(self._application.note(Request(scope)).path) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._faults.commit(fault, receive, send)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse(NOT_FOUND, status_code=404)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
