"""The channels that an app can be asked to post to, for people to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.ports import DeliveryError
from worker.notifiers.slack.errors import channel_of, next_cursor, objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.notifiers.slack.errors import Channel
    from worker.notifiers.slack.notifier import Slack

_PAGES = 10
"""Pages of a thousand channels that are read; in a larger workspace the others are chosen by their ids."""

_PUBLIC, _ALL = "public_channel", "public_channel,private_channel"


def listed_channels(slack: Slack) -> Sequence[Channel]:
    """The channels that are no archive, those that the app is in first. Raises DeliveryError."""
    try:
        found = _listed(slack, _ALL)
    except DeliveryError as error:
        if error.code != "missing_scope":
            raise
        found = _listed(slack, _PUBLIC)
    return sorted(found, key=lambda channel: (not channel.is_member, channel.name))


def _listed(slack: Slack, types: str) -> list[Channel]:
    found: list[Channel] = []
    cursor = ""
    for _ in range(_PAGES):
        fields = {"types": types, "exclude_archived": "true", "limit": "1000"} | ({"cursor": cursor} if cursor else {})
        response = slack.ask("conversations.list", **fields)
        found += [channel_of(raw) for raw in objects(response.get("channels"))]
        cursor = next_cursor(response)
        if not cursor:
            break
    return [channel for channel in found if not channel.is_archived]
