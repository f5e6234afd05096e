"""Slack's Web API over our own client: sends once, and says whether a request may have gone out."""

from __future__ import annotations

import json as jsonlib
import logging
from copy import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from slack_sdk.errors import SlackRequestError
from slack_sdk.web.client import WebClient
from slack_sdk.web.slack_response import SlackResponse

from worker.clock import SystemClock
from worker.core.ports import always
from worker.net.client import Client, Request
from worker.net.failures import NetError
from worker.net.route import DIRECT
from worker.notifiers.slack.errors import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Clock
    from worker.net.response import Response
    from worker.net.route import Route

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a decoded answer; a page of history stays far below."""


class Transport(WebClient):
    """slack-sdk's typed methods over our own client.

    A call returns an `ok` answer, and raises SlackApiError for any other HTTP answer (with empty data where it was no
    JSON object) and NoAnswer where there was none.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        seconds: float,
        hide: Callable[[str], str] = str,
        clock: Clock | None = None,
        route: Route = DIRECT,
    ) -> None:
        """`hide` takes secrets out of answers, which are kept and shown: a proxy may repeat what it was sent."""
        # A logger that no handler sees: the SDK logs the address of a proxy, which may hold a password.
        silent = logging.Logger("slack_sdk", logging.CRITICAL)  # noqa: LOG001 - not to be configured
        # Without retries of its own: the row in the outbox is the only one that sends again.
        super().__init__(token, base_url, retry_handlers=[], logger=silent)
        self._seconds = seconds
        self._hide = hide
        self._in_time: Callable[[], bool] = always
        # No connection is kept: on one that Slack has closed meanwhile it would be open whether a post was made.
        self._net = Client(self.base_url, clock=clock or SystemClock(), route=route, keep_seconds=0)

    def asking(self, in_time: Callable[[], bool]) -> Transport:
        """A copy of this client that asks at the last moment whether a request may still go out."""
        # A copy and no attribute of this one: another thread may be sending at the same time.
        asking = copy(self)
        asking._in_time = in_time  # noqa: SLF001 - it is our own
        return asking

    def close(self) -> None:
        """Close the connections."""
        self._net.close()

    def api_call(  # noqa: PLR0913 - slack-sdk's signature
        self,
        api_method: str,
        *,
        http_verb: str = "POST",  # noqa: ARG002 - every method of the Web API takes POST
        files: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: dict[str, Any] | None = None,
    ) -> SlackResponse:
        """Make one call, once."""
        if files or auth:
            raise SlackRequestError("This client sends neither files nor an application's own credentials.")
        fields = _given({**(params or {}), **(data or {}), **(json or {})})
        token = fields.pop("token", self.token)
        kind, content = _json(fields) if json is not None else _form(fields)
        headers = {**self.headers, **(headers or {}), **_auth(token), "Content-Type": kind, **_IDENTITY}
        response = self._answer(api_method, headers, content)
        response.validate()  # type: ignore[no-untyped-call]
        return response

    def _answer(self, method: str, headers: dict[str, str], content: bytes) -> SlackResponse:
        request = Request("POST", method, headers=headers, content=content)
        try:
            with self._net.send(request, seconds=self._seconds, in_time=self._in_time) as response:
                return self._read(method, response)
        except NetError as error:
            failure = NoAnswer(error.kind, str(error), may_be_done=error.has_begun)
        # Raised outside the except clause, so that its traceback does not hold the request and its secrets.
        raise failure

    def _read(self, method: str, response: Response) -> SlackResponse:
        return SlackResponse(
            client=self,
            http_verb="POST",
            api_url=self.base_url + method,
            req_args={},
            data=_object(response.read(BODY_LIMIT), self._hide),
            headers=dict(response.headers),
            status_code=response.status,
        )


_IDENTITY = {"Accept-Encoding": "identity"}  # answers are small, and what is not packed cannot be a bomb


def _auth(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _json(fields: dict[str, Any]) -> tuple[str, bytes]:
    return "application/json; charset=utf-8", jsonlib.dumps(fields, ensure_ascii=False).encode()


def _form(fields: dict[str, Any]) -> tuple[str, bytes]:
    encoded = urlencode({name: _field(value) for name, value in fields.items()})
    return "application/x-www-form-urlencoded", encoded.encode()


def _field(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else jsonlib.dumps(value)


def _object(body: bytes | bytearray, hide: Callable[[str], str]) -> dict[str, Any]:
    """The JSON object in `body`; empty where there is none."""
    try:
        value = _hidden(jsonlib.loads(body), hide)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    match value:
        case str():
            return hide(value)
        case list():
            return [_hidden(one, hide) for one in value]
        case dict():
            return {name: _hidden(one, hide) for name, one in value.items()}
        case _:
            return value
