"""The findings of `check` about Slack: the token, its scopes, every channel; each with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.overview import Finding
from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.slack.errors import WAYS
from worker.notifiers.slack.rooms import CHANNEL_NOT_FOUND, Rooms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.core.owed import Destination
    from worker.notifiers.slack.notifier import BotIdentity, Channel, Slack

POSTING = "chat:write"
ACTING = {
    "commands": "people cannot write /reviews",
    "users:read": "it cannot be seen who is a guest, so nothing that anybody does is taken",
}
"""The scopes of the bot that acting needs, and what is missing without each."""

_APP_FIX = (
    "set SLACK_APP_TOKEN to an app-level token of the app with connections:write (Basic Information), "
    "and turn Socket Mode on"
)


def examine(slack: Slack, channels: Iterable[Destination]) -> Iterator[Finding]:
    """Check the token, then its scopes, then each channel once."""
    try:
        identity = slack.identity()
    except DeliveryError as error:
        # With a bad token every channel would fail for the same reason.
        yield Finding("slack token", ok=False, text=str(error), fix=token_fix(error))
        return
    yield Finding("slack token", ok=True, text=f"{identity.user} in {identity.team} ({identity.url})")
    yield from _posting(identity)
    rooms = Rooms(slack)
    for channel in dict.fromkeys(channels):
        yield _channel(slack, channel.place, identity.scopes, rooms)


def examine_app_token(slack: Slack) -> Iterator[Finding]:
    """Check that the app token, which this client has, may open a link; none is opened."""
    try:
        slack.link_url()
    except DeliveryError as error:
        fix = _APP_FIX if error.outcome is Outcome.TOKEN else token_fix(error)
        yield Finding("slack app token", ok=False, text=f"no link can be opened ({error.code})", fix=fix)
        return
    yield Finding("slack app token", ok=True, text="a link can be opened")


def examine_acting(slack: Slack) -> Iterator[Finding]:
    """Check the scopes that acting needs. Nothing where the bot's token is bad: that is a finding of its own."""
    try:
        scopes = slack.identity().scopes
    except DeliveryError:
        return
    # None where Slack did not list them: what is missing shows when somebody acts.
    for scope in (one for one in ACTING if scopes is not None and one not in scopes):
        text = f"is missing: {ACTING[scope]}"
        yield Finding(f"slack scope {scope}", ok=False, text=text, fix=add_scope(scope))


def token_fix(error: DeliveryError) -> str:
    """The fix where Slack does not say whose the token is."""
    if error.outcome is Outcome.TOKEN:
        return "set SLACK_BOT_TOKEN to the Bot User OAuth Token of the app, under OAuth & Permissions"
    return WAYS.get(error.code, "check SLACK_BASE_URL, and this machine's way to it")


def _posting(identity: BotIdentity) -> Iterator[Finding]:
    # None where Slack did not list them: that is no finding.
    if identity.scopes is not None:
        listed = ", ".join(sorted(identity.scopes)) or "none"
        ok = POSTING in identity.scopes
        yield Finding("slack scopes", ok=ok, text=listed, fix="" if ok else add_scope(POSTING))


def _channel(slack: Slack, name: str, scopes: frozenset[str] | None, rooms: Rooms) -> Finding:
    try:
        channel = slack.channel(name)
    except DeliveryError as error:
        return Finding(f"slack channel {name}", ok=False, text=str(error), fix=_channel_fix(error, name, rooms))
    text, fix = _trouble(channel, scopes)
    found = f"#{channel.name} ({channel.channel_id})"
    return Finding(f"slack channel {name}", ok=not fix, text=f"{found}{text}", fix=fix)


def _trouble(channel: Channel, scopes: frozenset[str] | None) -> tuple[str, str]:
    """The problem with a channel, and the fix; both empty where all is well."""
    if channel.is_archived:
        return " is archived", "unarchive it, or set another channel"
    if not channel.is_member:
        return ": the app is not in it", "invite the app to the channel: /invite with its name"
    reading = reading_scope(channel)
    if scopes is not None and reading not in scopes:
        lost = f": without {reading} the worker cannot look up after a lost answer whether a message was posted"
        return f"{lost}, and WORKER_ON_UNKNOWN decides", add_scope(reading)
    return "", ""


def reading_scope(channel: Channel) -> str:
    """The scope by which the messages of a channel are looked up."""
    return "groups:history" if channel.is_private else "channels:history"


def add_scope(scope: str) -> str:
    """The fix for a missing scope: where to click."""
    return (
        f"add {scope} to the app's bot token scopes (https://api.slack.com/apps, OAuth & Permissions, Bot Token Scopes)"
        " and press Reinstall to Workspace; the token stays the same"
    )


def _channel_fix(error: DeliveryError, name: str, rooms: Rooms) -> str:
    if error.code == "missing_scope":
        return add_scope("channels:read and groups:read")
    if error.outcome in {Outcome.DESTINATION, Outcome.BLIND}:
        meant = rooms.meant(name) if error.code == CHANNEL_NOT_FOUND else ""
        by_id = "set the channel by its id, which is at the end of its details, and invite the app if it is private"
        return f"{meant}{by_id}"
    return "try again later"
