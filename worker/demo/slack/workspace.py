"""The state of the simulated Slack: channels, messages and threads, and what may be done with them. Thread-safe."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from worker.demo.slack import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from worker.core.ports import Clock

PostedMessage = dict[str, Any]

TEAM_ID, BOT_USER, BOT_ID, APP_ID = "T0SIMULATED", "U0REVIEWBOT", "B0REVIEWBOT", "A0REVIEWBOT"


class MethodError(Exception):
    """An `ok: false`: `code` is Slack's error, `extra` what else its answer says."""

    def __init__(self, code: str, **extra: object) -> None:
        """Keep what is answered."""
        super().__init__(code)
        self.code = code
        self.extra = extra


class Event(Struct, frozen=True):
    """Something that people in a channel would see happen."""

    kind: Literal["post", "edit", "delete"]
    channel: str
    message: PostedMessage


class Conversation(Struct):
    """One channel with its messages, oldest first; replies are among them, with their `thread_ts`.

    `user` is the person with whom the app has direct messages there.
    """

    channel_id: str
    name: str
    user: str = ""
    is_private: bool = False
    is_member: bool = True
    is_archived: bool = False
    messages: list[PostedMessage] = field(default_factory=list)


class Workspace:
    """Everything that Slack would remember. Within a message nothing is changed in place, only replaced."""

    def __init__(self, clock: Clock) -> None:
        """Start empty; `clock` gives the messages' timestamps."""
        self._clock = clock
        self._lock = threading.RLock()
        self._channels: dict[str, Conversation] = {}
        self._subscribers: list[Callable[[Event], None]] = []
        self._last_ts = 0

    def add(self, channel: Conversation) -> None:
        """Create a channel."""
        with self._lock:
            self._channels[channel.channel_id] = channel

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call back on every event, in order, from whichever thread caused it; the result ends it. Must not block."""
        with self._lock:
            self._subscribers.append(callback)
        return lambda: self._unsubscribe(callback)

    def alter(self, channel_id: str, *, is_member: bool | None = None, is_archived: bool | None = None) -> None:
        """Change how the app stands to a channel."""
        with self._lock:
            channel = self._channels[channel_id]
            channel.is_member = channel.is_member if is_member is None else is_member
            channel.is_archived = channel.is_archived if is_archived is None else is_archived

    def channel(self, channel_id: str) -> Conversation:
        """One channel without its messages; MethodError where there is none."""
        with self._lock:
            return replace(self._found(channel_id), messages=[])

    def channels(self) -> list[Conversation]:
        """Every channel without its messages, in the order of creation."""
        with self._lock:
            return [replace(channel, messages=[]) for channel in self._rooms()]

    def directs(self) -> list[Conversation]:
        """Every conversation with one person, without its messages, in the order of opening."""
        with self._lock:
            return [replace(room, messages=[]) for room in self._channels.values() if room.user]

    def messages(self, channel_id: str) -> list[PostedMessage]:
        """Copies of all that stands in a channel and its threads, oldest first."""
        with self._lock:
            return copy.deepcopy(self._found(channel_id).messages)

    def resolve(self, channel: str) -> Conversation:
        """The channel that a post names: by id, a public one by name, or a user's direct messages."""
        with self._lock:
            if channel in self._channels:
                return self._channels[channel]
            if is_person(channel):
                return self.direct(channel)[0]
            wanted = channel.removeprefix("#")
            named = (c for c in self._rooms() if c.name == wanted and not c.is_private)
            return next(named, None) or self._found(channel)

    def direct(self, user: str) -> tuple[Conversation, bool]:
        """The direct messages with a person, and whether they were opened just now."""
        with self._lock:
            channel = f"D{user[1:]}"
            is_new = channel not in self._channels
            self._channels.setdefault(channel, Conversation(channel, user, user=user, is_private=True))
            return self._channels[channel], is_new

    def post(
        self, channel: str, message: PostedMessage, *, thread_ts: str = "", broadcast: bool = False
    ) -> PostedMessage:
        """Add a message, and give it back as it stands."""
        with self._lock:
            room = self._writable(self.resolve(channel))
            thread = self._thread(room, thread_ts, broadcast=broadcast) if thread_ts else {}
            posted = {"type": "message", **message, **thread, "ts": self._next_ts()}
            room.messages.append(posted)
            self._tell("post", room, posted)
            return copy.deepcopy(posted)

    def edit(self, channel_id: str, ts: str, changes: PostedMessage, *, editor: str) -> PostedMessage:
        """Replace what a message shows; what `changes` does not name stays."""
        with self._lock:
            room = self._writable(self._found(channel_id))
            message = self._message(room, ts)
            if message.get("user") != editor:
                raise MethodError("cant_update_message")
            message.update({**copy.deepcopy(changes), "edited": {"user": editor, "ts": self._now_ts()}})
            self._tell("edit", room, message)
            return copy.deepcopy(message)

    def delete(self, channel_id: str, ts: str) -> None:
        """Take a message away."""
        with self._lock:
            room = self._found(channel_id)
            message = self._message(room, ts)
            room.messages.remove(message)
            self._tell("delete", room, message)

    def history(self, channel_id: str) -> list[PostedMessage]:
        """The messages that the channel itself shows, newest first."""
        # Of replies only those that were broadcast.
        with self._lock:
            messages = reversed(self._found(channel_id).messages)
            return [dict(m) for m in messages if not _is_reply(m) or m.get("subtype") == "thread_broadcast"]

    def replies(self, channel_id: str, root_ts: str) -> list[PostedMessage]:
        """A thread, its root first."""
        with self._lock:
            room = self._found(channel_id)
            root = self._message(room, root_ts, missing="thread_not_found")
            return [dict(root), *(dict(m) for m in room.messages if _is_reply(m) and m["thread_ts"] == root["ts"])]

    def _thread(self, room: Conversation, thread_ts: str, *, broadcast: bool) -> PostedMessage:
        root = self._message(room, thread_ts, missing="thread_not_found")
        if _is_reply(root):
            raise MethodError("cannot_reply_to_message")
        root.update(thread_ts=thread_ts, reply_count=root.get("reply_count", 0) + 1)
        return {"thread_ts": thread_ts, **({"subtype": "thread_broadcast"} if broadcast else {})}

    def _writable(self, room: Conversation) -> Conversation:
        if room.is_archived:
            raise MethodError("is_archived")
        if not room.is_member:
            raise MethodError("channel_not_found" if room.is_private else "not_in_channel")
        return room

    def _found(self, channel_id: str) -> Conversation:
        if channel_id not in self._channels:
            raise MethodError("channel_not_found")
        return self._channels[channel_id]

    def _message(self, room: Conversation, ts: str, *, missing: str = "message_not_found") -> PostedMessage:
        for message in room.messages:
            if message["ts"] == ts:
                return message
        raise MethodError(missing)

    def _rooms(self) -> Sequence[Conversation]:
        return [room for room in self._channels.values() if not room.channel_id.startswith("D")]

    def _next_ts(self) -> str:
        """Unique and rising, even where the clock stands still or is set back."""
        now = int(self._clock.now().timestamp() * 1_000_000)
        self._last_ts = max(now, self._last_ts + 1)
        return _ts(self._last_ts)

    def _now_ts(self) -> str:
        return _ts(int(self._clock.now().timestamp() * 1_000_000))

    def _tell(self, kind: Literal["post", "edit", "delete"], room: Conversation, message: PostedMessage) -> None:
        for callback in list(self._subscribers):
            callback(Event(kind, room.channel_id, copy.deepcopy(message)))

    def _unsubscribe(self, callback: Callable[[Event], None]) -> None:
        with self._lock:
            self._subscribers.remove(callback)


def is_person(place: str) -> bool:
    """Whether this is the id of a person."""
    return place.startswith(("U", "W")) and place.isalnum() and place.isupper()


def checked(text: object, blocks: object, metadata: object = None) -> None:
    """Raise MethodError where Slack would not take a message with these parts."""
    if blocks is not None and (errors := limits.block_errors(blocks)):
        listed = [f"[ERROR] {error}" for error in errors]
        raise MethodError("invalid_blocks", errors=errors, response_metadata={"messages": listed})
    if blocks and limits.is_too_large(blocks):
        raise MethodError("msg_blocks_too_long")
    if code := limits.text_error(text, blocks):
        raise MethodError(code)
    if metadata is not None and (code := limits.metadata_error(metadata)):
        raise MethodError(code)


def _is_reply(message: PostedMessage) -> bool:
    return bool(message.get("thread_ts", message["ts"]) != message["ts"])


def _ts(micros: int) -> str:
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
