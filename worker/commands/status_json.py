"""`status --json`: the processes at work, each queue, and every reason why all is not well. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.commands.tables import queue_json, stamp
from worker.commands.upcoming import unpolled_json
from worker.core.owed import State
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.commands.status import ActsOfQueue, Status
    from worker.core.calendar import Calendar
    from worker.core.model import QueueTotals
    from worker.core.overview import LinkState, Process, QueueView, Reason
    from worker.core.status.upcoming import Held


def status_json(found: Status) -> dict[str, Any]:
    """Everything that `status` shows, for programs."""
    services = [_process_json(process) for process in found.services]
    queues = zip(
        found.overview.queues,
        found.standings,
        found.workers,
        found.calendars,
        found.held,
        found.acts,
        strict=True,
    )
    return {
        "running": bool(services),
        "service": services[0] if services else None,
        "services": services,
        "listing": _listing_json(found.listing),
        "queues": [_queue_json(*each, now=found.overview.taken_at) for each in queues],
        "dead": found.count(State.DEAD),
        "held": found.count(State.HELD),
        "unpolled": [unpolled_json(each) for each in found.unpolled],
        "reasons": [_reason_json(reason) for reason in found.reasons],
        "ok": not found.reasons,
    }


def _listing_json(listing: Mapping[str, str | None]) -> dict[str, Any] | None:
    """The listing of the source that is read, as the source has written it down."""
    if not listing:
        return None
    ends_at = listing.get("ends_at")
    return {
        "api": listing.get("name"),
        "ends_at": ends_at and stamp(datetime.fromisoformat(ends_at)),
        "meaning": listing.get("meaning"),
    }


def _process_json(process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "host": process.host,
        "since": stamp(process.started_at),
        "version": process.version,
        "link": None if process.link is None else link_json(process.link),
    }


def link_json(link: LinkState) -> dict[str, Any]:
    """The link by which people are heard, for programs."""
    return {
        "connected_at": stamp(link.connected_at),
        "links": link.links,
        "counted": link.counted,
        "last_pong_at": stamp(link.pong_at),
    }


def _reason_json(reason: Reason) -> dict[str, Any]:
    return {
        "kind": reason.kind,
        "area": ADVICE.area(reason.area),
        "subject": reason.subject or None,
        "text": reason.text,
        "fix": reason.fix,
        "since": stamp(reason.since),
    }


def _queue_json(  # noqa: PLR0913  (all that is known of a queue)
    queue: QueueView,
    standing: QueueTotals,
    worker: str | None,
    calendar: Calendar,
    held: Held,
    acted: ActsOfQueue,
    *,
    now: datetime,
) -> dict[str, Any]:
    """One queue. Ages in whole seconds."""
    polled, oldest = queue.polled, standing.oldest_since
    return {
        **queue_json(polled.queue),
        "waiting": standing.waiting,
        "stale": standing.stale,
        "left_out": standing.left_out,
        "expiring": standing.expiring,
        "expires_at": stamp(standing.expires_at),
        "disagreed": polled.queue.disagreed,
        "oldest_since": stamp(oldest),
        "oldest_age_seconds": None if oldest is None else max(int((now - oldest).total_seconds()), 0),
        "last_complete_poll_at": stamp(polled.completed_at),
        "late": queue.is_late(now),
        "failing_since": stamp(polled.failing_since),
        "error": polled.error or None,
        "undelivered": standing.undelivered,
        "dead": standing.dead,
        "worker": worker,
        "open": calendar.is_open(now),
        "held_until": stamp(held.until),
        "claimed": acted.claimed,
        "snoozed": acted.snoozed,
        "muted_until": stamp(acted.muted_until),
    }
