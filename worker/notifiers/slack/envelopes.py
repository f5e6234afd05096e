"""Envelopes of Socket Mode, read into what people do. Pure."""

from __future__ import annotations

import msgspec

from worker.core.owed import Receipt
from worker.core.ports import Command, Heard, HomeOpened, Press

_HOME = "app_home_opened"


class SlackEnvelope(msgspec.Struct, frozen=True):
    """One message of Slack; one with an `envelope_id` wants to be acknowledged."""

    type: str = ""
    envelope_id: str = ""
    reason: str = ""
    num_connections: int = 0
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Person(msgspec.Struct, frozen=True):
    id: str
    team_id: str = ""


class _Team(msgspec.Struct, frozen=True):
    id: str = ""


class _Container(msgspec.Struct, frozen=True):
    channel_id: str = ""
    message_ts: str = ""
    thread_ts: str = ""


class _Option(msgspec.Struct, frozen=True):
    value: str = ""


class _Act(msgspec.Struct, frozen=True):
    action_id: str
    block_id: str = ""
    value: str | None = None
    selected_option: _Option | None = None


class _Interaction(msgspec.Struct, frozen=True):
    type: str
    user: _Person
    team: _Team | None = None
    container: _Container = _Container()
    actions: list[_Act] = []


class _Written(msgspec.Struct, frozen=True):
    command: str
    user_id: str
    channel_id: str
    team_id: str = ""
    text: str = ""


class _Happening(msgspec.Struct, frozen=True):
    type: str
    user: str = ""
    tab: str = "home"


class _Event(msgspec.Struct, frozen=True):
    event: _Happening
    team_id: str = ""


def envelope_of(message: bytes) -> SlackEnvelope:
    """The envelope in a message; an empty one where there is none that could be read."""
    try:
        return msgspec.json.decode(message, type=SlackEnvelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return SlackEnvelope()


def acknowledgement(envelope: SlackEnvelope) -> str:
    """The message by which Slack knows that an envelope has arrived."""
    return msgspec.json.encode({"envelope_id": envelope.envelope_id}).decode()


def heard(envelope: SlackEnvelope) -> Heard | None:
    """What a person does; None for anything that is none of ours, or has another form than Slack documents."""
    try:
        match envelope.type:
            case "interactive":
                return _press(envelope.envelope_id, msgspec.json.decode(envelope.payload, type=_Interaction))
            case "slash_commands":
                return _command(envelope.envelope_id, msgspec.json.decode(envelope.payload, type=_Written))
            case "events_api":
                return _opened(envelope.envelope_id, msgspec.json.decode(envelope.payload, type=_Event))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return None


def _press(envelope_id: str, raw: _Interaction) -> Press | None:
    if raw.type != "block_actions" or not raw.actions:
        return None
    act, place = raw.actions[0], raw.container
    return Press(
        envelope_id,
        raw.user.id,
        # The person's own workspace: that of the channel is ours even for a guest of another one.
        raw.user.team_id or (raw.team.id if raw.team else ""),
        on=Receipt(place.channel_id, place.message_ts) if place.channel_id and place.message_ts else None,
        thread=place.thread_ts,
        block=act.block_id,
        action=act.action_id,
        value=act.selected_option.value if act.selected_option else act.value or "",
    )


def _command(envelope_id: str, raw: _Written) -> Command:
    # Slack escapes these three in what people write: else no queue named `R&D` would be found.
    text = raw.text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return Command(envelope_id, raw.user_id, raw.team_id, raw.channel_id, raw.command, text)


def _opened(envelope_id: str, raw: _Event) -> HomeOpened | None:
    event = raw.event
    if event.type != _HOME or event.tab != "home" or not event.user:
        return None
    return HomeOpened(envelope_id, event.user, raw.team_id)
