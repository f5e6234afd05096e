"""The people of the simulated Slack one by one: what they press, write and open, and what the app shows one alone."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from worker.demo.slack import limits
from worker.demo.slack.workspace import APP_ID, TEAM_ID, MethodError, checked, is_person

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.core.ports import Clock
    from worker.demo.slack.sockets import SocketMode
    from worker.demo.slack.users import Users
    from worker.demo.slack.workspace import PostedMessage, Workspace

_Arguments = dict[str, Any]
PERSONAL_SCOPES = {"chat.postEphemeral": "chat:write"}  # a page of its own needs no scope, only the home tab
_VIEW_BLOCKS = 100


class Ephemeral(Struct, frozen=True):
    """A message that one person alone saw."""

    channel: str
    user: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str = ""
    ts: str = ""


class Personal:
    """What single people do and see. Thread-safe."""

    def __init__(self, workspace: Workspace, users: Users, sockets: SocketMode, clock: Clock) -> None:
        """What people do goes over the `sockets`; what they see is kept here."""
        self._workspace = workspace
        self._users = users
        self._sockets = sockets
        self._clock = clock
        self._lock = threading.Condition()
        self._ephemerals: list[Ephemeral] = []
        self._homes: dict[str, dict[str, Any]] = {}
        self._numbers = count(1)
        self.table: Mapping[str, Callable[[_Arguments], dict[str, Any]]] = {
            "chat.postEphemeral": self._post_ephemeral,
            "views.publish": self._publish,
        }

    def press(self, user: str, channel: str, ts: str, action_id: str, value: str = "", **how: Any) -> str:  # noqa: ANN401
        """Let a person press a control of a message, or one that an older version of it showed; the envelope's id.

        `how` may give `block_id`, `option` (the value of what was chosen in a menu), `team` (the person's own),
        `envelope_id` (to repeat one), and `more` (further fields of the payload).
        """
        message = next((m for m in self._workspace.messages(channel) if m["ts"] == ts), None)
        payload = {
            "type": "block_actions",
            "user": {"id": user, "name": user.lower(), "team_id": how.get("team", TEAM_ID)},
            "api_app_id": APP_ID,
            "container": {"type": "message", "channel_id": channel, "message_ts": ts, "is_ephemeral": False},
            "trigger_id": f"{next(self._numbers)}.simulated",
            "team": {"id": TEAM_ID, "domain": "simulated"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel, "name": self._workspace.channel(channel).name},
            "message": message or {},
            "state": {"values": {}},
            "actions": [self._act(_shown(message or {}, action_id, how), action_id, value, **how)],
            **how.get("more", {}),
        }
        thread = (message or {}).get("thread_ts")
        if thread:
            payload["container"]["thread_ts"] = thread
        return self._sockets.send("interactive", payload, envelope_id=how.get("envelope_id", ""))

    def command(self, user: str, channel: str, command: str, text: str = "", *, team: str = TEAM_ID) -> str:
        """Let a person write a slash command; the envelope's id."""
        payload = {
            "team_id": team,
            "team_domain": "simulated",
            "channel_id": channel,
            "channel_name": self._workspace.channel(channel).name,
            "user_id": user,
            "user_name": user.lower(),
            "command": command,
            "text": text,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "trigger_id": f"{next(self._numbers)}.simulated",
        }
        return self._sockets.send("slash_commands", payload)

    def open_home(self, user: str, *, tab: str = "home") -> str:
        """Let a person open a tab of the app; the envelope's id."""
        event = {"type": "app_home_opened", "user": user, "channel": f"D{user[1:]}", "tab": tab}
        payload = {"team_id": TEAM_ID, "api_app_id": APP_ID, "type": "event_callback", "event": event}
        return self._sockets.send("events_api", payload)

    def ephemerals(self, user: str) -> list[Ephemeral]:
        """What the app has shown a person alone, oldest first."""
        with self._lock:
            return [shown for shown in self._ephemerals if shown.user == user]

    def home(self, user: str) -> dict[str, Any] | None:
        """The page of the app that a person sees; None where none was published."""
        with self._lock:
            return self._homes.get(user)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Wait until a condition holds, which is asked whenever somebody is shown something; whether it does."""
        with self._lock:
            return self._lock.wait_for(holds, seconds)

    def _act(self, shown: _Arguments, action_id: str, value: str, **how: Any) -> dict[str, Any]:  # noqa: ANN401
        block_id = how.get("block_id", shown.get("block_id", "block"))
        act = {"action_id": action_id, "block_id": block_id, "action_ts": f"{self._clock.now().timestamp():.6f}"}
        if "option" in how:
            text = {"type": "plain_text", "text": "chosen"}
            chosen = next((each for each in shown.get("options", []) if each["value"] == how["option"]), None)
            chosen = chosen or {"text": text, "value": how["option"]}
            return {**act, "type": shown.get("type", "overflow"), "selected_option": chosen}
        return {**act, "type": "button", "value": value or shown.get("value", "")}

    def _post_ephemeral(self, arguments: _Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(str(arguments.get("channel") or ""))
        user = str(arguments.get("user") or "")
        if not is_person(user):
            raise MethodError("invalid_arguments", response_metadata={"messages": ["[ERROR] missing user"]})
        self._users.refuse(user)
        if not channel.is_member:
            raise MethodError("channel_not_found" if channel.is_private else "not_in_channel")
        checked(arguments.get("text"), arguments.get("blocks"))
        thread, ts = str(arguments.get("thread_ts") or ""), f"{self._clock.now().timestamp():.6f}"
        text, blocks = arguments.get("text") or "", arguments.get("blocks") or []
        shown = Ephemeral(channel.channel_id, user, text, blocks, thread, ts)
        with self._lock:
            self._ephemerals.append(shown)
            self._lock.notify_all()
        return {"message_ts": ts}

    def _publish(self, arguments: _Arguments) -> dict[str, Any]:
        user, view = str(arguments.get("user_id") or ""), arguments.get("view")
        if not isinstance(view, dict) or view.get("type") != "home" or not isinstance(view.get("blocks"), list):
            raise MethodError("invalid_arguments", response_metadata={"messages": ["[ERROR] no view of type home"]})
        if errors := limits.block_errors(view["blocks"], most=_VIEW_BLOCKS):
            listed = [f"[ERROR] {error}" for error in errors]
            raise MethodError("invalid_blocks", errors=errors, response_metadata={"messages": listed})
        self._users.refuse(user)
        with self._lock:
            self._homes[user] = view
            self._lock.notify_all()
        return {"view": {"type": "home", "id": f"V{user[1:]}"}}


def _shown(message: PostedMessage, action_id: str, how: _Arguments) -> _Arguments:
    """The control of a message, with the id of its block; an empty one where the message does not show it."""
    for number, block in enumerate(message.get("blocks", [])):
        # What has no id gets one of Slack.
        block_id = block.get("block_id", f"block-{number}")
        controls = [*block.get("elements", []), *filter(None, [block.get("accessory")])]
        if how.get("block_id", block_id) == block_id:
            for control in controls:
                if control.get("action_id") == action_id:
                    return {**control, "block_id": block_id}
    return {}


__all__ = ["PERSONAL_SCOPES", "Ephemeral", "Personal"]
