"""The words of reports about the worker's own incidents; names and errors in them are raw. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.core.incidents import Group
from worker.core.model import TEXT_ONLY, Kind
from worker.core.overview import NAMED
from worker.core.text import marked_place, unmarked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.incidents import Incident
    from worker.core.overview import Advice

_MESSAGES = {
    Kind.BASELINE: "a baseline",
    Kind.ANNOUNCEMENT: "an announcement",
    Kind.REMINDER: "a reminder",
    Kind.ESCALATION: "an escalation",
    Kind.DIRECT: "a direct message",
    Kind.REPORT: "a report",
    Kind.OPS: "a report to the operators",
    Kind.TEST: "a test message",
}


def message_named(kind: str, runs: int, queue: str) -> str:
    """What a message is called: `a reminder of 4 runs in Support QA`; without runs and queue where there are none."""
    what = _MESSAGES.get(Kind(kind), kind) if kind in _KINDS else kind
    of = "about" if kind == Kind.DIRECT else "of"
    about = f" {of} {runs:,} {_runs(runs)}" if runs and kind not in TEXT_ONLY else ""
    return f"{what}{about}{f' in {queue}' if queue else ''}"


_KINDS = frozenset(Kind)


def begun(group: Sequence[Incident], advice: Advice) -> str:
    """One message about incidents of one group that have begun; its marks are ours."""
    group = [_unmarked(incident) for incident in group]
    first = min(group, key=lambda incident: incident.since)
    since = f"since {_minute(first.since)}"
    match first.group:
        case Group.KEY:
            return (
                f"{advice.source} has refused the API key {since}: {first.error}. "
                f"Nothing is polled until it is accepted: {advice.key}. {_waiting(group)}"
                "What was posted before stays as it is. `review-notifier check` tries the key."
            )
        case Group.LIST:
            what = f"Listing the queues has failed {since}, so new queues are not noticed. Known ones are polled."
            return f"{what} `review-notifier queues` tries it."
        case Group.NAME:
            fix = f"{advice.names}, `review-notifier queues` lists what the key can see"
            return f"{_names(group)}: no queue has this name; {fix}."
        case Group.PART:
            return _each(f"{incident.error}. Fix: {incident.fix}." for incident in group)
        case _:
            what = f"Polling {_names(group, with_channels=True)} has failed {since}"
            lost = "Nothing is lost: new runs are announced when polling works again."
            return f"{what}: {first.error}. {_waiting(group)}{lost} `review-notifier check` tries to read each queue."


def ended(group: Sequence[Incident], found: tuple[int, int] | None, advice: Advice) -> str:
    """One message about incidents of one group that have ended; `found` counts what is new and gone (None: unknown)."""
    since = min(incident.since for incident in group)
    until = max(incident.ended_at or since for incident in group)
    match group[0].group:
        case Group.KEY:
            return f"{advice.source} accepts the API key again. {blind(since, until, found)}"
        case Group.LIST:
            return f"The queues can be listed again; that had failed since {_minute(since)}."
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
    return f"{advice.source}'s listing {api}, which this worker reads, {when}. {advice.ending}"


def _each(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" And {len(every) - NAMED} more." if len(every) > NAMED else ""
    return " ".join(every[:NAMED]) + more


def _unmarked(incident: Incident) -> Incident:
    return replace(incident, name=unmarked(incident.name), error=unmarked(incident.error), fix=unmarked(incident.fix))


def _names(group: Sequence[Incident], *, with_channels: bool = False) -> str:
    names = ", ".join(_named(incident) if with_channels else incident.name for incident in group[:NAMED])
    more = len(group) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _named(incident: Incident) -> str:
    return f"{incident.name} (for {marked_place(incident.channel)})" if incident.channel else incident.name


def _waiting(group: Iterable[Incident]) -> str:
    count = sum(incident.waiting for incident in group)
    return f"{count:,} {_runs(count)} waited there at the last poll. " if count else ""


def _runs(count: int) -> str:
    return "run" if count == 1 else "runs"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
