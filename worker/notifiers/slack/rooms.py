"""The channels that an app can be asked to post to: for people to choose from, and those that they probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

from worker.core.ports import DeliveryError
from worker.core.text import folded, plain
from worker.notifiers.slack.errors import channel_of, next_cursor, objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.notifiers.slack.errors import Channel
    from worker.notifiers.slack.notifier import Slack

CHANNEL_NOT_FOUND = "channel_not_found"
"""Slack's code for a channel that is not there, or that the app may not see."""

_PAGES = 10
"""Pages of a thousand channels that are read; in a larger workspace the others are chosen by their ids."""

_PUBLIC, _ALL = "public_channel", "public_channel,private_channel"


class Rooms:
    """The channels of a workspace, listed once, and only where one was not found."""

    def __init__(self, slack: Slack) -> None:
        """Nothing is asked yet."""
        self._slack = slack

    def meant(self, wanted: str) -> str:
        """A "did you mean" for a fix; empty where nothing is close, or the channels cannot be listed."""
        return did_you_mean_channel(wanted, self._listed)

    @cached_property
    def _listed(self) -> Sequence[Channel]:
        try:
            return listed_channels(self._slack)
        except DeliveryError:
            return ()


def did_you_mean_channel(wanted: str, channels: Sequence[Channel]) -> str:
    """The channels whose name or id is spelled much like what was wanted, as a question."""
    found = [channel for channel in channels if _core(wanted) in {_core(channel.name), _core(channel.channel_id)}]
    if not found:
        by_core = {_core(spelling): each for each in channels for spelling in (each.name, each.channel_id)}
        found = [by_core[core] for core in get_close_matches(_core(wanted), by_core, n=_MEANT, cutoff=_ALIKE)]
    shown = dict.fromkeys(f"#{plain(channel.name)} ({channel.channel_id})" for channel in found[:_MEANT])
    return f"did you mean {' or '.join(shown)}? " if shown else ""


_MEANT, _ALIKE = 2, 0.7


def _core(name: str) -> str:
    """What is compared: Slack writes a dash or a line where people may write a blank."""
    return folded(name.removeprefix("#")).replace("-", "").replace("_", "")


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
