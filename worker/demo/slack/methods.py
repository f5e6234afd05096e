"""The Web API methods of the simulated Slack: arguments in, the answer's fields out; MethodError is an `ok: false`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from worker.demo.slack import limits
from worker.demo.slack.personal import PERSONAL_SCOPES, Personal
from worker.demo.slack.users import USER_SCOPES, Users
from worker.demo.slack.workspace import APP_ID, BOT_ID, BOT_USER, TEAM_ID, MethodError, checked, is_person

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from worker.core.ports import Clock
    from worker.demo.slack.sockets import SocketMode
    from worker.demo.slack.workspace import Conversation, PostedMessage, Workspace

Arguments = dict[str, Any]
_Answer = dict[str, Any]

_LARGEST_PAGE = 999
_SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "conversations.join": "channels:join",
    "conversations.list": "channels:read",
    **PERSONAL_SCOPES,
    **USER_SCOPES,
}
_SCOPES_BY_PLACE = {  # public and private channels, direct messages
    "conversations.info": ("channels:read", "groups:read", "im:read"),
    "conversations.history": ("channels:history", "groups:history", "im:history"),
    "conversations.replies": ("channels:history", "groups:history", "im:history"),
}


class Methods:
    """The effect of each method on the workspace."""

    def __init__(self, workspace: Workspace, sockets: SocketMode, clock: Clock, *, team: str, url: str) -> None:
        """`url` is the team's own address, ending in a slash."""
        self._workspace = workspace
        self._team = team
        self._url = url
        self.users = Users(workspace)
        self.personal = Personal(workspace, self.users, sockets, clock)
        self.messages_tab = True
        self._table: Mapping[str, Callable[[Arguments], _Answer]] = {
            "auth.test": self._auth_test,
            "blocks.validate": self._validate,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._info,
            "conversations.join": self._join,
            "conversations.list": self._list,
            "conversations.replies": self._replies,
            **self.users.table,
            **self.personal.table,
        }

    def call(self, method: str, arguments: Arguments, scopes: frozenset[str]) -> _Answer:
        """Answer one call of a token that has `scopes`."""
        if method not in self._table:
            raise MethodError("unknown_method", req_method=method)
        needed = self._needed(method, arguments)
        if needed and needed not in scopes:
            raise MethodError("missing_scope", needed=needed, provided=",".join(sorted(scopes)))
        self.users.check_arguments(method, arguments)
        return self._table[method](arguments)

    def _needed(self, method: str, arguments: Arguments) -> str:
        if method not in _SCOPES_BY_PLACE:
            return _SCOPES.get(method, "")
        public, private, direct = _SCOPES_BY_PLACE[method]
        channel = self._workspace.channel(_required(arguments, "channel"))
        return direct if channel.user else private if channel.is_private else public

    def _auth_test(self, _arguments: Arguments) -> _Answer:
        return {
            "url": self._url,
            "team": self._team,
            "user": "review-notifier",
            "team_id": TEAM_ID,
            "user_id": BOT_USER,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }

    def _post(self, arguments: Arguments) -> _Answer:
        blocks, metadata = arguments.get("blocks"), arguments.get("metadata")
        self._refuse_person(_required(arguments, "channel"))
        channel = self._workspace.resolve(_required(arguments, "channel"))
        checked(arguments.get("text"), blocks, metadata)
        message = {"user": BOT_USER, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID, **_content(arguments)}
        posted = self._workspace.post(
            channel.channel_id,
            message | ({"metadata": metadata} if metadata else {}),
            thread_ts=arguments.get("thread_ts", ""),
            broadcast=_flag(arguments, "reply_broadcast"),
        )
        return {"channel": channel.channel_id, "ts": posted["ts"], "message": _seen(posted, with_metadata=True)}

    def _refuse_person(self, place: str) -> None:
        """Raise MethodError where `place` is a person, or the direct messages with one, whom no message reaches."""
        user = next((direct.user for direct in self._workspace.directs() if direct.channel_id == place), place)
        if not (place.startswith("D") or is_person(place)):
            return
        try:
            self.users.refuse(user)
        except MethodError as refusal:
            raise MethodError("channel_not_found" if refusal.code == "user_not_found" else refusal.code) from None
        if not self.messages_tab:
            raise MethodError("messages_tab_disabled")

    def _update(self, arguments: Arguments) -> _Answer:
        metadata = arguments.get("metadata")
        checked(arguments.get("text"), arguments.get("blocks"), metadata)
        channel, ts = _required(arguments, "channel"), _required(arguments, "ts")
        changes = _content(arguments) | ({"metadata": metadata} if metadata else {})
        edited = self._workspace.edit(channel, ts, changes, editor=BOT_USER)
        return {"channel": channel, "ts": ts, "text": edited["text"], "message": _seen(edited, with_metadata=True)}

    def _delete(self, arguments: Arguments) -> _Answer:
        channel, ts = _required(arguments, "channel"), _required(arguments, "ts")
        self._workspace.delete(channel, ts)
        return {"channel": channel, "ts": ts}

    def _permalink(self, arguments: Arguments) -> _Answer:
        channel, ts = _required(arguments, "channel"), _required(arguments, "message_ts")
        if all(message["ts"] != ts for message in self._workspace.messages(channel)):
            raise MethodError("message_not_found")
        return {"channel": channel, "permalink": f"{self._url}archives/{channel}/p{ts.replace('.', '')}"}

    def _info(self, arguments: Arguments) -> _Answer:
        return {"channel": _described(self._workspace.channel(_required(arguments, "channel")))}

    def _list(self, arguments: Arguments) -> _Answer:
        kinds = str(arguments.get("types") or "public_channel").split(",")
        listed = [
            _described(channel)
            for channel in self._workspace.channels()
            if ("private_channel" if channel.is_private else "public_channel") in kinds
            and not (_flag(arguments, "exclude_archived") and channel.is_archived)
        ]
        page, cursor = _page(listed, arguments)
        return {"channels": page, "response_metadata": {"next_cursor": cursor}}

    def _join(self, arguments: Arguments) -> _Answer:
        channel = self._workspace.channel(_required(arguments, "channel"))
        if channel.is_private:
            raise MethodError("channel_not_found")
        if channel.is_archived:
            raise MethodError("is_archived")
        self._workspace.alter(channel.channel_id, is_member=True)
        return {"channel": _described(self._workspace.channel(channel.channel_id))}

    def _history(self, arguments: Arguments) -> _Answer:
        channel = self._readable(arguments)
        return self._listing(self._workspace.history(channel), arguments)

    def _replies(self, arguments: Arguments) -> _Answer:
        channel = self._readable(arguments)
        return self._listing(self._workspace.replies(channel, _required(arguments, "ts")), arguments)

    def _readable(self, arguments: Arguments) -> str:
        channel = self._workspace.channel(_required(arguments, "channel"))
        if not channel.is_member:
            # To an app that is not in it, a private channel does not exist.
            raise MethodError("channel_not_found" if channel.is_private else "not_in_channel")
        return channel.channel_id

    def _listing(self, messages: Sequence[PostedMessage], arguments: Arguments) -> _Answer:
        page, cursor = _page([message for message in messages if _is_within(message, arguments)], arguments)
        with_metadata = _flag(arguments, "include_all_metadata")
        return {
            "messages": [_seen(message, with_metadata=with_metadata) for message in page],
            "has_more": bool(cursor),
            "response_metadata": {"next_cursor": cursor},
        }

    def _validate(self, arguments: Arguments) -> _Answer:
        errors = limits.block_errors(arguments.get("blocks"))
        if errors:
            listed = [f"[ERROR] {error}" for error in errors]
            raise MethodError("invalid_blocks", errors=errors, response_metadata={"messages": listed})
        return {}


def _required(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise MethodError(
            "channel_not_found" if name == "channel" else "invalid_arguments",
            response_metadata={"messages": [f"[ERROR] missing required field: {name}"]},
        )
    return value


def _flag(arguments: Arguments, name: str) -> bool:
    return arguments.get(name) in {True, "true", "1"}


def _content(arguments: Arguments) -> PostedMessage:
    """The content of a message after a post or an edit."""
    # Blocks that an edit does not give again are gone.
    blocks = arguments.get("blocks")
    return {"text": arguments.get("text") or "", "blocks": blocks or []}


def _seen(message: PostedMessage, *, with_metadata: bool) -> PostedMessage:
    hidden = set() if with_metadata else {"metadata"}
    return {name: value for name, value in message.items() if name not in hidden and value != []}


def _described(channel: Conversation) -> _Answer:
    return {
        "id": channel.channel_id,
        "name": channel.name,
        "is_channel": not channel.is_private,
        "is_private": channel.is_private,
        "is_member": channel.is_member,
        "is_archived": channel.is_archived,
    }


def _is_within(message: PostedMessage, arguments: Arguments) -> bool:
    ts, inclusive = float(message["ts"]), _flag(arguments, "inclusive")
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
    return (oldest < ts < latest) or (inclusive and ts in {oldest, latest})


def _page(items: Sequence[Any], arguments: Arguments) -> tuple[list[Any], str]:
    """One page of a listing, and the cursor of the next; empty where it is the last."""
    limit = min(max(int(arguments.get("limit") or 100), 1), _LARGEST_PAGE)
    start = _start(str(arguments.get("cursor") or ""))
    more = len(items) > start + limit
    cursor = base64.b64encode(f"next:{start + limit}".encode()).decode() if more else ""
    return list(items[start : start + limit]), cursor


def _start(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except ValueError as error:
        raise MethodError("invalid_cursor") from error
