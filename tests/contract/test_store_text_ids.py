"""What every store promises of ids that are no UUIDs: each is kept and found as it is, from the poll to the edit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, NOON, deciding, ident, notice, review
from tests.support.outbox import owe, post, take_edit
from worker.core.model import Facts, Fate, Memory, Polled, Queue
from worker.core.owed import State
from worker.core.plan import Plan

if TYPE_CHECKING:
    from worker.core.model import Id, Review
    from worker.core.store_roles import Store

UUID_TEXT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
LATER = NOON + HOUR

# Beside the usual one those whose kept form could be taken for another id's: around the 16 bytes of a UUID, the text
# of a UUID, and what begins like the mark before a text.
TEXT_IDS = [
    "item-7",
    "",
    "x" * 14,
    "x" * 15,
    "x" * 16,
    "é" * 8,
    UUID_TEXT,
    "\x01item-7",
    "\x02\x02item-7",
    "queue/🦜 7%",
]
MARKED = [
    "a usual one",
    "empty",
    "14 bytes",
    "15 bytes",
    "16 bytes",
    "two bytes a letter",
    "like a UUID",
    "1",
    "2",
    "odd",
]


def stay(queue_run_id: Id, **fields: object) -> Review:
    """A review of a run with this id; no run belongs to it."""
    return replace(review("a", **fields), queue_run_id=queue_run_id, run_id=None)  # type: ignore[arg-type]


@pytest.fixture(params=TEXT_IDS, ids=MARKED)
def text_id(request: pytest.FixtureRequest) -> str:
    """An id that is no UUID."""
    one: str = request.param
    return one


class TestAQueue:
    def test_is_known_by_its_id(self, store: Store, text_id: str) -> None:
        of = Queue(text_id, "Shelf")
        revisions = store.polled([Polled(of, completed_at=NOON), Polled(Queue(ident("other"), "Other"))])
        assert revisions == {text_id: 0, ident("other"): 0}
        assert Polled(of, completed_at=NOON) in store.polls()

    def test_remembers_its_own_reviews(self, store: Store, text_id: str) -> None:
        of, other = Queue(text_id, "Shelf"), Queue(f"{text_id}0", "Shelf")
        store.update(of, [], deciding(stay("item-7")), NOON)
        store.update(other, [], deciding(stay("item-7"), stay("item-8")), NOON)
        seen: list[Memory] = []

        def decide(memory: Memory) -> Plan:
            seen.append(memory)
            return Plan()

        store.update(of, [], decide, NOON)
        assert seen[0].reviews == [stay("item-7")]
        assert store.standing(text_id, NOON).waiting == 1
        assert store.standing(other.queue_id, NOON).waiting == 2


class TestARun:
    @pytest.fixture
    def of(self) -> Queue:
        return Queue("shelf", "Shelf")

    def test_is_recalled_as_it_was_written(self, store: Store, of: Queue, text_id: str) -> None:
        store.update(of, [], deciding(stay(text_id, added_at=None, closed_at=NOON)), NOON)
        seen: list[Memory] = []

        def decide(memory: Memory) -> Plan:
            seen.append(memory)
            return Plan()

        store.update(of, [text_id], decide, NOON)
        assert seen[0].reviews == [stay(text_id, added_at=None, closed_at=NOON)]

    def test_is_none_of_those_with_another_id(self, store: Store, of: Queue) -> None:
        ids: list[Id] = [*TEXT_IDS, UUID(UUID_TEXT)]
        store.update(of, [], deciding(*map(stay, ids)), NOON)
        assert {one: len(store.stories(one)) for one in ids} == dict.fromkeys(ids, 1)
        store.describe(of.queue_id, {UUID(UUID_TEXT): Facts(name="named")}, NOON)
        named = [one for one in ids if store.stories(one)[0].review.facts.name == "named"]
        assert named == [UUID(UUID_TEXT)]

    def test_is_announced_posted_edited_and_forgotten(self, store: Store, of: Queue, text_id: str) -> None:
        store.update(of, [], deciding(stay(text_id), notices=[notice(stay(text_id))]), NOON)
        claim = post(store)
        assert (claim.delivery.queue, claim.reviews) == (of, (stay(text_id),))
        store.update(of, [], deciding(stay(text_id, closed_at=LATER)), LATER)
        assert store.unexplained(of.queue_id, LATER, 9) == [text_id]
        assert store.learn(of.queue_id, {text_id: Fate.REVIEWED}, LATER)
        edit = take_edit(store, LATER)
        gone = stay(text_id, closed_at=LATER, fate=Fate.REVIEWED)
        assert (edit.reviews, edit.waiting) == ((gone,), 0)
        done = replace(edit.delivery, edit_at=None, edited_at=LATER, edits=1, edit_until=LATER)
        assert store.settle_edit(done, edit.delivery)
        (story,) = store.stories(text_id)
        assert (story.queue, story.review) == (of, gone)
        assert [each.delivery.state for each in story.notices] == [State.SENT]
        assert store.prune(settled_before=LATER + DAY, closed_before=LATER + DAY) == 2
        assert store.stories(text_id) == []

    def test_without_a_name_is_asked_for_and_described(self, store: Store, of: Queue, text_id: str) -> None:
        bare = replace(stay(text_id), facts=Facts())
        owe(store, bare, of=of)
        assert store.undescribed(of.queue_id, NOON, 9) == {text_id: Facts()}
        assert store.describe(of.queue_id, {text_id: Facts(name="named")}, NOON)
        assert store.undescribed(of.queue_id, NOON, 9) == {}

    def test_is_listed_and_left_out_by_its_key(self, store: Store, of: Queue, text_id: str) -> None:
        owe(store, stay(text_id), stay("item-8"), of=of)
        claim = post(store, shown=[stay("item-8").key], left_out={stay(text_id).key})
        assert set(claim.reviews) == {stay(text_id), stay("item-8")}
        (story,) = store.stories(text_id)
        assert [each.left_out for each in story.notices] == [True]
