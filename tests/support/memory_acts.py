"""Acts of people in the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.memory_tables import MemoryTables, added_or_first
from worker.core.actions import Acted, Record, Refusal, Subject, without_person
from worker.core.audience import email_key
from worker.core.model import NO_ACTS
from worker.core.owed import State
from worker.stores.acts import HEARD_FOR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from worker.core.actions import Action
    from worker.core.model import Id, Review


class MemoryActing(MemoryTables):
    """The role `Acting`."""

    def act(self, action: Action, decide: Callable[[Subject], Acted], now: datetime) -> Acted:
        with self._lock:
            envelopes = {record.action.envelope_id for record in self._records}
            if action.envelope_id and action.envelope_id in envelopes:
                return Acted(Subject(), Refusal.REPEATED)
            known = self._polled.get(action.queue_id)
            review = self._newest_stay(action.queue_id, action.queue_run_id)
            subject = Subject(known.queue, review, self._mutes.get(action.queue_id)) if known else Subject()
            acted = decide(subject)
            name = review.facts.name if review else ""
            self._records.append(Record(now, action, known.queue.name if known else "", name, acted.refusal))
            if acted.refusal is None:
                self._write_act(action.queue_id, subject, acted.subject, now)
            return acted

    def _newest_stay(self, queue_id: Id, queue_run_id: Id | None) -> Review | None:
        stays = [r for (of, key), r in self._reviews.items() if of == queue_id and key.queue_run_id == queue_run_id]
        return max(stays, key=lambda r: (r.is_open, r.first_seen_at, added_or_first(r)), default=None)

    def _write_act(self, queue_id: Id, before: Subject, after: Subject, now: datetime) -> None:
        if after.review is not None and after.review != before.review:
            self._reviews[queue_id, after.review.key] = after.review
            self._owe_edits(queue_id, [after.review.key], now, at_once=True)
        if after.muted_until != before.muted_until:
            self._mutes[queue_id] = after.muted_until
            for owed in self._outbox.values():
                delivery = owed.delivery
                is_pending = owed.queue_id == queue_id and delivery.state is State.PENDING
                if is_pending and delivery.held_until is not None and delivery.held_until > now:
                    owed.change(held_until=now)
        self._revisions[queue_id] += 1

    def records(self, most: int) -> Sequence[Record]:
        with self._lock:
            return self._records[::-1][:most]

    def waiting(self, queue_id: Id, *, taken: bool = False) -> Sequence[Review]:
        with self._lock:
            mine = [review for (of, _), review in self._reviews.items() if of == queue_id and review.is_open]
            return [review for review in mine if not taken or review.acts != NO_ACTS]

    def mutes(self) -> Mapping[Id, datetime]:
        return {queue_id: until for queue_id, until in self._mutes.items() if until is not None}

    def first_heard(self, envelope_id: str, now: datetime) -> bool:
        with self._lock:
            self._heard = {each: at for each, at in self._heard.items() if at >= now - HEARD_FOR}
            is_first = envelope_id not in self._heard
            self._heard.setdefault(envelope_id, now)
            return is_first

    def _prune_acts(self, before: datetime) -> int:
        """The acts on reviews that are gone go with them, uncounted; those on queues when they are old enough."""
        known = {(queue_id, key.queue_run_id) for queue_id, key in self._reviews}
        with_review = [
            r for r in self._records if r.action.queue_run_id is not None and r.refusal is not Refusal.UNKNOWN
        ]
        gone = [r for r in with_review if (r.action.queue_id, r.action.queue_run_id) not in known]
        old = [r for r in self._records if r not in with_review and r.at < before]
        self._records = [record for record in self._records if record not in gone and record not in old]
        return len(old)

    def _forget_acts(self, ids: Collection[str], email: str, now: datetime) -> int:
        for (queue_id, key), review in self._reviews.items():
            if (acts := without_person(review.acts, ids)) != review.acts:
                self._reviews[queue_id, key] = replace(review, acts=acts)
                self._revisions[queue_id] += 1
                self._owe_edits(queue_id, [key], now, at_once=True)
        theirs = [r for r in self._records if r.action.actor.who in ids or email_key(r.action.actor.email) == email]
        self._records = [record for record in self._records if record not in theirs]
        return len(theirs)
