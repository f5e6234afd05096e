"""Reads Slack's answers, which may hold anything: who we are, channels, messages, pages. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.core.model import Receipt
from worker.core.ports import DeliveryError, Outcome

if TYPE_CHECKING:
    from slack_sdk.web.slack_response import SlackResponse


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the token speaks for. `scopes` is None where Slack did not list them."""

    team: str
    url: str
    user: str
    user_id: str
    bot_id: str
    scopes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the app sees it."""

    channel_id: str
    name: str
    is_member: bool
    is_archived: bool
    is_private: bool


def identity(response: SlackResponse) -> Identity:
    """Who the token speaks for, from `auth.test`."""
    return Identity(
        team=str(response.get("team", "")),
        url=str(response.get("url", "")),
        user=str(response.get("user", "")),
        user_id=str(response.get("user_id", "")),
        bot_id=str(response.get("bot_id", "")),
        scopes=_scopes(response.headers),
    )


def receipt(response: SlackResponse) -> Receipt:
    """Where a post stands. Raises DeliveryError where an `ok` does not say it: then it may stand somewhere."""
    place, ts = response.get("channel"), response.get("ts")
    if not (isinstance(place, str) and isinstance(ts, str) and place and ts):
        raise DeliveryError("Slack said ok, and not which message it made", Outcome.UNKNOWN, code="no_ts")
    return Receipt(channel=place, ts=ts)


def is_id(channel: str) -> bool:
    """Whether this is a channel's id, and not a name."""
    return re.fullmatch(r"[CG][A-Z0-9]{6,}", channel) is not None


def is_ours(found: dict[str, Any], me: Identity) -> bool:
    """Whether this app has written a message."""
    by_bot = bool(me.bot_id) and found.get("bot_id") == me.bot_id
    return by_bot or (bool(me.user_id) and found.get("user") == me.user_id)


def key(found: dict[str, Any]) -> str:
    """The delivery's key in a message's metadata; empty where there is none."""
    metadata = found.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    return str(payload.get("delivery_key", "")) if isinstance(payload, dict) else ""


def seconds(found: dict[str, Any]) -> float:
    """When a message was posted, in seconds since 1970; 0 where it does not say."""
    try:
        return float(found.get("ts", 0))
    except (TypeError, ValueError):
        return 0.0


def next_cursor(response: SlackResponse) -> str:
    """Where the next page begins; empty at the end."""
    metadata = response.get("response_metadata")
    return str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; whatever else is in it is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def channel(raw: dict[str, Any]) -> Channel:
    """A channel, from `conversations.info` or `conversations.list`."""
    return Channel(
        channel_id=str(raw.get("id", "")),
        name=str(raw.get("name", "")),
        is_member=bool(raw.get("is_member")),
        is_archived=bool(raw.get("is_archived")),
        is_private=bool(raw.get("is_private")),
    )


def _scopes(headers: dict[str, str]) -> frozenset[str] | None:
    listed = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if listed is None else frozenset(scope.strip() for scope in listed.split(",") if scope.strip())
