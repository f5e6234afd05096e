"""Every reason why the worker is not well, for `status`, the metrics and systemd, and readiness by area. Pure.

They are found in an overview. A part that notices anything else by itself announces it by `Incidents.begin`, so that it
comes here in `Overview.announced`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.core.overview import LATE_AFTER, NAMED, Area, Reason
from worker.core.owed import EVERYWHERE, State
from worker.core.ports import STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from worker.core.model import Difference, Snapshot
    from worker.core.overview import Advice, Overview, QueueView
    from worker.core.owed import Backlog, Pause


UNLISTED_FOR = timedelta(minutes=15)
"""The time for which the list of queues may be unreadable: known queues are polled meanwhile."""

KINDS = (
    "database_failing", "queue_late", "queue_missing", "queue_unknown", "queues_not_listed", "token_refused",
    "channel_refused", "delivery_dead", "delivery_held",
)  # fmt: skip
"""The kinds of the reasons that are found here, except `Advice.unanswered`, which names the notifier.

Reasons that parts announce have kinds of their own."""

UNANSWERED_FOR = timedelta(minutes=5)
"""The time for which the notifier may fail to answer: a short outage needs no operator."""

START_GRACE = "start the service (`review-notifier run`), or let cron call `review-notifier poll` often enough"

STORE_FIX = "make the database usable again: `review-notifier check` says what is wrong with it"


def reasons(overview: Overview) -> tuple[Reason, ...]:
    """Every reason; none where all is well."""
    return (
        *_database(overview),
        *_queues(overview),
        *_roster(overview),
        *(_refusal(pause, overview.advice) for pause in overview.pauses),
        *_unanswered(overview),
        *(_unsettled(backlog) for backlog in overview.backlog if backlog.state in {State.DEAD, State.HELD}),
        *overview.announced,
    )


IN_DATABASE = frozenset(
    {"database_failing", "queue_late", "token_refused", "channel_refused", "delivery_dead", "delivery_held"}
)
"""The kinds that every process finds by a look into the database."""


def only_here(overview: Overview) -> tuple[Reason, ...]:
    """The reasons that another process cannot find by itself."""
    return tuple(reason for reason in reasons(overview) if reason.kind not in IN_DATABASE)


def last_poll(queue: QueueView) -> str:
    """The time of a queue's last complete poll, and the error of its last one."""
    completed_at = queue.polled.completed_at
    when = "never" if completed_at is None else f"{completed_at:%Y-%m-%d %H:%M:%S} UTC"
    because = f" ({queue.polled.error})" if queue.polled.error else ""
    return f"{queue.name}: last complete poll {when}{because}"


def _database(overview: Overview) -> Iterator[Reason]:
    error = overview.store_error
    if not error:
        error = next((queue.polled.error for queue in overview.queues if queue.trouble == STORE), "")
    # A failure that lasts until somebody acts is announced with a fix of its own: do not say it twice.
    if error and all(error != announced.text for announced in overview.announced):
        yield Reason("database_failing", Area.DATABASE, error, STORE_FIX)


def _queues(overview: Overview) -> Iterator[Reason]:
    late = [queue for queue in overview.queues if queue.is_late(overview.taken_at)]
    yield from (_late(queue, overview) for queue in late if not _is_starting(queue, overview))
    if not overview.queues and _is_over(LATE_AFTER * overview.interval, overview):
        since = f" since the start at {overview.started_at:%Y-%m-%d %H:%M:%S} UTC" if overview.started_at else ""
        because = f" ({overview.unlisted})" if overview.unlisted else ""
        fix = START_GRACE if overview.started_at is None else "`review-notifier check` says what is in the way"
        yield Reason("queue_missing", Area.QUEUES, f"no queue has been polled{since}{because}", fix)


def _late(queue: QueueView, overview: Overview) -> Reason:
    polled = queue.polled
    fixes = {**overview.advice.troubles, STORE: STORE_FIX}
    fix = fixes.get(queue.trouble or polled.trouble, "look for `queue_failing` in the service's log")
    if overview.started_at is None:
        fix = START_GRACE if not polled.error else f"{fix}; then {START_GRACE}"
    return Reason("queue_late", Area.QUEUES, last_poll(queue), fix, str(polled.queue.queue_id), polled.failing_since)


def _is_starting(queue: QueueView, overview: Overview) -> bool:
    """Whether a queue that was never polled may still be polled in time."""
    return queue.polled.completed_at is None and not _is_over(LATE_AFTER * queue.interval, overview)


def _is_over(patience: timedelta, overview: Overview) -> bool:
    """Whether the process that works has had the time of `patience` since its start."""
    # Where no process works, there is nothing to wait for.
    return overview.started_at is None or overview.taken_at - overview.started_at > patience


def _roster(overview: Overview) -> Iterator[Reason]:
    correct = f"{overview.advice.names}; `review-notifier queues` lists what the key can see"
    for name in sorted(overview.unknown):
        yield Reason("queue_unknown", Area.QUEUES, f"{name}: no queue has this name", correct, name)
    since = overview.unlisted_since
    if since is not None and overview.queues and overview.taken_at - since > UNLISTED_FOR:
        because = f" ({overview.unlisted})" if overview.unlisted else ""
        text = f"listing the queues has failed since {since:%Y-%m-%d %H:%M} UTC, so new ones go unnoticed{because}"
        yield Reason("queues_not_listed", Area.QUEUES, text, "`review-notifier check` says why", since=since)


def _refusal(pause: Pause, advice: Advice) -> Reason:
    why = pause.error or pause.reason
    since = f"since {pause.since:%Y-%m-%d %H:%M} UTC"
    kept = "what is due is kept, and goes out when it works again"
    if pause.destination == EVERYWHERE:
        fix = f"{advice.token}; {kept}"
        return Reason("token_refused", Area.NOTIFIER, f"has refused the token {since} ({why})", fix, since=pause.since)
    fix = f"`review-notifier check` says what is wrong with the channel; {kept}"
    place = pause.destination.place
    text = f"has refused channel {place} {since} ({why})"
    return Reason("channel_refused", Area.NOTIFIER, text, fix, place, pause.since)


def _unanswered(overview: Overview) -> Iterator[Reason]:
    since = overview.asked.failing_since
    if since is not None and overview.taken_at - since > UNANSWERED_FOR:
        text = f"has not answered since {since:%Y-%m-%d %H:%M} UTC ({overview.asked.error})"
        advice = overview.advice
        fix = f"check this machine's way to {advice.notifier}; what is due is kept, and goes out when it answers"
        yield Reason(advice.unanswered, Area.NOTIFIER, text, fix, since=since)


def _unsettled(backlog: Backlog) -> Reason:
    count = "1 delivery is" if backlog.count == 1 else f"{backlog.count} deliveries are"
    because = f", the last because: {backlog.last_error}" if backlog.last_error else ""
    state = backlog.state.value
    fix = f"`review-notifier deliveries --state {state}` lists them; remove the cause, then `review-notifier retry KEY`"
    return Reason(f"delivery_{state}", Area.DELIVERIES, f"{count} {state}{because}", fix, since=backlog.oldest_at)


class Check(Struct, frozen=True):
    """One condition of being ready; `text` says what is wrong, or that nothing is."""

    name: str
    ok: bool
    text: str


def readiness(overview: Overview) -> tuple[Check, ...]:
    """The conditions: no reason against it, and the first polls and the notifier's first answer have come."""
    found = reasons(overview)
    wrong = {area: [reason.text for reason in found if reason.area is area] for area in _GOOD}
    wrong[Area.QUEUES] += _awaited_polls(overview, found)
    if not any(reason.kind == "token_refused" for reason in found):
        wrong[Area.NOTIFIER] += _awaited_answer(overview)
    name = overview.advice.area
    return tuple(Check(name(area), not texts, _joined(texts) or _GOOD[area](overview)) for area, texts in wrong.items())


def _awaited_polls(overview: Overview, found: Sequence[Reason]) -> Sequence[str]:
    """The polls that are still awaited: no reason yet, but not ready either."""
    known = {reason.subject for reason in found if reason.kind == "queue_late"}
    late = [queue for queue in overview.queues if queue.is_late(overview.taken_at)]
    awaited = [last_poll(queue) for queue in late if str(queue.polled.queue.queue_id) not in known]
    if overview.queues or any(reason.area is Area.QUEUES for reason in found):
        return awaited
    return [f"no queue is polled yet ({overview.unlisted})" if overview.unlisted else "no queue is polled yet"]


def _awaited_answer(overview: Overview) -> Sequence[str]:
    asked = overview.asked
    if asked.taken_at is not None:
        return ()
    return [f"has not answered yet ({asked.error})" if asked.error else "not asked yet"]


def _taken(overview: Overview) -> str:
    at = overview.asked.taken_at
    return f"took the token at {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


_GOOD: Mapping[Area, Callable[[Overview], str]] = {
    Area.DATABASE: lambda _: "answers",
    Area.QUEUES: lambda overview: f"{len(overview.queues)} polled within {LATE_AFTER} intervals",
    Area.NOTIFIER: _taken,
    Area.DELIVERIES: lambda _: "none is dead or held",
}


def _joined(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def rows_text(seen: Snapshot | Difference) -> str:
    """The problem with the rows, and its effect."""
    # Without numbers, so that the words stay the same while it lasts: each change is written to the database.
    if seen.obscured:
        effect = (
            "what they are about is not known, so no run is taken for reviewed meanwhile, and new ones may be missing"
        )
    else:
        effect = "runs that are known already count as waiting, new ones are missing"
    return f"rows of its listing cannot be used: they have no queue_run_id, or are too large; {effect}"
