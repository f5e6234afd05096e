"""Delivers the outbox, one claim at a time: looks up a post in doubt, checks what still waits, posts, settles."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core import delivery as step
from worker.core.audience import TURN
from worker.core.calendar import ALWAYS_OPEN
from worker.core.cooldown import Cooldown
from worker.core.diff import is_bare
from worker.core.letter import Letter
from worker.core.message import EXPIRES_WITHIN, compose_post
from worker.core.model import LISTED, TEXT_ONLY, Kind
from worker.core.outbox import held_until, is_in_vain, without_spared
from worker.core.overview import UNMETERED
from worker.core.owed import EVERYWHERE, State
from worker.core.plan import still_owed
from worker.core.ports import DeliveryError, Outcome
from worker.loops.direct import hours_of
from worker.loops.incidents import delivery_named
from worker.loops.pauses import Patience
from worker.rules import pressable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.message import Message
    from worker.core.model import Id, Queue, Review, ReviewKey
    from worker.core.overview import Asked, Meter
    from worker.core.owed import Claim, Delivery, Destination, Receipt
    from worker.core.ports import Clock, Incidents, Notifier
    from worker.core.store_roles import Budgets, Channels, Outbox, Polls
    from worker.loops.incidents import Ops
    from worker.rules import CalendarOf, RulesOf

log = structlog.get_logger(__name__)

LOOK_INTO_STORE = timedelta(seconds=5)
"""The time for which an outbox counts as empty after a look: `retry` comes from another process."""


class Settled(Struct, frozen=True):
    """The outcome of a claim: the delivery after it, the reviews that its message shows, and those left out."""

    after: Delivery
    claim: Claim
    shown: Sequence[ReviewKey]
    left_out: Sequence[ReviewKey]


class Deliver:
    """Sends deliveries that are due. One thread at a time."""

    def __init__(  # noqa: PLR0913  (its surroundings, all by name)
        self,
        *,
        store: Outbox,
        channels: Channels,
        polls: Polls,
        budgets: Budgets,
        notifier: Notifier,
        clock: Clock,
        rules: RulesOf,
        ops: Ops,
        meter: Meter = UNMETERED,
        incidents: Incidents | None = None,
        unseen: Callable[[], Collection[Destination]] = frozenset,
        mentions_a_day: int = 3,
        calendars: CalendarOf = lambda _user: None,
        may_poll: Callable[[Id], bool] = lambda _queue_id: True,
        nameless: Callable[[Id], None] = lambda _queue_id: None,
        unreachable: Callable[[str, DeliveryError], None] = lambda _user, _error: None,
    ) -> None:
        """`unseen` gives the destinations of queues whose first look is not over: the baselines there wait for it.

        `may_poll` says whether a queue is polled by any worker, or may come to be: what waits for a poll of another is
        withdrawn.
        `nameless` is called with a queue's id where a message about it lists a run without a name, `unreachable` with a
        user to whom no direct message can be sent.
        `rules` gives the rules of a queue, and for None those of the worker's own messages. A person may be called
        `mentions_a_day` times on a day of the person's calendar, which `calendars` gives.
        """
        self._store = store
        self._polls = polls
        self._notifier = notifier
        self._clock = clock
        self._rules = rules
        self._ops = ops
        self._unseen = unseen
        self._budgets = budgets
        self._calendars = calendars
        self._mentions_a_day = mentions_a_day
        self._may_poll = may_poll
        self._nameless = nameless
        self._unreachable = unreachable
        self._meter = meter
        self._patience = Patience(
            channels=channels, notifier=notifier, clock=clock, ops=ops, meter=meter, incidents=incidents
        )
        self._idle = Cooldown()
        self._claiming: datetime | None = None
        """The time of a claim that the database has not answered."""
        self._unwritten: Settled | None = None
        """An outcome that the database does not have yet."""
        self.unsettled: set[UUID] = set()
        """The deliveries whose last step here left them neither sent nor withdrawn."""
        self.posted = 0
        """The messages that were posted so far."""

    def wake(self) -> None:
        """Look into the outbox at the next step, because something is owed."""
        self._idle = Cooldown()

    def run(self, stopping: Callable[[], bool]) -> int:
        """Deliver until nothing more can be done at once; returns the number of steps."""
        steps = 0
        while not stopping() and self.step():
            steps += 1
        return steps

    def step(self) -> bool:
        """Claim and treat one delivery; False where none may be treated now. Raises StoreError."""
        self._finish()
        if not self._idle.is_over(self._clock.monotonic()) or not self._patience.may_try(self._clock.now()):
            return False
        unposted = self._patience.unposted()
        now = self._clock.now()
        held = self._patience.held(now)
        if EVERYWHERE in held:
            return False
        # By the monotonic clock, and from before the claim: the wall clock may be set, and the claim may take long.
        start_by = self._clock.monotonic() + step.START.total_seconds()
        self._claiming = now
        claim = self._store.claim(now, step.LEASE, held, unposted, self._unseen(), looks=not self.looks_wait)
        self._claiming = None
        if claim is not None and not self._notifier.limits.can_thread:
            claim = replace(claim, root=None)
        if claim is None:
            self._rest(now, all_tried=not unposted)
        elif claim.delivery.state is State.UNKNOWN:
            self._look_up(claim, now)
        else:
            self._post(claim, now, lambda: self._clock.monotonic() < start_by)
        return claim is not None

    def _finish(self) -> None:
        """Finish the step that a failing database has cut off. Raises StoreError."""
        # Otherwise the delivery would wait for the end of a lease that no worker uses.
        if self._claiming is not None:
            self._store.unclaim(self._claiming, step.LEASE)
            self._claiming = None
        if self._unwritten is not None:
            self._write(self._unwritten, again=True)

    @property
    def asked(self) -> Asked:
        """The last answer of the notifier since the start."""
        return self._patience.asked

    @property
    def paced_for(self) -> timedelta:
        """The wait until the first channel that was just posted to is free again; zero where there is none."""
        return self._patience.paced_for

    @property
    def looks_wait(self) -> timedelta:
        """The time for which nothing is looked up."""
        return self._patience.looks_wait

    def _post(self, claim: Claim, now: datetime, in_time: Callable[[], bool]) -> None:
        delivery = claim.delivery
        # Once more just before the post: people may have reviewed runs since the notice was decided on.
        letter = letter_of(claim, self._rules, now)
        owed, gone = still_owed(claim.reviews) if letter is None else letter.split()
        waiting, reason = without_spared(claim, owed, now)
        if not waiting and delivery.kind not in TEXT_ONLY:
            if not owed:
                reason = step.PASSED_MEANWHILE if any(one.is_open for one in gone) else step.REVIEWED_MEANWHILE
            self._settle(step.withdrawn(delivery, now, reason), claim)
            return
        gone, owed = (*gone, *(review for review in owed if review not in waiting)), waiting
        if until := self._held_until(claim, now):
            if delivery.queue is not None and self._is_in_vain(claim, delivery.queue.queue_id, now):
                self._settle(step.withdrawn(delivery, now, step.UNPOLLED), claim)
            else:
                self._settle(step.held(delivery, until, claimed_at=now), claim)
            return
        if not step.has_time(delivery, self._clock.now()):
            self._settle(step.released(delivery, self._clock.now(), claimed_at=now), claim)
            return
        if letter is None:
            claim = replace(claim, delivery=replace(delivery, mention=self._mention(claim, owed, now)))
            delivery = claim.delivery
        elif not self._spend(claim, now):
            return
        message = pressable(letter.post(owed) if letter else self._composed(claim, owed, now), self._rules, now)
        for queue in nameless_queues(claim, message):
            self._nameless(queue.queue_id)
        attempt = step.begin(delivery, now)
        try:
            self._patience.posting(delivery.destination)
            self._require_own(delivery.destination)
            receipt = self._notifier.send(message, in_time)
        except DeliveryError as error:
            self._refused(claim, attempt, error, began_at=now, gone=gone)
            return
        self._sent(claim, attempt, receipt, owed=owed, gone=gone, digest=self._notifier.fingerprint(message))
        self._patience.posted(delivery.destination)

    def _mention(self, claim: Claim, owed: Sequence[Review], now: datetime) -> tuple[str, ...]:
        """The people whom the message may still call today."""
        if not claim.delivery.mention:
            return ()
        called = called_by(claim.delivery, owed, self._rules)
        since = {user: (self._calendars(user) or ALWAYS_OPEN).day_began(now) for user in called}
        turns = self._rules(claim.delivery.queue).turns(claim.delivery.queue) if claim.delivery.queue else None
        passed = partial(turns.passed_on, claim.delivery.mention, owed) if turns else lambda _called: ()
        # Nothing is sent yet: should the database fail here, the claim is given back, as one that was never heard.
        self._claiming = now
        may_call = tuple(self._budgets.spend(claim.delivery.key, since, self._mentions_a_day, now, passed))
        self._claiming = None
        self._meter.called(len(may_call), max(len(since) - len(may_call), 0))
        return may_call

    def _spend(self, claim: Claim, now: datetime) -> bool:
        """Count a direct message among those of its reader's day; False where it has to wait for the next day."""
        delivery, user = claim.delivery, claim.delivery.destination.place
        calendar = self._calendars(user) or ALWAYS_OPEN
        self._claiming = now
        may_go = self._budgets.spend(delivery.key, {user: calendar.day_began(now)}, self._mentions_a_day, now)
        self._claiming = None
        self._meter.called(len(may_go), 1 - len(may_go))
        if not may_go:
            self._settle(step.held(delivery, calendar.day_ends(now), claimed_at=now), claim)
        return bool(may_go)

    def _refused(
        self, claim: Claim, attempt: Delivery, error: DeliveryError, *, began_at: datetime, gone: Sequence[Review]
    ) -> None:
        now, delivery = self._clock.now(), claim.delivery
        if delivery.kind is Kind.DIRECT and error.outcome is Outcome.DESTINATION:
            # A person whom no message reaches pauses nothing: others hear of the runs. Noted first, so that they do
            # even where this process ends before the withdrawal.
            self._claiming = began_at
            self._unreachable(delivery.destination.place, error)
            self._claiming = None
            self._settle(replace(step.withdrawn(attempt, now), last_error=str(error)), claim)
            return
        after = step.refused(attempt, error, now, began_at=began_at)
        # Noted now: should the post be found later, no one knows any more what it did not speak of.
        unsaid = [each for each in gone if each.is_open] if after.state is State.UNKNOWN else ()
        self._settle(after, claim, left_out=unsaid)
        self._patience.refused(error, delivery.destination, delivery_named(delivery, len(claim.reviews) - len(gone)))

    def _held_until(self, claim: Claim, now: datetime) -> datetime | None:
        delivery = claim.delivery
        if delivery.kind is Kind.DIRECT:
            calendars = hours_of(claim, self._calendars(delivery.destination.place), self._rules)
            if not all(self._may_poll(queue.queue_id) for queue in claim.queues.values()):
                claim = replace(claim, polled_at=now)  # no poll of that queue will come
            untils = [held_until(claim, each, now) for each in calendars]
            # The hours of several queues may have nothing in common: those of one are enough.
            return None if None in untils else min(until for until in untils if until is not None)
        if delivery.queue is None:
            return None
        return held_until(claim, self._rules(delivery.queue).policy.calendar_of(delivery.kind), now)

    def _is_in_vain(self, claim: Claim, queue_id: Id, now: datetime) -> bool:
        calendar = self._rules(claim.delivery.queue).policy.calendar_of(claim.delivery.kind)
        return not self._may_poll(queue_id) and is_in_vain(calendar, now)

    def _composed(self, claim: Claim, owed: Sequence[Review], now: datetime) -> Message:
        rules, queue = self._rules(claim.delivery.queue), claim.delivery.queue
        totals = None
        if queue is not None:
            # Nothing is sent yet: should the database fail here, the claim is given back, as one that was never heard.
            self._claiming = now
            totals = self._polls.standing(queue.queue_id, rules.stale_before(now), now + EXPIRES_WITHIN)
            self._claiming = None
        return compose_post(
            claim,
            owed,
            rules.settings.show,
            now,
            stale_at=rules.policy.stale_at,
            totals=totals,
            zone=rules.policy.calendar.zone,
            turns=None if queue is None else rules.turns(queue),
        )

    def _look_up(self, claim: Claim, now: datetime) -> None:
        """Find out whether the last attempt was posted, before the delivery is sent again."""
        delivery = claim.delivery
        tried_at = delivery.attempted_at or delivery.created_at
        # With a margin: a review that a poll was just closing then may be dated a little earlier, though it was shown.
        owed, gone = still_owed(claim.reviews, as_of=tried_at - step.LEASE)
        message = compose_post(claim, owed, frozenset(), tried_at)
        try:
            receipt = self._find(message, tried_at)
        except DeliveryError as error:
            self._settle(self._not_looked_up(delivery, error), claim)
            self._patience.not_looked_up(error)
            return
        self._patience.looked_up(delivery.destination, found=receipt is not None)
        if receipt is None:
            self._settle(step.not_found(delivery, now), claim)
            return
        # The post may be of an earlier version, so it is not known what it shows: without a digest, it is edited once.
        self._sent(claim, delivery, receipt, owed=owed, gone=gone, digest="")

    def _require_own(self, destination: Destination) -> None:
        """Raise DeliveryError for a destination of another notifier: an earlier configuration may have owed it."""
        limits = self._notifier.limits
        if destination.scheme != limits.scheme:
            raise DeliveryError(
                f"{destination} is no destination of {limits.name}", Outcome.DESTINATION, code="other_notifier"
            )

    def _find(self, message: Message, since: datetime) -> Receipt | None:
        self._require_own(message.destination)
        limits = self._notifier.limits
        if not limits.can_find:
            raise DeliveryError(f"{limits.name} cannot be searched for a message", Outcome.BLIND)
        return self._notifier.find(message, since)

    def _not_looked_up(self, delivery: Delivery, error: DeliveryError) -> Delivery:
        now = self._clock.now()
        if error.outcome in {Outcome.BLIND, Outcome.DESTINATION}:
            on_unknown = self._rules(delivery.queue).settings.on_unknown
            return step.unseen(delivery, error, now, resend=on_unknown is step.OnUnknown.RESEND)
        return step.look_failed(delivery, error, now)

    def _sent(
        self,
        claim: Claim,
        delivery: Delivery,
        receipt: Receipt,
        *,
        owed: Sequence[Review],
        gone: Sequence[Review],
        digest: str,
    ) -> None:
        is_kept_true = delivery.kind not in TEXT_ONLY and self._notifier.limits.can_edit
        edit_for = self._rules(delivery.queue).settings.edit_for if is_kept_true else None
        after = step.sent(delivery, receipt, digest, self._clock.now(), edit_for)
        self._settle(after, claim, shown=owed[:LISTED], left_out=gone)

    def _settle(
        self, after: Delivery, claim: Claim, *, shown: Sequence[Review] = (), left_out: Sequence[Review] = ()
    ) -> None:
        """Write the outcome and log it in one line."""
        # Kept until it is written: after a post, a failing database must not make us forget the receipt.
        self._unwritten = Settled(after, claim, [r.key for r in shown], [r.key for r in left_out])
        self._write(self._unwritten)

    def _write(self, settled: Settled, *, again: bool = False) -> None:
        after, claimed = settled.after, settled.claim.delivery
        kept = self._store.settle(after, claimed, shown=settled.shown, left_out=settled.left_out)
        self._unwritten = None
        if again and claimed.lease_until is not None and self._clock.now() < claimed.lease_until:
            # Within our lease no other worker can have written it: our commit went through, and its answer was lost.
            kept = True
        self._say(settled, kept=kept)

    def _say(self, settled: Settled, *, kept: bool) -> None:
        after = settled.after
        well = after.state in {State.SENT, State.WITHDRAWN} or after.held_until is not None
        (self.unsettled.discard if well else self.unsettled.add)(after.key)
        self.posted += kept and after.state is State.SENT
        self._meter.delivered(after.kind, after.state.value if kept else "lease_lost")
        event = "delivery_waits" if after.held_until else f"delivery_{after.state.value}"
        event = event if kept else "delivery_lease_lost"
        line = log.bind(
            key=str(after.key),
            kind=after.kind.value,
            channel=after.destination.place,
            queue=after.queue.name if after.queue else None,
            runs=len(settled.claim.reviews) - len(settled.left_out),
            attempts=after.attempts,
        )
        if after.held_until is not None:
            line = line.bind(held_until=after.held_until)
            # Asked for again and again while a source is down, which has a line of its own.
            if after.held_until - after.due_at <= step.POLL_FIRST_AT_MOST:
                line.debug(event)
                return
        elif after.last_error:
            line = line.bind(error=after.last_error, due_at=after.due_at)
        (line.info if well else line.warning)(event)
        if kept and after.state is State.DEAD:
            self._ops.dead(after, len(settled.claim.reviews) - len(settled.left_out))

    def _rest(self, now: datetime, *, all_tried: bool) -> None:
        """Leave the outbox alone until something is due."""
        if all_tried:
            self._patience.nothing_to_try()
        if self.paced_for:
            return
        due_at = self._store.next_due_at()
        wait = LOOK_INTO_STORE if due_at is None else min(max(due_at - now, timedelta(0)), LOOK_INTO_STORE)
        self._idle = Cooldown.of(wait, self._clock.monotonic())


def nameless_queues(claim: Claim, message: Message) -> list[Queue]:
    """The queues of runs that a message lists without a name."""
    if not any(is_bare(line.facts) for line in message.lines):
        return []
    if claim.delivery.queue is not None:
        return [claim.delivery.queue]
    nameless = (claim.queues[review.key] for review in claim.reviews if is_bare(review.facts))
    return list({queue.queue_id: queue for queue in nameless}.values())


def letter_of(claim: Claim, rules: RulesOf, now: datetime) -> Letter | None:
    """A direct message with all that holds for its runs; None for any other."""
    if claim.delivery.kind is not Kind.DIRECT:
        return None
    queues = {queue.queue_id: queue for queue in claim.queues.values()}
    return Letter(claim, {queue_id: rules(queue).view(queue) for queue_id, queue in queues.items()}, now)


def called_by(delivery: Delivery, owed: Iterable[Review], rules: RulesOf) -> tuple[str, ...]:
    """The people whom a message about these runs is to call: fixed ones, and those whose turn the runs are."""
    if TURN not in delivery.mention or delivery.queue is None:
        return delivery.mention
    turns = rules(delivery.queue).turns(delivery.queue)
    persons = (person for review in owed for person in turns.of(review) if person.can_be_mentioned)
    fixed = (one for one in delivery.mention if one != TURN)
    return tuple(dict.fromkeys((*(person.user for person in persons), *fixed)))
