"""Plans: the decision of one poll, and a last look before a send. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from msgspec import structs

from worker.core.diff import diff, is_bare
from worker.core.model import LISTED, Kind
from worker.core.owed import Notice
from worker.core.policy import Step, age_of, notified_age, spoken_until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from worker.core.diff import Diff
    from worker.core.model import Id, Memory, Review, Snapshot
    from worker.core.policy import EscalationPolicy

NAMESPACE = UUID("6f0d3c1e-5a53-4a43-9d0b-0d2f6d2c7b11")
"""The namespace of delivery keys. Never change it: every notice in flight would be sent twice."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision of one poll: reviews to write (new or changed), notices to owe, the listing to remember.

    `revision` is the revision of the memory that the decision was made on.
    """

    reviews: tuple[Review, ...] = ()
    notices: tuple[Notice, ...] = ()
    next_due_at: datetime | None = None
    revision: int = 0
    listing: str = ""


def plan(snapshot: Snapshot, memory: Memory, policy: EscalationPolicy, now: datetime) -> Plan:
    """Decide which reviews one complete listing of a queue changes, and which notices are owed for it.

    `next_due_at` is by the clock that dated the runs.
    """
    is_switched = memory.listing not in {"", snapshot.listing}
    found = diff(snapshot, memory.reviews, now, is_switched=is_switched)
    # Ages are judged by the clock that dated the runs: ours may be wrong, and then all of them would be.
    there = now - snapshot.ahead
    revealed = snapshot.revealed if is_switched else frozenset()
    first, later = _apart(found.open, revealed, baselined=memory.baselined)
    due = _baseline(first, policy) | _due(later, policy, there)
    # By identity: a key takes longer to build and to compare than the decision itself.
    until = {step: policy.spoken_at_baseline if step.kind is Kind.BASELINE else spoken_until for step in due}
    spoken = {id(review): _spoken(review, until[step](review, there)) for step in due for review in due[step]}
    notices = [_notice(snapshot.queue.queue_id, step, [spoken[id(review)] for review in due[step]]) for step in due]
    altered = {id(review): review for review in found.changed} | spoken
    after = [spoken.get(id(review), review) for review in found.open] if spoken else found.open
    due_at = _next_due_at(found, after, policy, there)
    return Plan(tuple(altered.values()), tuple(notices), due_at, memory.revision, snapshot.listing)


def undescribed(decided: Plan) -> set[Id]:
    """The runs that the messages of a plan will list without knowing more than that they wait."""
    listed = {key.queue_run_id for notice in decided.notices for key in notice.reviews[:LISTED]}
    return {
        review.queue_run_id for review in decided.reviews if review.queue_run_id in listed and is_bare(review.facts)
    }


def still_owed(
    reviews: Iterable[Review], as_of: datetime | None = None
) -> tuple[tuple[Review, ...], tuple[Review, ...]]:
    """Split a delivery's reviews into those that still wait and those that have left.

    With `as_of` it is the split at that time: the one that an attempt which began then has shown.
    """
    owed: list[Review] = []
    gone: list[Review] = []
    for review in reviews:
        (gone if _had_left(review, as_of) else owed).append(review)
    return tuple(owed), tuple(gone)


def notice_key(queue_id: Id, kind: Kind, channel: str, reviews: Iterable[Review]) -> UUID:
    """Name a notice by its content, so that the same decision always has the same key."""
    # Sorted, because the order of a listing means nothing; another worker may have read it in another order.
    spoken = sorted(f"{r.queue_run_id}@{r.added_at and r.added_at.isoformat()}#{r.generation}" for r in reviews)
    return uuid5(NAMESPACE, "\n".join((str(queue_id), kind, channel, *spoken)))


def _had_left(review: Review, as_of: datetime | None) -> bool:
    return review.closed_at is not None and (as_of is None or review.closed_at <= as_of)


def _baseline(waiting: Sequence[Review], policy: EscalationPolicy) -> dict[Step, list[Review]]:
    """The step at first sight: everything that waits in one notice, whatever its age."""
    return {replace(policy.steps[0], kind=Kind.BASELINE): list(waiting)} if waiting else {}


def _apart(
    waiting: Sequence[Review], revealed: Collection[Id], *, baselined: bool
) -> tuple[Sequence[Review], Sequence[Review]]:
    """Split the reviews into those of a baseline and the others."""
    if not baselined:
        return waiting, ()
    if not revealed:
        return (), waiting
    # The listing used before could not show these runs: they may have waited for weeks, so they are not new.
    are_first = [review.told_at is None and review.queue_run_id in revealed for review in waiting]
    first = [review for review, is_first in zip(waiting, are_first, strict=True) if is_first]
    return first, [review for review, is_first in zip(waiting, are_first, strict=True) if not is_first]


def _due(waiting: Sequence[Review], policy: EscalationPolicy, now: datetime) -> dict[Step, list[Review]]:
    """The reviews by the step that is due for them, with those whose repeat is near enough to join."""
    due: defaultdict[Step, list[Review]] = defaultdict(list)
    rest: list[Review] = []
    for review in waiting:
        step = policy.due(review, now)
        (rest if step is None else due[step]).append(review)
    # A second pass, because a review joins only what goes out anyway: that is known once all have been looked at.
    for review in rest:
        step = next((step for step in due if _joins(step, review, policy, now)), None)
        if step is not None:
            due[step].append(review)
    return due


def _joins(step: Step, review: Review, policy: EscalationPolicy, now: datetime) -> bool:
    return step in policy.steps_for(review) and step.may_join(notified_age(review), age_of(review, now))


def _spoken(review: Review, told_at: datetime) -> Review:
    return structs.replace(review, told_at=told_at, generation=review.generation + 1)


def _notice(queue_id: Id, step: Step, reviews: list[Review]) -> Notice:
    oldest_first = sorted(reviews, key=lambda review: (review.since, str(review.queue_run_id)))
    return Notice(
        key=notice_key(queue_id, step.kind, step.channel, reviews),
        kind=step.kind,
        channel=step.channel,
        reviews=tuple(review.key for review in oldest_first),
        mention=step.mention,
        remind_in=step.remind_in,
    )


def _next_due_at(found: Diff, waiting: Iterable[Review], policy: EscalationPolicy, now: datetime) -> datetime | None:
    """The time from which on even an unchanged listing has to be decided on again."""
    # A first absence has to be confirmed or refuted by the very next listing, changed or not.
    if found.unsure:
        return now
    return min((at for review in waiting if (at := policy.next_due_at(review)) is not None), default=None)
