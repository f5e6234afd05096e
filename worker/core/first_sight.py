"""The decision at the first sight of a queue: all that waits is spoken of in one notice. Pure.

It is what `plan` decides where nothing is remembered yet, in one pass: there may be very many runs.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from worker.core.diff import begin_review, is_early
from worker.core.filters import NO_FILTERS
from worker.core.model import Entry, Kind, ReviewKey, Window
from worker.core.moment import Moment, decides_at
from worker.core.owed import Notice
from worker.core.plan import Plan, Remainder, is_muted, key_of, oldest_first, said_of
from worker.core.remade import Remade

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from worker.core.model import Memory, QueueRun, Review, Snapshot
    from worker.core.policy import EscalationPolicy


def is_first_sight(snapshot: Snapshot, memory: Memory, policy: EscalationPolicy, now: datetime) -> bool:
    """Whether a listing is all that is known of a queue, and may be spoken of now."""
    is_new = not memory.baselined and not memory.reviews and len(snapshot.runs) > 0
    there = now - snapshot.ahead
    return is_new and policy.filters is NO_FILTERS and policy.calendar.may_post(there) and not is_muted(memory, there)


def plan_first_sight(snapshot: Snapshot, memory: Memory, policy: EscalationPolicy, now: datetime) -> Plan:
    """Decide on a first sight. Where runs are made again whenever they are needed, reviews are too."""
    there = now - snapshot.ahead
    reviews = _spoken(snapshot.runs, policy, there)
    seen = _Seen()
    dues = tuple(array("q", sorted(some)) for some in Moment.of(policy, there).dues(map(seen.take, reviews)))
    notice = _notice(snapshot, seen, policy)
    opened = Window(there, notice.key, Entry.MERGE)
    due_at = decides_at(dues, policy, opened, there)
    # The date of one that is still to come is that of no wait: it is taken to begin now.
    may_be_early = seen.latest == there
    again = tuple(run for run in snapshot.runs if is_early(run, there)) if may_be_early else ()
    return Plan(
        reviews=reviews,
        notices=(notice,),
        next_due_at=due_at,
        revision=memory.revision,
        listing=snapshot.listing,
        opened=opened,
        remainder=Remainder(dues, due_at, again=again),
    )


class _Seen(Struct):
    """What is kept of reviews as they pass by: each may be made for that, and let go after it."""

    said: list[bytes] = field(default_factory=list)
    aged: list[tuple[datetime, ReviewKey]] = field(default_factory=list)
    latest: datetime | None = None

    def take(self, review: Review) -> Review:
        self.said.append(said_of(review))
        self.latest = review.since if self.latest is None else max(self.latest, review.since)
        self.aged.append((review.since, ReviewKey(review.queue_run_id, review.added_at)))
        return review


def _spoken(runs: Collection[QueueRun], policy: EscalationPolicy, there: datetime) -> Collection[Review]:
    escalates = any(step.kind is Kind.ESCALATION for step in policy.steps)

    def speak(run: QueueRun) -> Review:
        review = begin_review(run, there, back=False)
        told_at = policy.spoken_at_baseline(review, there) if escalates else there
        return replace(review, told_at=told_at, generation=1)

    def every() -> Iterator[Review]:
        return map(speak, runs)

    return Remade(len(runs), every) if isinstance(runs, Remade) else tuple(every())


def _notice(snapshot: Snapshot, seen: _Seen, policy: EscalationPolicy) -> Notice:
    step = policy.steps[0]
    return Notice(
        key=key_of(snapshot.queue.queue_id, Kind.BASELINE, step.destination, seen.said),
        kind=Kind.BASELINE,
        destination=step.destination,
        reviews=oldest_first(seen.aged),
        mention=step.mention,
        remind_in=step.remind_in,
        purposes=(Kind.BASELINE,) * len(seen.aged),
    )
