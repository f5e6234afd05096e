"""Compares one snapshot with memory: runs that are new, back, still there, gone. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.actions import unclaimed
from worker.core.filters import known_traits
from worker.core.model import NO_ACTS, NO_TRAITS, Facts, Review

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from worker.core.model import Acts, Difference, Id, QueueRun, Snapshot, Who

SAME_INSTANT = timedelta(seconds=1)
"""Dates that differ by less are the same: listings give them with more or with fewer digits."""


SAME_EXPIRY = timedelta(days=1)


class Diff(Struct, frozen=True):
    """The changes that a snapshot makes to memory.

    `open` is everything that waits now; `changed` is every review to write, open or closed. `unsure` is True where a
    run was absent for the first time, so that the next listing has to confirm it; `unlisted` is all that waits though
    the listing does not show it.
    """

    open: tuple[Review, ...]
    changed: tuple[Review, ...]
    unsure: bool
    unlisted: tuple[Id, ...] = ()


def digest(runs: Iterable[QueueRun]) -> int:
    """Fingerprint a listing for a source, whatever its order; equal digests mean that a diff would change nothing.

    It is good within one process only, as Python salts the hashes of text.
    """
    # Facts are left out: they belong to the traced run, which has ended and does not change.
    # Not a sum of the hashes: one time in ten it stays the same when two runs swap the values that they differ in.
    return hash(
        frozenset(
            (run.queue_run_id, run.added_at, run.effective_added_at, run.reserved, run.done, run.who) for run in runs
        )
    )


def is_bare(facts: Facts) -> bool:
    """Whether nothing is known of a run but its link."""
    return facts == Facts(url=facts.url)


def wait_began(run: QueueRun, believed: datetime, now: datetime) -> datetime:
    """The time at which the run's wait began: its date, or the time `believed` so far where it has no usable date."""
    # A date in the future is not usable: the run would never become stale. After our clock was set back, every date
    # may look like that; keeping the believed time means that nothing is announced again once the clock is right.
    began = run.effective_added_at or run.added_at
    return began if began is not None and began <= now else believed


def is_early(run: QueueRun, now: datetime) -> bool:
    """Whether the run's wait begins in the future, by its date."""
    began = run.effective_added_at or run.added_at
    return began is not None and began > now


def is_newer(run: QueueRun, review: Review) -> bool:
    """Whether this is another stay than the remembered one: the run was put into the queue again, later.

    Where memory has no date, the run must have been added after we first saw it.
    """
    # A date that is older now, or gone, is the same stay with a corrected date: the run was not put in again.
    if run.added_at is None:
        return False
    # People cannot take a run out and put it back within a second, so none is missed by this.
    return run.added_at - _entered(review) >= SAME_INSTANT


def diff(seen: Snapshot | Difference, reviews: Sequence[Review], now: datetime, *, is_switched: bool = False) -> Diff:
    """Compare one complete listing with the remembered reviews of the queue, or a difference with those it concerns.

    `is_switched` says that the reviews were seen in another listing, which may give runs other ids.
    """
    # Waits are measured by the clock that dated the runs; `closed_at` is by ours, as the times of deliveries are.
    there = now - seen.ahead
    twins = _twins(seen.runs, reviews) if is_switched else {}
    newest = _newest_stays(reviews)
    stays = newest | twins if twins else newest
    listed = [_see(run, stays.get(run.queue_run_id), there) for run in seen.runs]
    # By identity first: most reviews of a large queue are unchanged, and an id takes long to find, as do all fields.
    same = {id(review) for review in listed}
    others = [review for review in reviews if review.closed_at is None and id(review) not in same]
    current = {review.queue_run_id: review for review in listed} if others else {}
    missed = [review for review in others if _is_missed(review, current)]
    renamed = {twin.run_id for twin in twins.values()}
    accounted = [review.queue_run_id in current or review.run_id in renamed for review in missed]
    after = [_miss(review, now, seen, proof=proof) for review, proof in zip(missed, accounted, strict=True)]
    untouched = {id(review) for review in reviews}
    altered = [review for review in (*listed, *after) if id(review) not in untouched]
    changed = tuple(review for review in altered if newest.get(review.queue_run_id) != review)
    unlisted = [review for review in after if review.is_open]
    waiting = (*listed, *unlisted)
    unsure = any(review.run_id not in seen.strays for review in unlisted)
    return Diff(waiting, changed, unsure, tuple(review.queue_run_id for review in unlisted))


def _is_missed(review: Review, current: Mapping[Id, Review]) -> bool:
    """Whether the listing does not show this stay: its run is gone, or has begun another."""
    seen = current.get(review.queue_run_id)
    return seen is not review and (seen is None or seen.added_at != review.added_at)


def _twins(runs: Collection[QueueRun], reviews: Iterable[Review]) -> dict[Id, Review]:
    """Reviews of runs that the other listing shows by another id: the same stays, under the ids shown now."""
    listed = {run.queue_run_id for run in runs}
    known = {review.queue_run_id for review in reviews}
    lost = {review.run_id: review for review in reviews if review.is_open and review.queue_run_id not in listed}
    return {
        run.queue_run_id: replace(lost[run.run_id], queue_run_id=run.queue_run_id, added_at=run.added_at)
        for run in runs
        if run.run_id is not None and run.run_id in lost and run.queue_run_id not in known
    }


def _newest_stays(reviews: Iterable[Review]) -> dict[Id, Review]:
    """The last stay of each queue run, which is the only one that a listing can mean."""
    newest: dict[Id, Review] = {}
    for review in reviews:
        other = newest.setdefault(review.queue_run_id, review)
        if other is not review and _entered(review) > _entered(other):
            newest[review.queue_run_id] = review
    return newest


def _entered(review: Review) -> datetime:
    """The time at which the run was put into the queue, as far as we know."""
    return review.added_at or review.first_seen_at


def _see(run: QueueRun, review: Review | None, now: datetime) -> Review:
    """The review that this listed run belongs to, as it is now."""
    if review is None:
        return begin_review(run, now, back=False)
    # The very same object where nothing changed: by that, diff() sees what it need not write.
    if _is_settled(review) and _shows(run, review, now):
        return review
    if is_newer(run, review):
        return begin_review(run, now, back=True)
    since = wait_began(run, review.since, now)
    facts = _better(run.facts, review.facts)
    told_at = _spoken_until(since, review)
    return replace(
        review,
        since=since,
        told_at=told_at,
        reserved=run.reserved,
        done=run.done,
        who=_who(run, review),
        acts=_acts(run, review),
        facts=facts,
        traits=known_traits(run.traits, review.traits),
        absent_at=None,
        closed_at=None,
        fate=None,
        expires_at=_expiry(run, review),
    )


def _acts(run: QueueRun, review: Review) -> Acts:
    """What people have said of a run: that it is reserved or reviewed at the source ends a claim."""
    if review.acts is NO_ACTS:
        return NO_ACTS
    is_reserved = run.reserved and not review.reserved
    is_reviewed = run.done > review.done or not set(run.who.completed_by) <= set(review.who.completed_by)
    return unclaimed(review.acts) if is_reserved or is_reviewed else review.acts


def _who(run: QueueRun, review: Review) -> Who:
    """Whom the listing names; one that knows no assignments leaves those that another has shown."""
    known = review.who.assigned_to
    # Else a single poll by the older listing would make a run the turn of all reviewers of its queue.
    return run.who if run.shows_assigned or not known else replace(run.who, assigned_to=known)


def _expiry(run: QueueRun, review: Review) -> datetime | None:
    """When the run's trace expires: a listing that does not know it, or says almost the same, is no news."""
    fresh, known = run.expires_at, review.expires_at
    if fresh is None or known is None:
        return fresh or known
    # Retention is counted in days. Were it given as what is left of it, it would be news at each poll.
    return known if abs(fresh - known) < SAME_EXPIRY else fresh


def _is_settled(review: Review) -> bool:
    """Whether being seen again leaves the review as it is."""
    return review.closed_at is None and review.absent_at is None and review.fate is None


def _shows(run: QueueRun, review: Review, now: datetime) -> bool:
    """Whether a listed run is in every respect as it is remembered."""
    if run.added_at != review.added_at or run.reserved != review.reserved or run.done != review.done:
        return False
    if run.expires_at is not None and _expiry(run, review) != review.expires_at:
        return False
    return (
        (run.who == review.who or _who(run, review) == review.who)
        and (run.traits is NO_TRAITS or known_traits(run.traits, review.traits) == review.traits)
        and wait_began(run, review.since, now) == review.since
        and (run.facts == review.facts or _better(run.facts, review.facts) == review.facts)
    )


def _spoken_until(since: datetime, review: Review) -> datetime | None:
    """The instant up to which a review has been spoken of, once its wait is known to have begun at `since`."""
    if review.told_at is None or since == review.since:
        return review.told_at
    # Begun later than believed: the instant stays. Begun earlier: it moves along, for the run is older than the
    # notices said, and a step that its true age has reached is still due.
    return since + (review.told_at - review.since) if since < review.since else max(review.told_at, since)


def begin_review(run: QueueRun, now: datetime, *, back: bool) -> Review:
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
        who=run.who,
        facts=run.facts,
        traits=run.traits,
        expires_at=run.expires_at,
    )


def _better(fresh: Facts, known: Facts) -> Facts:
    """The better of two descriptions of a run."""
    # A listing that shows no facts, or has lost a run's name for a while, must not overwrite what we know.
    if fresh.name or (not known.name and (not is_bare(fresh) or is_bare(known))):
        return fresh
    return known if known.url else replace(known, url=fresh.url)


def _miss(review: Review, now: datetime, seen: Snapshot | Difference, *, proof: bool) -> Review:
    """The review of a run that the listing does not show: closed where that is proof, or the second time in a row."""
    # A row that cannot be used names the run: it is not absent.
    if not proof and review.run_id in seen.strays:
        return review if review.absent_at is None else replace(review, absent_at=None)
    # The run may be among the rows that slipped by unread, or that name no run: neither present nor absent.
    if not proof and (seen.moved or seen.obscured):
        return review
    # In a listing of several pages a run can slip from one to the other between two requests.
    if proof or seen.one_page or review.absent_at is not None:
        return replace(review, absent_at=None, closed_at=now, acts=NO_ACTS)
    return replace(review, absent_at=now)
