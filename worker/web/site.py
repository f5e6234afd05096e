"""Replies to requests for the page and its API: who may read, what is where, and the headers that guard it."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from urllib.parse import parse_qs, unquote

import msgspec
import structlog
from msgspec.structs import replace

from worker.core.cooldown import Cooldown
from worker.core.ports import StoreError
from worker.web import layout
from worker.web.admission import CLOSED, is_secure, signed_out
from worker.web.cache import Cache, NotKeptError
from worker.web.exchange import JSON, Reply
from worker.web.front_page import front_page
from worker.web.openapi import Messages, document
from worker.web.queue_page import queue_page

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Protocol

    from worker.core.ports import Clock
    from worker.web.admission import Admission
    from worker.web.exchange import PageRequest
    from worker.web.shown import Front, QueuePage, Reading

    class _Find(Protocol):
        """Gives what is shown by its key; `make` would make it."""

        def __call__(self, key: Hashable, make: Callable[[], _T], /) -> _T: ...


log = structlog.get_logger(__name__)

_T = TypeVar("_T")

HTML = "text/html; charset=utf-8"
_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/icon.svg": "image/svg+xml",
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
}

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
GUARDS = (
    # No script but our own file, nothing from another host, in nobody's frame.
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not `no-referrer`: with that, browsers send a form of ours with `Origin: null`.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)

_API, _QUEUES = "/api/", "/queues/"
_LARGEST_OFFSET = len(str(10**9))
_FOREIGN = (
    "this request was made by a page of another site: its Origin is neither this address nor a name in "
    "WORKER_HTTP_HOSTS"
)
_NOTE_EVERY = timedelta(minutes=1)
_NOT_SHOWN = "give the token of WORKER_HTTP_TOKEN: Authorization: Bearer TOKEN"


class _Refused(Exception):  # noqa: N818  the word for it
    """There is no page to show. `str()` says why."""

    def __init__(self, status: HTTPStatus, title: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.title = title


# No exceptions yet: one that is raised again keeps every frame that it went through.
_CLOSED = (HTTPStatus.FORBIDDEN, "Closed", CLOSED)
_ELSEWHERE = (HTTPStatus.FORBIDDEN, "Not from another site", _FOREIGN)
_READ_ONLY = (
    HTTPStatus.METHOD_NOT_ALLOWED,
    "Read only",
    "this page only shows: nothing can be sent to it but the token",
)
_UNKNOWN = (
    HTTPStatus.NOT_FOUND,
    "Not found",
    "there is no such page; / has all queues, /api/openapi.json what the API has",
)
_UNKNOWN_QUEUE = (HTTPStatus.NOT_FOUND, "Not found", "no queue with this id is polled; / has all queues")


class _Rendered(Generic[_T]):
    """What was read, and the page that shows it: made once, and only where a browser asks."""

    def __init__(self, shown: _T, draw: Callable[[_T], bytes]) -> None:
        self.shown = shown
        self._draw = draw

    @cached_property
    def body(self) -> bytes:
        """The page."""
        return self._draw(self.shown)

    @property
    def is_drawn(self) -> bool:
        """Whether the page is made already."""
        return "body" in self.__dict__


class _AtHand:
    """Finds what is kept, and raises NotKeptError where anything would have to be made."""

    def __init__(self, cache: Cache, request: PageRequest) -> None:
        self._cache = cache
        self._needs_body = not request.path.startswith(_API)
        self.is_stale = False
        """Whether something that was found should be made again."""

    def __call__(self, key: Hashable, make: Callable[[], _T], /) -> _T:
        del make
        value, is_wanted = self._cache.kept(key)
        if self._needs_body and isinstance(value, _Rendered) and not value.is_drawn:
            raise NotKeptError
        self.is_stale |= is_wanted
        return cast("_T", value)


class Site:
    """The page, the API, and the form that asks for the token. For one thread at a time, but for `at_once`."""

    def __init__(self, admission: Admission, reading: Callable[[], Reading], clock: Clock) -> None:
        """`reading` makes the reader of what is shown; it is called with the first page that is read."""
        self._admission = admission
        self._make_reading = reading
        self._reading: Reading | None = None
        self._clock = clock
        self._cache = Cache(clock)
        self._noted = Cooldown()

    def __call__(self, request: PageRequest) -> Reply:
        """The reply to any request but those for health and metrics."""
        return _guarded(self._reply(request, self._cache.get))

    def at_once(self, request: PageRequest) -> Reply | None:
        """The reply where nothing has to be made or written for it, else None; from any thread."""
        if request.method == "POST":
            return None
        find = _AtHand(self._cache, request)
        try:
            reply = self._reply(request, find)
        except NotKeptError:
            return None
        return replace(_guarded(reply), is_stale=find.is_stale)

    def close(self) -> None:
        """Close what the pages are read from. To be called once no more are asked for."""
        if self._reading is not None:
            self._reading.close()

    def _reply(self, request: PageRequest, find: _Find) -> Reply:
        try:
            return self._answer(request, find)
        except _Refused as refused:
            return _refusal(request, refused)
        except StoreError as error:
            text = f"the database cannot be read at present: {error}"
            return _refusal(request, _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Not now", text))

    def _answer(self, request: PageRequest, find: _Find) -> Reply:
        """The reply. Raises _Refused and StoreError."""
        if self._admission.is_closed:
            raise _Refused(*_CLOSED)
        if self._admission.is_foreign(request):
            raise _Refused(*_ELSEWHERE)
        if request.method == "POST":
            return self._sent(request)
        if kind := _FILES.get(request.path):
            return Reply(HTTPStatus.OK, kind, (_STATIC / request.path[1:]).read_bytes())
        if not self._admission.has_shown(request, self._clock.now()):
            return _not_shown(request)
        return self._shown(request, find)

    def _sent(self, request: PageRequest) -> Reply:
        """The reply to a form."""
        match request.path:
            case "/login":
                return self._sign_in(request)
            case "/logout":
                return _redirect("/", signed_out(is_secure=is_secure(request)))
            case _:
                raise _Refused(*_READ_ONLY)

    def _sign_in(self, request: PageRequest) -> Reply:
        given = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=4)
        path = _local(given.get("to", ["/"])[0])
        if not self._admission.token:
            return _redirect(path)
        if not self._admission.is_token(given.get("token", [""])[0].strip()):
            self._note_refusal()
            problem = "That is not the token."
            return Reply(HTTPStatus.UNAUTHORIZED, HTML, layout.form(path, problem))
        return _redirect(path, self._admission.cookie(self._clock.now(), is_secure=is_secure(request)))

    def _note_refusal(self) -> None:
        # Who tries tokens must not fill the log.
        if self._noted.is_over(self._clock.monotonic()):
            self._noted = Cooldown.of(_NOTE_EVERY, self._clock.monotonic())
            log.warning("page_refused", fix="somebody gave a token that is not the one of WORKER_HTTP_TOKEN")

    def _shown(self, request: PageRequest, find: _Find) -> Reply:
        path = request.path
        if path == "/":
            return Reply(HTTPStatus.OK, HTML, self._front(find).body)
        if path == "/login":
            return _redirect("/")
        if path.startswith(_QUEUES):
            return Reply(HTTPStatus.OK, HTML, self._queue(request, path.removeprefix(_QUEUES), find).body)
        if path.startswith(_API):
            return Reply(HTTPStatus.OK, JSON, _encoded(self._api(request, path.removeprefix(_API), find)))
        raise _Refused(*_UNKNOWN)

    def _api(self, request: PageRequest, path: str, find: _Find) -> object:
        if path == "openapi.json":
            return document()
        if path.startswith("queues/"):
            return self._queue(request, path.removeprefix("queues/"), find).shown
        front = self._front(find).shown
        answers = {
            "front": front,
            "queues": front.queues,
            "messages": Messages(front.undelivered, front.messages, front.pauses),
            "people": front.people,
        }
        if path not in answers:
            raise _Refused(*_UNKNOWN)
        return answers[path]

    @property
    def _can_sign_out(self) -> bool:
        return bool(self._admission.token)

    def _front(self, find: _Find) -> _Rendered[Front]:
        return find("front", lambda: _Rendered(self._read_by().front(), self._draw_front))

    def _queue(self, request: PageRequest, written: str, find: _Find) -> _Rendered[QueuePage]:
        queue_id, offset = unquote(written), _offset(request)
        found = find((queue_id, offset), lambda: self._read_queue(queue_id, offset))
        if found is None:
            raise _Refused(*_UNKNOWN_QUEUE)
        return found

    def _read_queue(self, queue_id: str, offset: int) -> _Rendered[QueuePage] | None:
        shown = self._read_by().queue(queue_id, offset)
        return None if shown is None else _Rendered(shown, self._draw_queue)

    def _draw_front(self, front: Front) -> bytes:
        return front_page(front, can_sign_out=self._can_sign_out)

    def _draw_queue(self, shown: QueuePage) -> bytes:
        return queue_page(shown, can_sign_out=self._can_sign_out)

    def _read_by(self) -> Reading:
        if self._reading is None:
            self._reading = self._make_reading()
        return self._reading


def _guarded(reply: Reply) -> Reply:
    return replace(reply, headers=(*GUARDS, *reply.headers))


def _offset(request: PageRequest) -> int:
    """The first run that is asked for; whatever is no number means the beginning."""
    given = parse_qs(request.query, max_num_fields=4).get("offset", ["0"])[0] if request.query else "0"
    return int(given) if given.isascii() and given.isdecimal() and len(given) < _LARGEST_OFFSET else 0


def _local(path: str) -> str:
    """A path of ours to go on to; the first page for anything else, such as an address elsewhere."""
    return path if path.startswith(_QUEUES) and path.isascii() and path.isprintable() else "/"


def _not_shown(request: PageRequest) -> Reply:
    bearer = (("WWW-Authenticate", "Bearer"),)
    if request.path.startswith(_API):
        return Reply(HTTPStatus.UNAUTHORIZED, JSON, _encoded({"error": _NOT_SHOWN}), bearer)
    return Reply(HTTPStatus.UNAUTHORIZED, HTML, layout.form(_local(request.path)), bearer)


def _refusal(request: PageRequest, refused: _Refused) -> Reply:
    if request.path.startswith(_API):
        return Reply(refused.status, JSON, _encoded({"error": str(refused)}))
    return Reply(refused.status, HTML, layout.refusal(refused.title, str(refused)))


def _redirect(path: str, cookie: str = "") -> Reply:
    headers = (("Location", path), *((("Set-Cookie", cookie),) if cookie else ()))
    return Reply(HTTPStatus.SEE_OTHER, HTML, b"", headers)


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair: only the standard library writes it
        return json.dumps(msgspec.to_builtins(value)).encode() + b"\n"
