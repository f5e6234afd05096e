"""The ASGI application of the simulated LangSmith: who may ask, what goes wrong, how an answer is packed."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.demo.langsmith_limits import QueryLimit
from worker.demo.langsmith_params import RefusedError
from worker.demo.langsmith_routes import Endpoints
from worker.demo.langsmith_state import TENANT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from worker.core.ports import Clock
    from worker.demo.langsmith_faults import Faults
    from worker.demo.langsmith_state import Annotations, Key

PACK_FROM = 500
INFO = "/api/v1/info"
NOT_FOUND = {"detail": "Not Found"}
NEWEST = "/api/v2/"
"""Below this a request names its workspace, whatever its key."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was received; `query` without repeated names, `at` by the monotonic clock."""

    method: str
    path: str
    query: dict[str, str]
    at: float


class Application:
    """Serves `annotations`. What may be switched is an attribute; the list of requests is thread-safe."""

    def __init__(self, annotations: Annotations, faults: Faults, clock: Clock) -> None:
        """Serve everything, packed, and nothing is deprecated."""
        self._annotations = annotations
        self._faults = faults
        self._clock = clock
        self._endpoints = Endpoints(annotations)
        self._lock = threading.Lock()
        self._asked: list[Asked] = []
        self.missing: set[str] = set()
        self.deprecated: dict[str, str] = {}
        self.packs = True
        self.queries = QueryLimit(clock)
        self.before: Callable[[Asked], None] | None = None
        self.paths = {INFO, *(path for _, path in self._endpoints.routes())}
        self.asgi = self._build()

    def asked(self) -> Sequence[Asked]:
        """Every request so far, the oldest first."""
        with self._lock:
            return tuple(self._asked)

    def forget(self) -> None:
        """Begin the list of requests anew."""
        with self._lock:
            self._asked.clear()

    def note(self, request: Request) -> Asked:
        """Remember a request, and let happen what shall happen before it is answered."""
        asked = Asked(request.method, request.url.path, dict(request.query_params), self._clock.monotonic())
        with self._lock:
            self._asked.append(asked)
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
                return self._pack(request, ask(request, key), self._headers(path))
            except RefusedError as refused:
                return JSONResponse(refused.body, status_code=refused.status, headers=refused.headers)

        return endpoint

    def _admit(self, path: str) -> None:
        if path in self.missing:
            raise RefusedError(404, NOT_FOUND)

    def _key(self, request: Request) -> Key:
        key = self._annotations.keys.get(request.headers.get("x-api-key", ""))
        tenant = request.headers.get("x-tenant-id")
        if key is None:
            raise RefusedError(401, {"detail": "Invalid token"})
        if tenant is None and request.url.path.startswith(NEWEST):
            raise RefusedError(403, {"error": "Forbidden"})
        if key.organisation and tenant is None:
            raise RefusedError(403, {"error": "org_scoped_key_requires_workspace"})
        if tenant not in {None, str(TENANT_ID)}:
            raise RefusedError(403, {"detail": "Forbidden"})
        return key

    def _headers(self, path: str) -> dict[str, str]:
        return dict(self.deprecated) if path.endswith(("/runs", "/size")) else {}

    def _pack(self, request: Request, body: object, headers: dict[str, str]) -> Response:
        written = json.dumps(body).encode()
        if self.packs and len(written) >= PACK_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            written = gzip.compress(written, compresslevel=1)
            headers |= {"content-encoding": "gzip"}
        return Response(written, media_type="application/json", headers=headers)

    async def _info(self, _request: Request) -> Response:
        if INFO in self.missing:
            return JSONResponse(NOT_FOUND, status_code=404)
        return JSONResponse({"version": "0.16.20", "instance_flags": {"simulated": True}})


class Noting:
    """Notes every request and lets it meet its fault, before anything else looks at it."""

    def __init__(self, app: ASGIApp, application: Application, faults: Faults) -> None:
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
