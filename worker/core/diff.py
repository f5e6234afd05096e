"""One snapshot against memory: what is new, back, still there, gone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from worker.core.model import Facts, Review

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from worker.core.model import Id, QueueRun, Snapshot

SAME_INSTANT = timedelta(seconds=1)
"""Two listings may give one date with more or with fewer digits; nobody puts a run back within a second."""


@dataclass(frozen=True, slots=True)
class Diff:
    """What a snapshot changes.

    `open` is everything that waits now; `changed` is every review to write, open or closed. `unsure` tells that
    something was absent for the first time and has to be looked for again.
    """

    open: tuple[Review, ...]
    changed: tuple[Review, ...]
    unsure: bool


def digest(runs: Iterable[QueueRun]) -> int:
    """Fingerprint a listing whatever its order, for a source; equal digests mean that a diff would change nothing.

    Facts are left out: they belong to the traced run, which has ended. Only good within one process.
    """
    # Not a sum of the hashes: it is the same, one time in ten, when two runs exchange what they differ in.
    return hash(
        frozenset((run.queue_run_id, run.added_at, run.effective_added_at, run.reserved, run.done) for run in runs)
    )


def is_bare(facts: Facts) -> bool:
    """Whether nothing is known of a run but its link."""
    return facts == Facts(url=facts.url)


def wait_began(run: QueueRun, believed: datetime, now: datetime) -> datetime:
    """When the run's wait began, as its date says; what we believed so far where it says nothing.

    A date in the future is no beginning, for it would never become stale. Where our clock was set back every date may
    look like one: what was believed stays, so that nothing is told again when the clock is right again.
    """
    began = run.effective_added_at or run.added_at
    return began if began is not None and began <= now else believed


def is_newer(run: QueueRun, review: Review) -> bool:
    """Whether this is another stay than the remembered one: put into the queue again, later.

    Without a date in memory the run must have been added after we first saw it. Any other difference (an older date,
    a date that is gone) is the same stay with its date changed: nobody put anything into the queue.
    """
    if run.added_at is None:
        return False
    return run.added_at - _entered(review) >= SAME_INSTANT


def diff(snapshot: Snapshot, reviews: Sequence[Review], now: datetime, *, is_switched: bool = False) -> Diff:
    """Compare one complete listing with what is remembered of the queue.

    `is_switched` tells that what is remembered was seen in another listing, which may give runs other ids.
    What has to do with dates of runs is by the clock that gave them; when something left is by ours, as deliveries are.
    """
    there = now - snapshot.ahead
    twins = _twins(snapshot, reviews) if is_switched else {}
    stays = _newest_stays(reviews) | twins
    seen = [_see(run, stays.get(run.queue_run_id), there) for run in snapshot.runs]
    current = {review.queue_run_id: review for review in seen}
    missed = [review for review in reviews if review.is_open and _is_missed(review, current)]
    renamed = {twin.run_id for twin in twins.values()}
    accounted = [review.queue_run_id in current or review.run_id in renamed for review in missed]
    after = [_miss(review, now, snapshot, proof=proof) for review, proof in zip(missed, accounted, strict=True)]
    untouched = {id(review) for review in reviews}
    altered = [review for review in (*seen, *after) if id(review) not in untouched]
    runs = {review.queue_run_id for review in altered}
    before = {review.key: review for review in reviews if review.queue_run_id in runs}
    changed = tuple(review for review in altered if before.get(review.key) != review)
    waiting = tuple(review for review in (*seen, *after) if review.is_open)
    unsure = any(review.is_open and review.run_id not in snapshot.strays for review in after)
    return Diff(open=waiting, changed=changed, unsure=unsure)


def _is_missed(review: Review, current: Mapping[Id, Review]) -> bool:
    """Whether the listing does not show this stay: its run is gone, or has begun another."""
    seen = current.get(review.queue_run_id)
    return seen is not review and (seen is None or seen.added_at != review.added_at)


def _twins(snapshot: Snapshot, reviews: Iterable[Review]) -> dict[Id, Review]:
    """What is known of runs that the other listing shows by another id: the same stays, under the ids shown now."""
    listed = {run.queue_run_id for run in snapshot.runs}
    known = {review.queue_run_id for review in reviews}
    lost = {review.run_id: review for review in reviews if review.is_open and review.queue_run_id not in listed}
    return {
        run.queue_run_id: structs.replace(lost[run.run_id], queue_run_id=run.queue_run_id, added_at=run.added_at)
        for run in snapshot.runs
        if run.run_id is not None and run.run_id in lost and run.queue_run_id not in known
    }


def _newest_stays(reviews: Iterable[Review]) -> dict[Id, Review]:
    """The last stay of each queue run: the only one that a listing can mean."""
    newest: dict[Id, Review] = {}
    for review in reviews:
        other = newest.get(review.queue_run_id)
        if other is None or _entered(review) > _entered(other):
            newest[review.queue_run_id] = review
    return newest


def _entered(review: Review) -> datetime:
    """When the run was put into the queue, as far as we know."""
    return review.added_at or review.first_seen_at


def _see(run: QueueRun, review: Review | None, now: datetime) -> Review:
    """The review that this listed run belongs to, as it is now."""
    if review is None or is_newer(run, review):
        return _begin(run, now, back=review is not None)
    since = wait_began(run, review.since, now)
    facts = _better(run.facts, review.facts)
    told_at = _told_at(since, review)
    if _is_settled(review) and (since, told_at, run.reserved, run.done, facts) == (
        review.since,
        review.told_at,
        review.reserved,
        review.done,
        review.facts,
    ):
        return review
    return structs.replace(
        review,
        since=since,
        told_at=told_at,
        reserved=run.reserved,
        done=run.done,
        facts=facts,
        absent_at=None,
        closed_at=None,
        fate=None,
    )


def _is_settled(review: Review) -> bool:
    """Whether being seen again changes nothing of where it stands."""
    return review.is_open and review.absent_at is None and review.fate is None


def _told_at(since: datetime, review: Review) -> datetime | None:
    """Up to when a review has been spoken of, whose wait began at another time than was believed.

    Where it began later, the instant stays. Where it began earlier, the instant moves with it: the run is older than
    the notices said, so a step that its true age has reached is still due.
    """
    if review.told_at is None or since == review.since:
        return review.told_at
    return since + (review.told_at - review.since) if since < review.since else max(review.told_at, since)


def _begin(run: QueueRun, now: datetime, *, back: bool) -> Review:
    """A stay that was never seen before."""
    return Review(
        queue_run_id=run.queue_run_id,
        added_at=run.added_at,
        run_id=run.run_id,
        since=wait_began(run, now, now),
        first_seen_at=now,
        back=back,
        reserved=run.reserved,
        done=run.done,
        facts=run.facts,
    )


def _better(fresh: Facts, known: Facts) -> Facts:
    """A listing that shows no facts, or has lost a run's name for a while, does not take them from us."""
    if fresh.name or (not known.name and (not is_bare(fresh) or is_bare(known))):
        return fresh
    return known if known.url else structs.replace(known, url=fresh.url)


def _miss(review: Review, now: datetime, snapshot: Snapshot, *, proof: bool) -> Review:
    """An absence closes a review where it is proof, or the second in a row.

    It is none where a row that cannot be used names the run, and tells nothing in a list that moved, or that has rows
    of which nobody knows whose they are.
    """
    if not proof and review.run_id in snapshot.strays:
        return review if review.absent_at is None else structs.replace(review, absent_at=None)
    if not proof and (snapshot.moved or snapshot.obscured):
        return review
    if proof or snapshot.one_page or review.absent_at is not None:
        return structs.replace(review, absent_at=None, closed_at=now)
    return structs.replace(review, absent_at=now)
