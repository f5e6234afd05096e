"""The words of reports about the worker's own incidents; names and errors in them are raw. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.incidents import Group
from worker.core.overview import NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.incidents import Incident
    from worker.core.overview import Advice


def begun(group: Sequence[Incident], advice: Advice) -> str:
    """One message about incidents of one group that have begun."""
    first = min(group, key=lambda incident: incident.since)
    since = f"since {_minute(first.since)}"
    match first.group:
        case Group.KEY:
            return (
                f"{advice.source} refuses the API key {since}: {first.error}. Nothing is polled until it is accepted: "
                f"{advice.key}. What was posted before stays as it is."
            )
        case Group.LIST:
            return f"The list of queues cannot be read {since}, so new queues are not noticed. Those known are polled."
        case Group.NAME:
            fix = f"{advice.names}, `review-notifier queues` lists what the key can see"
            return f"{_names(group)}: no queue has this name; {fix}."
        case Group.PART:
            return _each(f"{incident.error}. Fix: {incident.fix}." for incident in group)
        case _:
            what = f"{_names(group)} cannot be polled {since}"
            return f"{what}: {first.error}. Nothing is lost: new runs are announced when polling works again."


def ended(group: Sequence[Incident], found: tuple[int, int] | None, advice: Advice) -> str:
    """One message about incidents of one group that have ended; `found` counts what is new and gone (None: unknown)."""
    since = min(incident.since for incident in group)
    until = max(incident.ended_at or since for incident in group)
    match group[0].group:
        case Group.KEY:
            return f"{advice.source} accepts the API key again. {blind(since, until, found)}"
        case Group.LIST:
            return f"The list of queues can be read again; it could not be since {_minute(since)}."
        case Group.NAME:
            return f"{_names(group)}: found now."
        case Group.PART:
            return _each(f"This is over: {incident.error}. It began {_minute(incident.since)}." for incident in group)
        case _:
            return f"{_names(group)} can be polled again. {blind(since, until, found)}"


def blind(since: datetime, until: datetime, found: tuple[int, int] | None) -> str:
    """The sentence about a time in which nothing could be seen, with the numbers of runs that came and left in it."""
    when = f"Blind from {_minute(since)} to {_minute(until)}"
    if found is None:
        return f"{when}."
    new, gone = found
    return f"{when}; found since: {new} new {_runs(new)}, {gone} {_runs(gone)} that left."


def outage(since: datetime, until: datetime, found: tuple[int, int] | None) -> str:
    """The message after a time without any poll: the worker was stopped, asleep, or without its database."""
    return f"The worker polled nothing for a while. {blind(since, until, found)}"


def sunset(api: str, ends_at: datetime, now: datetime, advice: Advice) -> str:
    """The message that the source ends the listing that is in use."""
    days = (ends_at - now).days
    when = f"ends on {ends_at:%Y-%m-%d}" if days >= 0 else f"was to end on {ends_at:%Y-%m-%d}"
    return f"{advice.source}'s `{api}` listing, which this worker reads, {when}. {advice.ending}"


def _each(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" And {len(every) - NAMED} more." if len(every) > NAMED else ""
    return " ".join(every[:NAMED]) + more


def _names(group: Sequence[Incident]) -> str:
    names = ", ".join(incident.name for incident in group[:NAMED])
    more = len(group) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _runs(count: int) -> str:
    return "run" if count == 1 else "runs"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
