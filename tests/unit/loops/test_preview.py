"""A dry run shows the very messages that the next pass posts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from tests.support.acting import an_act, do
from tests.support.builders import (
    CHANNEL,
    HOUR,
    NOON,
    delivery,
    notice,
    pause,
    queue,
    queue_run,
    review,
    rules_with,
)
from tests.support.fake_source import FakeSource
from tests.unit.loops.stage import Stage
from worker.commands.tables import preview_text
from worker.core.actions import Act
from worker.core.calendar import Calendar
from worker.core.filters import Order
from worker.core.model import Entry, Kind, Show, Traits, Window
from worker.core.owed import EVERYWHERE, NEVER, State
from worker.core.plan import Plan
from worker.loops.preview import Preview
from worker.rules import rules_of

if TYPE_CHECKING:
    from tests.support.clock import FakeClock
    from tests.support.memory_store import MemoryStore
    from worker.core.message import Message
    from worker.core.model import Queue
    from worker.core.owed import Destination

RULES = rules_with(show=frozenset({Show.NAME}))


OFFICE = Calendar(ZoneInfo("Europe/Berlin"), (2026, 2027), hours=(((9 * HOUR, 17.5 * HOUR),),) * 5 + ((), ()))
CLOSED = rules_of(rules_with(show=frozenset({Show.NAME}), announce_every=HOUR, stale_after=None).settings, OFFICE)
TUESDAY = datetime(2026, 3, 3, 8, tzinfo=UTC)


class World:
    """A worker that has seen what a queue holds, and a dry run beside it."""

    def __init__(self) -> None:
        self.rules = RULES
        self.source = FakeSource()
        self.stage = Stage()
        self.store: MemoryStore = self.stage.store
        self.clock: FakeClock = self.stage.clock

    def shows(self, *names: str) -> None:
        self.source.show(queue(), *(queue_run(name, added_at=NOON) for name in names))

    def dry_run(self, *queues: Queue) -> list[Message]:
        return list(self.preview(*queues).messages())

    def mute(self, until: datetime) -> None:
        do(self.store, an_act(Act.MUTE, until=until))

    def preview(self, *queues: Queue) -> Preview:
        preview = Preview(
            source=self.source,
            store=self.store,
            deliveries=self.store,
            budgets=self.store,
            channels=self.store,
            clock=self.clock,
            rules=lambda _: self.rules,
            descriptions=self.source,
        )
        for each in queues or (queue(),):
            preview.poll(each)
        assert not preview.unread
        return preview

    def owes(self, *names: str) -> None:
        """An announcement of these waits, as a poll has decided it."""
        reviews = [review(name, told_at=NOON) for name in names]
        self.stage.write(*reviews, notices=(notice(*reviews),))

    def claims(self, state: State, **news: object) -> None:
        """What waited was tried, and this is what became of it."""
        claim = self.store.claim(self.clock.now(), HOUR)
        assert claim is not None
        after = replace(claim.delivery, state=state, due_at=self.clock.now(), **news)  # type: ignore[arg-type]
        assert self.store.settle(after, claim.delivery)

    def baselined(self) -> None:
        """Nothing waited at the first sight of the queue."""
        self.stage.write()


@pytest.fixture
def world() -> World:
    return World()


def said(messages: list[Message]) -> list[tuple[Kind, int]]:
    return [(message.kind, message.total) for message in messages]


def test_an_empty_outbox_and_an_empty_queue_post_nothing(world: World) -> None:
    world.shows()
    assert world.dry_run() == []


def test_a_first_sight_is_a_baseline(world: World) -> None:
    world.shows("a", "b")
    assert said(world.dry_run()) == [(Kind.BASELINE, 2)]


def test_nothing_is_remembered(world: World) -> None:
    world.shows("a")
    assert world.dry_run() == world.dry_run()
    assert world.store.deliveries() == []


def test_an_announcement_that_was_refused_and_waits_as_plain_text_stays_alone(world: World) -> None:
    world.owes("a")
    world.claims(State.PENDING, attempted_at=None, plain=True)
    world.shows("a", "b")
    messages = world.dry_run()
    assert said(messages) == [(Kind.ANNOUNCEMENT, 1), (Kind.ANNOUNCEMENT, 1)]
    assert [message.plain for message in messages] == [True, False]


def test_a_fresh_announcement_takes_over_what_waits_beside_it(world: World) -> None:
    world.owes("a")
    world.shows("a", "b")
    assert said(world.dry_run()) == [(Kind.ANNOUNCEMENT, 2)]


def test_what_was_reviewed_meanwhile_is_not_posted(world: World) -> None:
    world.owes("a", "b")
    world.shows("b")
    assert said(world.dry_run()) == [(Kind.ANNOUNCEMENT, 1)]


def test_what_a_listing_of_several_pages_lacks_is_not_posted(world: World) -> None:
    world.owes("a", "b")
    world.source.show(queue(), queue_run("b", added_at=NOON), one_page=False)
    assert said(world.dry_run()) == [(Kind.ANNOUNCEMENT, 1)]


def test_a_notice_of_which_everything_was_reviewed_is_not_posted(world: World) -> None:
    world.owes("a")
    world.shows()
    assert world.dry_run() == []


@pytest.mark.parametrize("channel", [CHANNEL, EVERYWHERE])
def test_what_a_pause_holds_is_posted_as_one_for_a_pass_tries_again(world: World, channel: Destination) -> None:
    world.owes("a")
    world.store.pause(pause(channel, since=world.clock.now(), until=world.clock.now() + HOUR))
    world.shows("a", "b")
    assert said(world.dry_run()) == [(Kind.ANNOUNCEMENT, 2)]


def test_what_waits_for_an_operator_is_not_posted(world: World) -> None:
    world.owes("a")
    claim = world.store.claim(world.clock.now(), HOUR)
    assert claim is not None
    assert world.store.settle(replace(claim.delivery, state=State.HELD, due_at=NEVER), claim.delivery)
    world.shows("a")
    assert world.dry_run() == []


def test_what_may_be_posted_already_is_looked_up_and_not_shown(world: World) -> None:
    world.owes("a")
    world.claims(State.UNKNOWN)
    world.shows("a")
    assert world.dry_run() == []


def test_the_worker_s_own_reports_are_shown(world: World) -> None:
    world.store.owe(delivery("ops", kind=Kind.OPS, text="the database was full", created_at=world.clock.now()))
    world.shows()
    assert [message.text for message in world.dry_run()] == ["the database was full"]


def test_a_queue_that_could_not_be_read_shows_what_waits_for_it(world: World) -> None:
    world.owes("a")
    world.shows("a")
    world.source.fail()
    preview = Preview(
        source=world.source,
        store=world.store,
        deliveries=world.store,
        budgets=world.store,
        channels=world.store,
        clock=world.clock,
        rules=lambda _: RULES,
    )
    preview.poll(queue())
    assert ["could not be read" in line for line in preview.unread] == [True]
    assert said(list(preview.messages())) == [(Kind.ANNOUNCEMENT, 1)]


def test_a_notice_that_is_owed_already_is_not_owed_again(world: World) -> None:
    world.baselined()
    world.shows("a")
    preview = Preview(
        source=world.source,
        store=world.store,
        deliveries=world.store,
        budgets=world.store,
        channels=world.store,
        clock=world.clock,
        rules=lambda _: RULES,
    )
    preview.poll(queue())
    preview.poll(queue())
    assert said(list(preview.messages())) == [(Kind.ANNOUNCEMENT, 1)]


def closed(world: World) -> World:
    """It is Monday, 18:00 in Berlin."""
    world.rules = CLOSED
    world.clock.advance(5 * HOUR)
    return world


def test_a_first_sight_outside_hours_is_shown_as_held_until_the_opening(world: World) -> None:
    closed(world).shows("a", "b")
    preview = world.preview()
    assert not preview.messages()
    (held,) = preview.held()
    assert (held.until, said(list(held.messages))) == (TUESDAY, [(Kind.BASELINE, 2)])
    assert preview_text(1, preview) == (
        "1 queue: nothing to post now; held until Tue 3 Mar 09:00 (Europe/Berlin): 1 baseline to C0SUPPORT"
    )


def test_what_came_outside_hours_is_announced_at_the_opening_whatever_window_is_open(world: World) -> None:
    told, host = review("a", told_at=NOON), notice(review("a", told_at=NOON))
    opened = Window(NOON + 4 * HOUR, host.key, Entry.BY_EDIT)
    world.store.update(queue(), {told.queue_run_id}, lambda _: Plan((told,), (host,), opened=opened), world.clock.now())
    world.claims(State.SENT, settled_at=NOON, edit_until=NOON + 100 * HOUR)
    closed(world).shows("a", "b")
    assert [said(list(held.messages)) for held in world.preview().held()] == [[(Kind.ANNOUNCEMENT, 1)]]


def test_what_is_owed_already_is_held_too_and_joins_what_comes(world: World) -> None:
    world.owes("a")
    closed(world).shows("a", "b")
    preview = world.preview()
    assert not preview.messages()
    assert [said(list(held.messages)) for held in preview.held()] == [[(Kind.ANNOUNCEMENT, 2)]]


def test_baselines_of_several_queues_are_one_message_with_a_line_a_queue(world: World) -> None:
    world.shows("a")
    world.source.show(queue("Other"), queue_run("b", added_at=NOON), queue_run("c", added_at=NOON))
    preview = world.preview(queue(), queue("Other"))
    (message,) = preview.messages()
    assert [(line.queue.name, line.waiting) for line in message.queue_lines] == [("Other", 2), ("Support QA", 1)]
    assert preview_text(2, preview) == "2 queues: 1 baseline to C0SUPPORT"


def test_what_enters_a_message_by_an_edit_is_counted(world: World) -> None:
    world.rules = rules_of(rules_with(show=frozenset({Show.NAME}), announce_every=HOUR).settings)
    told, host = review("a", told_at=NOON), notice(review("a", told_at=NOON))
    opened = Window(NOON, host.key, Entry.BY_EDIT)
    world.store.update(queue(), {told.queue_run_id}, lambda _: Plan((told,), (host,), opened=opened), world.clock.now())
    world.claims(State.SENT, settled_at=NOON, edit_until=NOON + HOUR)
    world.shows("a", "b")
    assert preview_text(1, world.preview()) == (
        "1 queue: 1 new run shown by an edit of a message that is posted already"
    )


def test_nothing_to_post_is_said(world: World) -> None:
    world.shows()
    assert preview_text(1, world.preview()) == "1 queue: nothing to post"


def test_a_dry_run_mentions_nobody_more_often_than_the_pass(world: World) -> None:
    world.rules = rules_with(show=frozenset({Show.NAME}), escalate_after=HOUR, escalate_mention=("S1",))
    queues = [queue(name) for name in ("one", "two", "three", "four")]
    for number, each in enumerate(queues):
        told = review(number, told_at=NOON)
        world.store.update(each, {told.queue_run_id}, lambda _, told=told: Plan((told,)), world.clock.now())
        world.source.show(each, queue_run(number, added_at=NOON))
    world.clock.advance(2 * HOUR)
    assert [message.mention for message in world.dry_run(*queues)] == [("S1",), ("S1",), ("S1",), ()]


def test_what_waits_already_is_held_while_its_queue_is_muted() -> None:
    world = World()
    world.shows("a")
    world.stage.owe("a")
    world.mute(NOON + HOUR)
    preview = world.preview()
    assert list(preview.messages()) == []
    (held,) = preview.held()
    assert (held.until, [message.total for message in held.messages]) == (NOON + HOUR, [1])


def test_runs_are_listed_by_the_order_of_their_queue(world: World) -> None:
    runs = [replace(queue_run(name), traits=Traits(failed=name == "b")) for name in "abc"]
    world.source.show(queue(), *runs)
    world.rules = rules_with(order=(Order.ERROR,))
    (message,) = world.dry_run()
    assert message.lines[0].facts.name == "b"
