"""A Slack that lives in this process: the Web API that the worker uses, over HTTP, and a Python API to play with it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from msgspec import Struct
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from worker.demo.slack.faults import COMMITTING, App, Fault, Faults, Mode, faulty
from worker.demo.slack.methods import Methods
from worker.demo.slack.sockets import SocketMode
from worker.demo.slack.users import User, UserGroup
from worker.demo.slack.workspace import BOT_ID, BOT_USER, TEAM_ID, Conversation, MethodError, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.applications import Starlette
    from starlette.requests import Request

    from worker.core.ports import Clock
    from worker.demo.slack.personal import Personal
    from worker.demo.slack.workspace import Event, PostedMessage

ALL_SCOPES = frozenset(
    {
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "groups:history",
        "groups:read",
        "im:history",
        "im:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    }
)
_OPEN = "apps.connections.open"
_TOKENLESS = frozenset({"blocks.validate"})
_RATES = {"chat.postMessage": (3.0, 1.0)}  # so many at once, so many more a second, for each channel
_OTHER_RATE = (50.0, 50 / 60)


class SimulatedSlack:
    """One workspace with one app in it. Thread-safe; serve `app` on loopback."""

    def __init__(
        self,
        clock: Clock,
        *,
        token: str = "xoxb-simulated",  # noqa: S107 - opens nothing but this simulator
        app_token: str = "xapp-simulated",  # noqa: S107 - the same
        team: str = "Simulated",
        url: str = "https://simulated.slack.example/",
        pace: bool = False,
    ) -> None:
        """`pace` turns Slack's rate limits on."""
        self.token = token
        self.app_token = app_token
        self.url = url
        self.pace = pace
        self.scopes: Collection[str] = ALL_SCOPES
        self.token_error = ""
        self._clock = clock
        self._workspace = Workspace(clock)
        self.sockets = SocketMode(clock)
        """The links of Socket Mode."""

        self._methods = Methods(self._workspace, self.sockets, clock, team=team, url=url)
        self._faults = Faults()
        self._lock = threading.Lock()
        self._attempts: list[Attempt] = []
        self._budgets: dict[tuple[str, str], tuple[float, float]] = {}
        self.app: Starlette = App(
            routes=[
                Route("/api/{method}", self._endpoint, methods=["GET", "POST"]),
                WebSocketRoute("/link/", self.sockets.endpoint),
            ],
        )

    def add_channel(
        self, channel: str, name: str, *, private: bool = False, member: bool = True, archived: bool = False
    ) -> None:
        """Create a channel with the id `channel`; `member`: the app has been invited."""
        self._workspace.add(Conversation(channel, name, is_private=private, is_member=member, is_archived=archived))

    def add_user(self, user: str, email: str = "", name: str = "", **how: Any) -> None:  # noqa: ANN401
        """Let a person join; `how` may give the other fields of User: `guest`, `is_bot`, `is_deleted`."""
        self._methods.users.add(User(user, email, name or user, **how))

    def alter_user(self, user: str, **changes: Any) -> None:  # noqa: ANN401 - the fields of User
        """Change a person: `is_deleted` for one who is deactivated, another `email` or `name`."""
        self._methods.users.alter(user, **changes)

    def remove_user(self, user: str) -> None:
        """Take a person out of the workspace, as if there never was one."""
        self._methods.users.remove(user)

    def add_group(self, group: str, handle: str, *members: str, is_disabled: bool = False) -> None:
        """Create a user group, or put another state in place of one."""
        self._methods.users.add_group(UserGroup(group, handle, members, is_disabled))

    def switch_messages_tab(self, *, on: bool) -> None:
        """Let people read direct messages of the app, or not."""
        self._methods.messages_tab = on

    def direct_messages(self, user: str) -> list[PostedMessage]:
        """Copies of the direct messages of the app with a person, oldest first; none where they were never opened."""
        opened = {channel.user: channel.channel_id for channel in self._workspace.directs()}
        return self.messages(opened[user]) if user in opened else []

    @property
    def personal(self) -> Personal:
        """What single people press, write and open, and what they alone see."""
        return self._methods.personal

    def messages(self, channel: str) -> list[PostedMessage]:
        """Copies of all that stands in a channel and its threads, oldest first; MethodError for an unknown one."""
        return self._workspace.messages(channel)

    def channels(self) -> list[Conversation]:
        """Every channel, without its messages."""
        return self._workspace.channels()

    @property
    def attempts(self) -> list[Attempt]:
        """Every call that ever arrived, oldest first."""
        with self._lock:
            return list(self._attempts)

    @property
    def posts(self) -> list[Attempt]:
        """Every attempt to post, whatever became of it."""
        return [attempt for attempt in self.attempts if attempt.method == "chat.postMessage"]

    def say(self, channel: str, text: str, *, user: str = "U0PERSON", metadata: PostedMessage | None = None) -> str:
        """Let a person write; the message's ts."""
        message: PostedMessage = {"user": user, "team": TEAM_ID, "text": text, "blocks": []}
        return str(self._workspace.post(channel, message | ({"metadata": metadata} if metadata else {}))["ts"])

    def delete(self, channel: str, ts: str) -> None:
        """Take a message away, as a person would."""
        self._workspace.delete(channel, ts)

    def archive(self, channel: str, *, archived: bool = True) -> None:
        """Archive a channel, or bring it back."""
        self._workspace.alter(channel, is_archived=archived)

    def kick(self, channel: str) -> None:
        """Take the app out of a channel."""
        self._workspace.alter(channel, is_member=False)

    def invite(self, channel: str) -> None:
        """Put the app into a channel."""
        self._workspace.alter(channel, is_member=True)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call back on every post, edit and deletion, in order; the result ends it. Must not block."""
        return self._workspace.subscribe(callback)

    def fail(
        self,
        method: str = "*",
        *,
        mode: Mode | str | None = None,
        error: str = "",
        status: int | None = None,
        times: int | None = None,
        **how: Any,  # noqa: ANN401 - the other fields of Fault
    ) -> Fault:
        """Let calls of a method fail, `times` times or until healed; see Mode for how.

        `error` alone answers `ok: false`, `status` alone that HTTP status; `how` may give `channel`, `after`
        (calls to let through first), `retry_after` and `delay` (seconds) and `location`.
        """
        chosen = Mode(mode) if mode else Mode.ERROR if error else Mode.STATUS
        fault = Fault(method, chosen, error=error, status=status or 500, times=times, **how)
        self._faults.add(fault)
        return fault

    def heal(self, method: str | None = None) -> None:
        """End the faults of one method, or all; calls that hang are let go."""
        self._faults.heal(method)

    async def _endpoint(self, request: Request) -> Response:
        method = request.path_params["method"]
        arguments = await arguments_of(request)
        channel = str(arguments.get("channel") or "")
        fault = self._faults.take(method, channel)
        if fault:
            return self._faulty(fault, method, arguments, request)
        answer = self._answer(method, arguments, request)
        self._log(method, arguments, "ok" if answer["ok"] else answer["error"], committed=answer["ok"])
        return self._response(answer)

    def _answer(self, method: str, arguments: dict[str, Any], request: Request) -> dict[str, Any]:
        try:
            if method not in _TOKENLESS:
                self._authorize(method, arguments, request)
            if method == _OPEN:
                return {"ok": True, "url": self.sockets.open_url(str(request.base_url).rstrip("/"))}
            self._throttle(method, str(arguments.get("channel") or ""))
            return {"ok": True, **self._methods.call(method, arguments, frozenset(self.scopes))}
        except MethodError as refusal:
            return {"ok": False, "error": refusal.code, **refusal.extra}

    def _response(self, answer: dict[str, Any]) -> Response:
        headers = {"x-oauth-scopes": ",".join(sorted(self.scopes))}
        if answer.get("error") == "ratelimited":
            return JSONResponse(answer, 429, {**headers, "retry-after": str(answer.pop("retry_after", 1))})
        return JSONResponse(answer, headers=headers)

    def _faulty(self, fault: Fault, method: str, arguments: dict[str, Any], request: Request) -> Response:
        hangs = self._until_healed()
        answer: dict[str, Any] = {"ok": True}
        if fault.mode in COMMITTING:
            answer = self._answer(method, arguments, request)
        committed = fault.mode in COMMITTING and bool(answer["ok"])
        self._log(method, arguments, fault.error or str(fault.mode), committed=committed)
        return faulty(fault, self._response(answer), hangs, lambda: self._commit_late(method, arguments, request))

    def _until_healed(self) -> Callable[[], bool]:
        healed = self._faults.healed
        return lambda: self._faults.healed == healed

    def _commit_late(self, method: str, arguments: dict[str, Any], request: Request) -> None:
        answer = self._answer(method, arguments, request)
        self._log(method, arguments, "late", committed=answer["ok"])

    def _authorize(self, method: str, arguments: dict[str, Any], request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ") or str(arguments.get("token") or "")
        if not given:
            raise MethodError("not_authed")
        if given not in {self.token, self.app_token}:
            raise MethodError("invalid_auth")
        if (given == self.app_token) != (method == _OPEN):
            raise MethodError("not_allowed_token_type")
        if self.token_error:
            raise MethodError(self.token_error)

    def _throttle(self, method: str, channel: str) -> None:
        """Refuse what is above Slack's rate: a bucket for each method, and for posts for each channel."""
        if not self.pace:
            return
        burst, rate = _RATES.get(method, _OTHER_RATE)
        bucket = (method, channel if method in _RATES else "")
        now = self._clock.monotonic()
        with self._lock:
            left, at = self._budgets.get(bucket, (burst, now))
            left = min(burst, left + (now - at) * rate)
            self._budgets[bucket] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if left < 1:
            raise MethodError("ratelimited", retry_after=1)

    def _log(self, method: str, arguments: dict[str, Any], outcome: str, *, committed: bool) -> None:
        attempt = Attempt(method, str(arguments.get("channel") or ""), arguments, outcome, committed)
        with self._lock:
            self._attempts.append(attempt)


__all__ = ["ALL_SCOPES", "BOT_ID", "BOT_USER", "Attempt", "Fault", "Mode", "SimulatedSlack"]


class Attempt(Struct, frozen=True):
    """One call as it arrived. `outcome` is `ok`, Slack's error, or the fault that was played."""

    method: str
    channel: str
    arguments: dict[str, Any]
    outcome: str
    committed: bool


async def arguments_of(request: Request) -> dict[str, Any]:
    """The arguments of a call, from its query, form or JSON body, as far as they can be read."""
    body = await request.body()
    given: dict[str, Any] = dict(request.query_params)
    if "json" in request.headers.get("content-type", ""):
        value = _decoded(body.decode("utf-8", "replace"))
        return given | (value if isinstance(value, dict) else {})
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    nested = {name: _decoded(fields[name]) for name in ("blocks", "metadata", "attachments", "view") if name in fields}
    return given | fields | nested


def _decoded(raw: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(raw)
    except ValueError:
        return raw
