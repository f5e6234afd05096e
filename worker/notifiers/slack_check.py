"""What `check` finds out about Slack: the token, its scopes, every channel; each finding with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.core.ports import DeliveryError, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.notifiers.slack import Channel, Identity, Slack

POSTING = "chat:write"
LOOKING_UP = frozenset({"channels:history", "groups:history"})
CHECKING = frozenset({"channels:read", "groups:read"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check. `remedy` is empty where all is well."""

    name: str
    ok: bool
    text: str
    remedy: str = ""


def examine(slack: Slack, channels: Iterable[str]) -> Iterator[Finding]:
    """Check the token, then its scopes, then each channel once; after a bad token there is nothing more to see."""
    try:
        identity = slack.identity()
    except DeliveryError as error:
        yield Finding("slack token", ok=False, text=str(error), remedy=_token_remedy(error))
        return
    yield Finding("slack token", ok=True, text=f"{identity.user} in {identity.team} ({identity.url})")
    yield from _scopes(identity)
    for channel in dict.fromkeys(channels):
        yield _channel(slack, channel)


def _token_remedy(error: DeliveryError) -> str:
    if error.outcome is Outcome.TOKEN:
        return "set SLACK_BOT_TOKEN to the Bot User OAuth Token of the app, under OAuth & Permissions"
    return "check SLACK_BASE_URL, and this machine's way to it"


def _scopes(identity: Identity) -> Iterator[Finding]:
    if identity.scopes is None:
        yield Finding("slack scopes", ok=True, text="Slack did not list them")
        return
    consequences = (
        (frozenset({POSTING}), "nothing can be posted"),
        (LOOKING_UP, "after a lost answer nobody can look up whether a message was posted: see WORKER_ON_UNKNOWN"),
        (CHECKING, "channels cannot be checked, nor found by name"),
    )
    lacking = [(needed - identity.scopes, what) for needed, what in consequences if needed - identity.scopes]
    for missing, consequence in lacking:
        names = ", ".join(sorted(missing))
        yield Finding(
            "slack scopes",
            ok=False,
            text=f"missing {names}: {consequence}",
            remedy=f"add {names} to the app's bot token scopes and reinstall it",
        )
    if not lacking:
        yield Finding("slack scopes", ok=True, text=", ".join(sorted(identity.scopes)))


def _channel(slack: Slack, channel: str) -> Finding:
    name = f"slack channel {channel}"
    try:
        seen = slack.channel(channel)
    except DeliveryError as error:
        return Finding(name, ok=False, text=str(error), remedy=_channel_remedy(error))
    told = f"#{seen.name} ({seen.channel_id})"
    if seen.is_archived:
        return Finding(name, ok=False, text=f"{told} is archived", remedy="unarchive it, or set another channel")
    if not seen.is_member:
        remedy = f"write /invite to the app in #{seen.name}"
        return Finding(name, ok=False, text=f"the app is not a member of {told}", remedy=remedy)
    if seen.channel_id != channel:
        remedy = f"set it as {seen.channel_id}: a name breaks when the channel is renamed"
        return Finding(name, ok=True, text=f"is {told}", remedy=remedy)
    return Finding(name, ok=True, text=told)


def _channel_remedy(error: DeliveryError) -> str:
    if error.code == "missing_scope":
        return "add channels:read and groups:read to the app's bot token scopes and reinstall it"
    if error.outcome in {Outcome.DESTINATION, Outcome.BLIND}:
        return "set the channel by its id (at the end of the channel's details), and invite the app if it is private"
    return "try again later"
