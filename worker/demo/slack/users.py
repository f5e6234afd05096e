"""The people and user groups of the simulated Slack: who they are, how an app finds them, and their direct messages."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from worker.demo.slack.workspace import BOT_USER, TEAM_ID, Conversation, MethodError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.demo.slack.workspace import Workspace

Guest = Literal["", "multi", "single"]

_Arguments = dict[str, Any]
_KNOWN = {
    "conversations.open": {"users", "channel", "return_im", "prevent_creation"},
    "usergroups.list": {"include_disabled", "include_count", "include_users", "team_id"},
    "users.info": {"user", "include_locale"},
    "users.lookupByEmail": {"email"},
}
USER_SCOPES = {
    "conversations.open": "im:write",
    "usergroups.list": "usergroups:read",
    "users.info": "users:read",
    "users.lookupByEmail": "users:read.email",
}


class User(Struct, frozen=True):
    """One member of the workspace. `guest` is how far a guest gets: to several channels, or to a single one."""

    user_id: str
    email: str = ""
    name: str = ""
    guest: Guest = ""
    is_bot: bool = False
    is_deleted: bool = False


class UserGroup(Struct, frozen=True):
    """One user group."""

    group_id: str
    handle: str
    members: tuple[str, ...] = ()
    is_disabled: bool = False


class Users:
    """Everybody in the workspace, and the methods about them. Thread-safe."""

    def __init__(self, workspace: Workspace) -> None:
        """Start with the app's own user alone; `workspace` holds the direct messages."""
        self._workspace = workspace
        self._lock = threading.Lock()
        self._users = {BOT_USER: User(BOT_USER, name="review-notifier", is_bot=True)}
        self._groups: dict[str, UserGroup] = {}
        self.table: Mapping[str, Callable[[_Arguments], dict[str, Any]]] = {
            "conversations.open": self._open,
            "usergroups.list": self._list_groups,
            "users.info": self._info,
            "users.lookupByEmail": self._look_up,
        }

    def add(self, user: User) -> None:
        """Add a member, or put another state in place of one."""
        with self._lock:
            self._users[user.user_id] = user

    def alter(self, user_id: str, **changes: Any) -> None:  # noqa: ANN401 - the fields of User
        """Change a member."""
        with self._lock:
            self._users[user_id] = replace(self._users[user_id], **changes)

    def remove(self, user_id: str) -> None:
        """Take a member away, so that nothing knows the id any more."""
        with self._lock:
            del self._users[user_id]

    def add_group(self, group: UserGroup) -> None:
        """Add a user group, or put another state in place of one."""
        with self._lock:
            self._groups[group.group_id] = group

    def refuse(self, user_id: str) -> None:
        """Raise MethodError where the app may not write to this member."""
        user = self._found(user_id)
        if user.is_deleted:
            raise MethodError("user_disabled")
        if user.is_bot:
            raise MethodError("cannot_dm_bot")

    def check_arguments(self, method: str, arguments: _Arguments) -> None:
        """Raise MethodError for an argument that the method does not have: it would be ignored unnoticed."""
        strays = arguments.keys() - _KNOWN.get(method, arguments.keys()) - {"token"}
        if strays:
            listed = [f"[ERROR] unexpected argument: {name}" for name in sorted(strays)]
            raise MethodError("invalid_arguments", response_metadata={"messages": listed})

    def _open(self, arguments: _Arguments) -> dict[str, Any]:
        """Open the direct messages with one person; several at once are a group's, which the app never asks for."""
        named = [one.strip() for one in str(arguments.get("users") or "").split(",") if one.strip()]
        if not named:
            raise MethodError("users_list_not_supplied")
        if len(named) > 1:
            raise MethodError("missing_scope", needed="mpim:write", provided="")
        self.refuse(named[0])
        channel, is_new = self._workspace.direct(named[0])
        known = {} if is_new else {"no_op": True, "already_open": True}
        return {**known, "channel": _described(channel) if arguments.get("return_im") else {"id": channel.channel_id}}

    def _look_up(self, arguments: _Arguments) -> dict[str, Any]:
        email = str(arguments.get("email") or "").strip().casefold()
        if not email:
            raise MethodError(
                "invalid_arguments", response_metadata={"messages": ["[ERROR] missing required field: email"]}
            )
        with self._lock:
            # Whoever has left is not found by e-mail, only by id.
            found = [user for user in self._users.values() if user.email.casefold() == email and not user.is_deleted]
        if not found:
            raise MethodError("users_not_found")
        return {"user": _profile(found[0])}

    def _info(self, arguments: _Arguments) -> dict[str, Any]:
        return {"user": _profile(self._found(str(arguments.get("user") or "")))}

    def _list_groups(self, arguments: _Arguments) -> dict[str, Any]:
        with_disabled = arguments.get("include_disabled") in {True, "true", "1"}
        with self._lock:
            groups = [group for group in self._groups.values() if with_disabled or not group.is_disabled]
        return {"usergroups": [_listed(group) for group in groups]}

    def _found(self, user_id: str) -> User:
        with self._lock:
            if user_id not in self._users:
                raise MethodError("user_not_found")
            return self._users[user_id]


def _profile(user: User) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "team_id": TEAM_ID,
        "name": user.name.casefold().replace(" ", "."),
        "real_name": user.name,
        "deleted": user.is_deleted,
        "is_bot": user.is_bot,
        "is_restricted": bool(user.guest),
        "is_ultra_restricted": user.guest == "single",
        "profile": {"real_name": user.name, "display_name": user.name, "email": user.email},
    }


def _listed(group: UserGroup) -> dict[str, Any]:
    return {
        "id": group.group_id,
        "team_id": TEAM_ID,
        "is_usergroup": True,
        "handle": group.handle,
        "name": group.handle,
        "date_delete": 1_700_000_000 if group.is_disabled else 0,
        "user_count": len(group.members),
    }


def _described(channel: Conversation) -> dict[str, Any]:
    return {"id": channel.channel_id, "is_im": True, "user": channel.user, "is_open": True}
