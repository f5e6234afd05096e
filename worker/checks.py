"""What `check` finds: settings, database, LangSmith with every queue, Slack with every channel."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from worker.core.ports import ConfigError, DeliveryError, Outcome, SourceError, StoreError
from worker.settings import OnUnknown
from worker.stores.opening import database_path, open_store
from worker.views import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.loops.roster import Roster
    from worker.notifiers.slack import Identity, Slack
    from worker.settings import Settings
    from worker.sources.langsmith import LangSmith

POSTING = frozenset({"chat:write"})
LOOKING_UP = frozenset({"channels:history", "groups:history"})
RESOLVING = frozenset({"channels:read", "groups:read"})


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Whether the settings say what was probably meant; that they can be read at all is known here."""
    findings = [*settings.unknown_names(), *settings.shadowed]
    for text in findings:
        yield Finding("settings", ok=False, text=text, remedy="correct the name or remove it")
    if not findings:
        where = f"from {settings.config}" if settings.config else "from the environment"
        yield Finding("settings", ok=True, text=f"complete, {where}")


def check_database(settings: Settings) -> Iterator[Finding]:
    """Whether the database can be opened and has the right schema."""
    path = database_path(settings.database_url)
    if path is not None and path.parent.is_dir() and not path.exists():
        yield Finding("database", ok=True, text=f"will be made at {path} by the first start")
        return
    try:
        with contextlib.closing(open_store(settings.database_url, migrate=False)) as store:
            store.ping()
    except (ConfigError, StoreError) as error:
        yield Finding("database", ok=False, text=str(error))
    else:
        yield Finding("database", ok=True, text="opens, and its schema is the newest")


def check_langsmith(source: LangSmith, roster: Roster) -> Iterator[Finding]:
    """Whether the key is good and every queue can be read."""
    try:
        listed = source.queues()
        yield Finding("LangSmith", ok=True, text=f"the key can see {len(listed)} queues")
    except SourceError as error:
        yield Finding("LangSmith", ok=bool(roster.queues), text=f"the queues cannot be listed: {error}")
    roster.refresh()
    for name in sorted(roster.unknown):
        remedy = "correct the name, or give the queue's id; `review-notifier queues` lists what the key can see"
        yield Finding(f"queue {name}", ok=False, text="no queue has this name", remedy=remedy)
    for queue in roster.queues.values():
        try:
            waiting = source.waiting(queue.queue_id)
        except SourceError as error:
            yield Finding(f"queue {queue.name}", ok=False, text=str(error))
        else:
            yield Finding(f"queue {queue.name}", ok=True, text=f"{waiting} waiting")


def check_slack(slack: Slack, settings: Settings, roster: Roster) -> Iterator[Finding]:
    """Whether the token is good, has its scopes, and every channel can be posted to."""
    try:
        identity = slack.identity()
    except DeliveryError as error:
        remedy = "set SLACK_BOT_TOKEN to the app's Bot User OAuth Token (OAuth & Permissions)"
        yield Finding("Slack", ok=False, text=str(error), remedy=remedy)
        return
    yield Finding("Slack", ok=True, text=f"posts as {identity.user} in {identity.team}")
    yield from _check_scopes(identity, settings)
    for channel in sorted(channels_of(settings, roster)):
        yield _check_channel(slack, channel)


def channels_of(settings: Settings, roster: Roster) -> set[str]:
    """Every channel that something may be posted to."""
    rules = [settings.for_queue(queue.queue_id, queue.name) for queue in roster.queues.values()]
    channels = {rule.channel for rule in rules}
    channels |= {rule.escalate_to for rule in rules if rule.escalate_after is not None}
    channels |= {settings.ops_channel} if settings.ops_channel else set()
    return {channel for channel in channels if channel}


def _check_scopes(identity: Identity, settings: Settings) -> Iterator[Finding]:
    if identity.scopes is None:
        yield Finding("Slack scopes", ok=True, text="Slack did not list them")
        return
    reinstall = "add it to the app (OAuth & Permissions) and reinstall the app"
    for scope in sorted(POSTING - identity.scopes):
        yield Finding("Slack scopes", ok=False, text=f"{scope} is missing: nothing can be posted", remedy=reinstall)
    unknown = "is sent again" if settings.defaults.on_unknown is OnUnknown.RESEND else "waits for an operator"
    for scope in sorted(LOOKING_UP - identity.scopes):
        text = f"{scope} is missing: a message whose answer was lost cannot be looked up and {unknown}"
        yield Finding("Slack scopes", ok=False, text=text, remedy=reinstall)
    for scope in sorted(RESOLVING - identity.scopes):
        text = f"{scope} is missing: channels cannot be checked, and not be given by name"
        yield Finding("Slack scopes", ok=False, text=text, remedy=reinstall)
    if identity.scopes >= POSTING | LOOKING_UP | RESOLVING:
        yield Finding("Slack scopes", ok=True, text="complete")


def _check_channel(slack: Slack, channel: str) -> Finding:
    name = f"channel {channel}"
    try:
        found = slack.channel(channel)
    except DeliveryError as error:
        if error.outcome in {Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN}:
            return Finding(name, ok=False, text=str(error), remedy="run `check` again")
        remedy = "give the channel's id (channel details, at the bottom) and invite the app to the channel"
        return Finding(name, ok=False, text=str(error), remedy=remedy)
    if found.is_archived:
        return Finding(name, ok=False, text="is archived", remedy="unarchive it or choose another channel")
    if not found.is_member:
        remedy = f"invite the app: /invite in #{found.name}"
        return Finding(name, ok=False, text=f"the app is not a member of #{found.name}", remedy=remedy)
    by_name = "" if found.channel_id == channel else f"; better give its id {found.channel_id}, a name can change"
    return Finding(name, ok=True, text=f"#{found.name}, the app is a member{by_name}")
