"""The directory of people of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.memory_acts import MemoryActing
from tests.support.memory_tables import without_names
from worker.core.audience import Problem, email_key, listed_id
from worker.core.directory import LOOKED_UP_FOR, Card, introduced

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from worker.core.model import Reviewer


class MemoryPeople(MemoryActing):
    """The role `People`."""

    def cards(self) -> Sequence[Card]:
        with self._lock:
            return [self._cards[reviewer_id] for reviewer_id in sorted(self._cards)]

    def introduce(self, reviewers: Collection[Reviewer], now: datetime) -> int:
        with self._lock:
            written = introduced(self._cards, reviewers, now)
            self._cards |= {card.reviewer_id: card for card in written}
            return len(written)

    def answer(self, card: Card) -> bool:
        with self._lock:
            known = self._cards.get(card.reviewer_id)
            if known is None or known.is_forgotten or known.email != card.email:
                return False
            self._cards[card.reviewer_id] = replace(card, name=known.name)
            return True

    def refuse(self, user: str, problem: Problem, now: datetime) -> bool:
        with self._lock:
            found = [card for card in self._cards.values() if user and card.user == user and not card.is_forgotten]
            for card in found:
                self._cards[card.reviewer_id] = replace(card, problem=problem, asked_at=now, ask_at=now + LOOKED_UP_FOR)
            return bool(found)

    def strangers(self) -> Collection[str]:
        with self._lock:
            every = [review.who for review in self._reviews.values() if review.is_open]
            named = {one for who in every for one in (*who.assigned_to, *who.reserved_by, *who.completed_by)}
            return named - self._cards.keys()

    def forget(self, whom: str, now: datetime) -> int:
        with self._lock:
            wanted = email_key(whom)
            acted = self._forget_acts({whom.strip(), listed_id(wanted), *self._users(wanted)}, wanted, now)
            ids = {card.reviewer_id for card in self._cards.values() if card.email == wanted}
            for queue_id, polled in self._polled.items():
                assigned = polled.queue.assigned
                named = {each.reviewer_id for each in assigned if email_key(each.email) == wanted}
                stripped = replace(polled.queue, assigned=without_names(assigned, named))
                self._polled[queue_id] = replace(polled, queue=stripped)
                ids |= named
            for reviewer_id in ids:
                self._cards[reviewer_id] = Card(reviewer_id, problem=Problem.FORGOTTEN, asked_at=now)
            self._cards.pop(listed_id(wanted), None)
            return len(ids) or min(acted, 1)

    def _users(self, wanted: str) -> set[str]:
        return {card.user for card in self._cards.values() if card.email == wanted and card.user}

    def readmit(self, ids: Collection[str]) -> None:
        with self._lock:
            for reviewer_id in [one for one in ids if one in self._cards and self._cards[one].is_forgotten]:
                del self._cards[reviewer_id]
