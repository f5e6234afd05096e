"""Keeps posted messages true: edits those whose runs have changed. Never in the way of a post."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from worker.core import delivery as step
from worker.core.cooldown import Cooldown
from worker.core.message import EXPIRES_WITHIN, compose_edit
from worker.core.model import Kind
from worker.core.outbox import edit_held_until
from worker.core.overview import UNMETERED
from worker.core.ports import DeliveryError, Outcome
from worker.loops.deliver import letter_of
from worker.loops.direct import hours_of
from worker.rules import pressable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.core.message import Message
    from worker.core.overview import Meter
    from worker.core.owed import Claim, Delivery
    from worker.core.ports import Clock, Notifier
    from worker.core.store_roles import Outbox, Polls
    from worker.rules import CalendarOf, RulesOf

log = structlog.get_logger(__name__)


class Edit:
    """Makes edits that are owed. One thread at a time."""

    def __init__(  # noqa: PLR0913  (its surroundings, all by name)
        self,
        *,
        store: Outbox,
        polls: Polls,
        notifier: Notifier,
        clock: Clock,
        rules: RulesOf,
        calendars: CalendarOf = lambda _user: None,
        meter: Meter = UNMETERED,
    ) -> None:
        """`rules` gives the rules of a queue, `calendars` a person's own calendar."""
        self._store = store
        self._polls = polls
        self._notifier = notifier
        self._clock = clock
        self._rules = rules
        self._calendars = calendars
        self._meter = meter
        self._cooldown = Cooldown()
        self._busy_until = float("-inf")
        """The monotonic time up to which the edits so far use up the pace."""
        self._claiming: datetime | None = None
        """The time of a claim that the database has not answered."""
        self._unwritten: tuple[Delivery, Delivery] | None = None
        """An outcome that the database does not have yet, and its claim."""

    def step(self) -> bool:
        """Treat one message whose edit is owed; False where none may be edited now. Raises StoreError."""
        self._finish()
        if not self._cooldown.is_over(self._clock.monotonic()):
            return False
        # From before the claim, which may take long: after `start_by` another worker may have the lease.
        start_by = self._clock.monotonic() + step.START.total_seconds()
        self._claiming = now = self._clock.now()
        claim = self._store.claim_edit(now, step.LEASE)
        if claim is not None:
            # Composed while the claim still counts as unanswered: this reads the database, and if it fails the claim is
            # given back.
            message = pressable(self._composed(claim, now), self._rules, now)
        self._claiming = None
        if claim is None:
            return False
        # It was owed before the closing, and could not be made in time.
        own = self._calendars(claim.delivery.destination.place) if claim.delivery.kind is Kind.DIRECT else None
        if (until := edit_held_until(claim, hours_of(claim, own, self._rules), now)) is not None:
            self._settle(replace(claim.delivery, edit_at=until), claim.delivery)
            return True
        self._edit(claim, message, now, lambda: self._clock.monotonic() < start_by)
        return True

    @property
    def paced_for(self) -> timedelta:
        """The wait until the next edit may be made, after one was; zero where there was none, or it failed."""
        # One value keeps both waits: a longer one than the pace is that of a failure.
        left = self._cooldown.left(self._clock.monotonic())
        return left if left <= self._notifier.limits.edit_pace else timedelta(0)

    def _finish(self) -> None:
        """Finish the step that a failing database has cut off. Raises StoreError."""
        # Otherwise the edit would wait for the end of a lease that no worker uses.
        if self._claiming is not None:
            self._store.unclaim(self._claiming, step.LEASE)
            self._claiming = None
        if self._unwritten is not None:
            self._settle(*self._unwritten)

    def _settle(self, after: Delivery, claimed: Delivery) -> None:
        # Before it is written, so that the next step can, where the database fails now.
        self._unwritten = after, claimed
        self._store.settle_edit(after, claimed)
        self._unwritten = None

    def _composed(self, claim: Claim, now: datetime) -> Message:
        if (letter := letter_of(claim, self._rules, now)) is not None:
            return letter.edit()
        rules, queue = self._rules(claim.delivery.queue), claim.delivery.queue
        totals = None
        if queue is not None:
            totals = self._polls.standing(queue.queue_id, rules.stale_before(now), now + EXPIRES_WITHIN)
        return compose_edit(
            claim,
            rules.settings.show,
            now,
            stale_at=rules.policy.stale_at,
            totals=totals,
            zone=rules.policy.calendar.zone,
            turns=None if queue is None else rules.turns(queue),
        )

    def _edit(self, claim: Claim, message: Message, seen_at: datetime, in_time: Callable[[], bool]) -> None:
        delivery = claim.delivery
        digest = self._notifier.fingerprint(message)
        # Most changes of a review do not show: the limit on edits is needed for those that do.
        if digest == delivery.digest or delivery.receipt is None:
            self._settle(replace(delivery, edit_at=None), delivery)
            self._meter.edited("unneeded")
            return
        self._pace()
        try:
            self._notifier.edit(message, delivery.receipt, in_time)
        except DeliveryError as error:
            self._failed(claim, error)
            return
        after = step.edited(delivery, digest, self._clock.now(), self._notifier.limits.edit_every)
        # What changed while the edit was made, it does not show.
        self._settle(replace(after, edited_at=seen_at), delivery)
        self._meter.edited("made")
        log.info("message_edited", key=str(delivery.key), channel=delivery.destination.place, waiting=claim.waiting)

    def _failed(self, claim: Claim, error: DeliveryError) -> None:
        after = step.unedited(claim.delivery, error, self._clock.now())
        self._settle(after, claim.delivery)
        if error.outcome is Outcome.THROTTLED:
            self._meter.throttled()
        given_up = after.edit_until is None
        if not given_up:
            # The edit of the next message would meet the same trouble.
            self._wait(step.clamp_wish(error.retry_after) or step.FIRST_PAUSE)
        self._meter.edited("given_up" if given_up else "failed")
        log.info("edits_given_up" if given_up else "edit_failed", key=str(after.key), error=str(error))

    def _pace(self) -> None:
        """Take note of an edit: a few may follow each other at once, and on average there is one each `edit_pace`."""
        limits, now = self._notifier.limits, self._clock.monotonic()
        pace = limits.edit_pace.total_seconds()
        self._busy_until = max(self._busy_until, now) + pace
        self._cooldown = Cooldown(self._busy_until - (limits.edit_burst - 1) * pace)

    def _wait(self, wait: timedelta) -> None:
        self._cooldown = Cooldown.of(wait, self._clock.monotonic())
