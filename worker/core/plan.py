"""One poll's decision, and a last look before a send. Pure."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from hashlib import sha1
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from worker.core.actions import with_ends
from worker.core.diff import diff, is_bare, is_early
from worker.core.history import NO_TALLY, Tally
from worker.core.model import LISTED, Entry, Kind, ReviewKey, Window
from worker.core.moment import Moment, decides_at, dues_together, dues_without
from worker.core.owed import Notice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.core.audience import Turns
    from worker.core.diff import Diff
    from worker.core.model import Difference, Id, Memory, QueueRun, RemindIn, Review, Snapshot
    from worker.core.owed import Destination
    from worker.core.policy import EscalationPolicy, Step

NAMESPACE = UUID("6f0d3c1e-5a53-4a43-9d0b-0d2f6d2c7b11")
"""Makes delivery keys ours alone; changing it would send every notice in flight twice."""

MOST_DIRECT = 100
"""Of so many runs the names are asked for before people are notified directly; those of others come by an edit."""


class Remainder(Struct, frozen=True):
    """What a decision leaves for the next one, should that be on a difference alone; in memory only.

    `dues` are for each step of the ladder, and for its repeats, the instants since which runs wait for it, in
    microseconds since 1970; `due_at` is when something has to be decided although nothing is listed otherwise.
    `unlisted` are the queue runs that wait though the listing does not show them; `unsure` is True where some of them
    are absent for the first time. `again` are listed ones to be looked at at every decision: they have not been spoken
    of, or their date is still to come. `turns` says whose turn the runs were (None: no one was notified directly).
    """

    dues: tuple[Sequence[int], ...] = ()
    due_at: datetime | None = None
    unlisted: tuple[Id, ...] = ()
    unsure: bool = False
    again: tuple[QueueRun, ...] = ()
    turns: Turns | None = None


class Plan(Struct, frozen=True):
    """What one poll decided: the reviews to write (new or altered), the notices to owe, the listing to remember.

    `closed` are the queue runs of those reviews that do not wait any more.
    `entered` are reviews that the message of the open window is to show by an edit; `opened` is a window that one of
    the notices opens. `held_until` is when what is held may go out at last (None: nothing is). `is_baselined` is False
    where the queue's first sight itself is held: then the next poll begins again. `revision` is that of the memory
    that it was decided on. `tally` is what it adds to the queue's past.
    """

    reviews: Collection[Review] = ()
    notices: tuple[Notice, ...] = ()
    next_due_at: datetime | None = None
    revision: int = 0
    listing: str = ""
    entered: tuple[ReviewKey, ...] = ()
    opened: Window | None = None
    held_until: datetime | None = None
    is_baselined: bool = True
    closed: tuple[Id, ...] = ()
    remainder: Remainder = Remainder()
    tally: Tally = NO_TALLY


def plan(snapshot: Snapshot, memory: Memory, policy: EscalationPolicy, now: datetime) -> Plan:
    """Decide what one complete listing of a queue changes in memory, and which notices are owed to whom.

    `next_due_at` is by the clock that the runs have their dates from: ours less `snapshot.ahead`.
    """
    if policy.turns is not None and not memory.baselined:
        # A queue's first sight is the channel's, whoever is notified later: held, it comes due at the opening.
        decided = plan(snapshot, memory, replace(policy, turns=None), now)
        return replace(decided, remainder=replace(decided.remainder, turns=policy.turns))
    is_switched = memory.listing not in {"", snapshot.listing}
    there = now - snapshot.ahead
    found = _judged(_without_ended(diff(snapshot, memory.reviews, now, is_switched=is_switched), there), policy)
    revealed = snapshot.revealed if is_switched else frozenset()
    found, silent = _beside_the_channel(found, policy)
    first, later = _apart(found.open, revealed, baselined=memory.baselined)
    is_held = bool(first) and (not policy.calendar.may_post(there) or is_muted(memory, there))
    moment = Moment.of(policy, there)
    due = _due(later, moment, memory)
    if first and not is_held:
        due.parts.extend(_first_sight(first, policy, there))
    decided = _decided(snapshot, memory, found, due, moment, (), silent)
    # A listing that shows more than the other one is not concluded before that first sight is spoken of.
    if is_held:
        listing = memory.listing if memory.baselined else snapshot.listing
        return replace(decided, listing=listing, is_baselined=memory.baselined)
    return decided


def widened(difference: Difference, remainder: Remainder) -> Difference:
    """The difference with what the last decision left to be looked at again, whether it is listed or not."""
    shown = {run.queue_run_id for run in difference.runs}
    gone = dict.fromkeys((*difference.gone, *(one for one in remainder.unlisted if one not in shown)))
    again = (run for run in remainder.again if run.queue_run_id not in gone and run.queue_run_id not in shown)
    return replace(difference, runs=(*difference.runs, *again), gone=tuple(gone))


def plan_difference(
    difference: Difference, memory: Memory, remainder: Remainder, policy: EscalationPolicy, now: datetime
) -> Plan | None:
    """Decide the same on what is other than at the last decision, which left `remainder`, by the same policy.

    `difference` is `widened`, and `memory` holds the reviews that it concerns. None where the whole has to be decided
    on: other runs may join what is due, or memory is not what the last decision left.
    """
    if not memory.baselined or memory.listing != difference.listing or remainder.turns != policy.turns:
        return None
    found = _judged(_without_ended(diff(difference, memory.reviews, now), now - difference.ahead), policy)
    found, silent = _beside_the_channel(found, policy)
    moment = Moment.of(policy, now - difference.ahead)
    due = _due(found.open, moment, memory)
    before = moment.dues(review for review in memory.reviews if review.is_open)
    dues = tuple(dues_without(some, gone) for some, gone in zip(remainder.dues, before, strict=True))
    if None in dues or any(part.step is not policy.steps[0] for part in due.parts):
        return None
    return _decided(difference, memory, found, due, moment, dues, silent)


def _decided(  # noqa: PLR0913, PLR0917  (what a decision is made of)
    seen: Snapshot | Difference,
    memory: Memory,
    found: Diff,
    due: _Due,
    moment: Moment,
    others: Sequence[Sequence[int] | None],
    silent: Iterable[Review],
) -> Plan:
    """The plan, once it is known what is due. `others` are the dues of what is not in `found`.

    Of the `silent` ones people are notified directly: for the channel they count as announced, without a notice.
    """
    policy, there = moment.policy, moment.now
    # By identity: a key takes longer to make and to compare than the decision itself.
    spoken = {id(review): replace(review, told_at=review.since) for review in silent}
    spoken |= {id(part.review): _spoken(part) for part in due.parts}
    notices = _notices(seen.queue.queue_id, due.parts, spoken)
    altered = {id(review): review for review in found.changed} | spoken
    after = [spoken.get(id(review), review) for review in found.open] if spoken else found.open
    opened = next((_window(notice, there) for notice in notices if _opens(notice)), None)
    dues = dues_together(moment.dues(after), others)
    due_at = decides_at(dues, policy, opened or memory.window, there, memory.muted_until)
    # What waits begins with what is listed, in the same order.
    again = tuple(
        run
        for run, review in zip(seen.runs, after, strict=False)
        if (review.told_at is None and not review.left_out) or is_early(run, there)
    )
    return Plan(
        reviews=tuple(altered.values()),
        closed=tuple(review.queue_run_id for review in altered.values() if not review.is_open),
        notices=tuple(notices),
        next_due_at=there if found.unsure else due_at,
        revision=memory.revision,
        listing=seen.listing,
        entered=tuple(review.key for review in due.entering),
        opened=opened,
        held_until=_held_until(after, policy, memory, there),
        remainder=Remainder(dues, due_at, found.unlisted, found.unsure, again, policy.turns),
    )


def undescribed(decided: Plan) -> set[Id]:
    """The runs that messages will list, in the channel and to people directly, and that nothing is known of so far."""
    listed = {key for notice in decided.notices for key in notice.reviews[:LISTED]}
    among = (review for review in decided.reviews if review.key in listed)
    # No further than needed: at a first sight the oldest come first, and each may have to be made.
    lacking = {review.queue_run_id for review in islice(among, len(listed)) if is_bare(review.facts)}
    if all(notice.kind is not Kind.BASELINE for notice in decided.notices):
        # A look at the inboxes, which follows, may notify people of these; they are counted as spoken of by no notice.
        direct = (review for review in decided.reviews if review.told_at is not None and not review.generation)
        lacking.update(review.queue_run_id for review in islice(direct, MOST_DIRECT) if is_bare(review.facts))
    return lacking


def still_owed(
    reviews: Iterable[Review], as_of: datetime | None = None
) -> tuple[tuple[Review, ...], tuple[Review, ...]]:
    """Split a delivery's reviews into those that wait and those that no message has to show any more.

    `as_of` asks for then instead of now: what an attempt that began then spoke of.
    """
    owed: list[Review] = []
    gone: list[Review] = []
    for review in reviews:
        (gone if _had_left(review, as_of) else owed).append(review)
    return tuple(owed), tuple(gone)


def notice_key(queue_id: Id, kind: Kind, destination: Destination, reviews: Iterable[Review]) -> UUID:
    """Name a notice by what it says: the same decision has the same key, whoever takes it and however often."""
    return key_of(queue_id, kind, destination, map(said_of, reviews))


def key_of(queue_id: Id, kind: Kind, destination: Destination, said: Iterable[bytes]) -> UUID:
    """The same, of what it says of each review."""
    # By the place alone: version 0.1 knew no schemes, and its keys are in databases and in messages.
    named = sha1(NAMESPACE.bytes + f"{queue_id}\n{kind}\n{destination.place}".encode(), usedforsecurity=False)
    # As uuid5 of all in one text, which would be a large one: a first sight may speak of very many.
    for each in sorted(said):
        named.update(each)
    return UUID(bytes=named.digest()[:16], version=5)


def said_of(review: Review) -> bytes:
    """A review and its generation, of which the next notice says another."""
    # By msgspec, which writes an id and a date in a third of the time.
    at = None if review.added_at is None else to_builtins(review.added_at).replace("Z", "+00:00")
    return f"\n{to_builtins(review.queue_run_id)}@{at}#{review.generation}".encode()


def _had_left(review: Review, as_of: datetime | None) -> bool:
    return review.closed_at is not None and (as_of is None or review.closed_at <= as_of)


def _without_ended(found: Diff, now: datetime) -> Diff:
    """What was found, with the acts of people that have ended by now, so that messages show it."""
    if not (after := with_ends(found.open, now)):
        return found
    still = (review for review in found.changed if id(review) not in after)
    return replace(
        found,
        open=tuple(after.get(id(review), review) for review in found.open),
        changed=(*still, *after.values()),
    )


def _judged(found: Diff, policy: EscalationPolicy) -> Diff:
    """What was found, with the filter that leaves each run out now."""
    judged = policy.filters.judged
    other = {id(review): after for review in found.open if (after := judged(review)) is not review}
    if not other:
        return found
    still = (review for review in found.changed if id(review) not in other)
    waiting = tuple(other.get(id(review), review) for review in found.open)
    return replace(found, open=waiting, changed=(*still, *other.values()))


def _beside_the_channel(found: Diff, policy: EscalationPolicy) -> tuple[Diff, Sequence[Review]]:
    """What was found, as the channel sees it, and those of which people are notified directly for the first time.

    A run that no notice in the channel has spoken of (its generation is 0), and of which no one is notified directly
    any more, is new there.
    """
    if policy.turns is None:
        return found, ()
    seen = tuple(
        replace(review, told_at=None)
        if review.told_at is not None and not review.generation and not policy.is_direct(review)
        else review
        for review in found.open
    )
    return replace(found, open=seen), [review for review in seen if review.told_at is None and policy.is_direct(review)]


def _apart(
    waiting: Sequence[Review], revealed: Collection[Id], *, baselined: bool
) -> tuple[Sequence[Review], Sequence[Review]]:
    """Those that are a baseline, and the others.

    What is seen for the first time only because the other listing could not show it is not new: it may be old.
    """
    if not baselined:
        return [review for review in waiting if not review.left_out], ()
    if not revealed:
        return (), waiting
    are_first = [
        review.told_at is None and review.queue_run_id in revealed and not review.left_out for review in waiting
    ]
    first = [review for review, is_first in zip(waiting, are_first, strict=True) if is_first]
    return first, [review for review, is_first in zip(waiting, are_first, strict=True) if not is_first]


class _Part(Struct, frozen=True):
    """One review in a notice: the step for which it is there, and up to when the notice speaks of it."""

    step: Step
    review: Review
    told_at: datetime


class _Due(Struct, frozen=True):
    """What a poll leads to: notices, and runs that a message which is up already is to show."""

    parts: list[_Part]
    entering: list[Review]


def _first_sight(waiting: Iterable[Review], policy: EscalationPolicy, now: datetime) -> Iterator[_Part]:
    """At first sight everything that waits is spoken of at once, whatever its age."""
    step = dataclasses.replace(policy.steps[0], kind=Kind.BASELINE)
    return (_Part(step, review, policy.spoken_at_baseline(review, now)) for review in waiting)


def _due(waiting: Sequence[Review], moment: Moment, memory: Memory) -> _Due:
    """Which step is due for which reviews.

    What is near joins a notice that goes out anyway. New runs wait for the end of the window, and enter the message
    that opened it meanwhile. A mute holds all but escalations.
    """
    policy, now, window, muted = moment.policy, moment.now, memory.window, is_muted(memory, moment.now)
    announcement = policy.steps[0]
    due: list[_Part] = []
    new: list[Review] = []
    rest: list[Review] = []
    for review in waiting:
        step = moment.due(review)
        if step is announcement:
            new.append(review)
        elif step is None or (muted and step.kind is not Kind.ESCALATION):
            rest.append(review)
        else:
            due.append(_Part(step, review, moment.told_at(step, review)))
    steps = [step for step in policy.steps if any(part.step is step for part in due)]
    due = [_raised(part, steps, moment) for part in due] if len(steps) > 1 else due
    for review in (*rest, *new) if steps else ():
        step = next((step for step in reversed(steps) if moment.joins(step, review)), None)
        if step is not None:
            due.append(_Part(step, review, moment.told_at(step, review)))
    joined = {id(part.review) for part in due}
    new = [review for review in new if id(review) not in joined]
    own = announcement.destination, announcement.remind_in
    beside = any((step.destination, step.remind_in) == own for step in steps)
    if new and not muted and (beside or may_announce(new, policy, window, now)):
        due += (_Part(announcement, review, moment.told_at(announcement, review)) for review in new)
        new = []
    return _Due(due, new if window is not None and window.entry is Entry.BY_EDIT else [])


def _raised(part: _Part, steps: Sequence[Step], moment: Moment) -> _Part:
    """The part, for the highest step of the same message that its review is near to, so that it is called for once."""
    own, review = part.step, part.review
    for step in reversed(steps[steps.index(own) + 1 :]):
        if (step.destination, step.remind_in) == (own.destination, own.remind_in) and moment.joins(step, review):
            return _Part(step, review, moment.told_at(step, review))
    return part


def is_muted(memory: Memory, now: datetime) -> bool:
    """Whether somebody has muted the queue for now."""
    return memory.muted_until is not None and memory.muted_until > now


def may_announce(new: Iterable[Review], policy: EscalationPolicy, window: Window | None, now: datetime) -> bool:
    """Whether new runs are announced now: no window is open, or they came while nothing might be posted."""
    if window is None or window.entry in {Entry.VOID, Entry.MERGE}:
        return True
    if policy.window_ends(window) <= now:
        return True
    opened_at = policy.calendar.posting_since(now)
    # Once an opening: one that was seen before and has come back is new within the window that this has opened.
    return window.opened_at < opened_at and any(review.first_seen_at < opened_at for review in new)


def _spoken(part: _Part) -> Review:
    """A review once its notice is decided on."""
    review = part.review
    after = replace(review, told_at=part.told_at, generation=review.generation + 1)
    # Most are announced: one copy costs half of two.
    return after if part.step.kind is not Kind.REMINDER else replace(after, reminded=review.reminded + 1)


def _notices(queue_id: Id, parts: Iterable[_Part], spoken: Mapping[int, Review]) -> list[Notice]:
    """One notice a place: what is new, stale and escalated there at one poll goes together."""
    places: defaultdict[tuple[Destination, RemindIn, bool], list[_Part]] = defaultdict(list)
    for part in parts:
        step = part.step
        places[step.destination, step.remind_in, step.kind is Kind.BASELINE].append(part)
    return [_notice(queue_id, together, spoken) for together in places.values()]


def _notice(queue_id: Id, parts: Sequence[_Part], spoken: Mapping[int, Review]) -> Notice:
    rank = max(_RANKS.index(part.step.kind) for part in parts)
    step = next(part.step for part in parts if part.step.kind is _RANKS[rank])
    purposes = {part.review.key: part.step.kind for part in parts}
    before = {part.review.key: part.review.told_at for part in parts if part.review.told_at is not None}
    after = [spoken[id(part.review)] for part in parts]
    reviews = oldest_first([(review.since, review.key) for review in after])
    if ranks := {review.key: review.rank for review in after if review.rank}:
        reviews = tuple(sorted(reviews, key=lambda key: ranks.get(key, "")))
    return Notice(
        key=notice_key(queue_id, step.kind, step.destination, after),
        kind=step.kind,
        destination=step.destination,
        reviews=reviews,
        mention=step.mention,
        remind_in=step.remind_in,
        purposes=tuple(map(purposes.__getitem__, reviews)),
        before=tuple(map(before.get, reviews)) if before else (),
    )


def oldest_first(aged: list[tuple[datetime, ReviewKey]]) -> tuple[ReviewKey, ...]:
    """Keys of reviews by when the wait began, those of one instant by their ids."""
    try:
        aged.sort()
    except TypeError:  # a UUID beside text
        aged.sort(key=lambda each: (each[0], str(each[1].queue_run_id)))
    return tuple(key for _, key in aged)


_RANKS = (Kind.REMINDER, Kind.BASELINE, Kind.ANNOUNCEMENT, Kind.ESCALATION)
"""A notice is of the last of these kinds that it has a run of."""


def _opens(notice: Notice) -> bool:
    return bool({Kind.BASELINE, Kind.ANNOUNCEMENT} & {notice.kind, *notice.purposes})


def _window(notice: Notice, now: datetime) -> Window:
    return Window(now, notice.key, Entry.MERGE)


def _held_until(waiting: Iterable[Review], policy: EscalationPolicy, memory: Memory, now: datetime) -> datetime | None:
    """When what came outside hours, and was neither spoken of nor shown so far, may be; under a mute, what is new."""
    opens = policy.calendar.opens
    if memory.muted_until is not None and is_muted(memory, now):
        is_new = any(review.told_at is None and not review.left_out for review in waiting)
        return opens(memory.muted_until) if is_new else None
    if (until := opens(now)) <= now:
        return None
    is_held = any(
        review.told_at is None and not review.left_out and opens(review.first_seen_at) > review.first_seen_at
        for review in waiting
    )
    return until if is_held else None
