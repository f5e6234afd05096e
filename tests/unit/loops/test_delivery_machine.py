"""Deliveries under any sequence of faults: nothing lost, nothing twice; and planted defects are found."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.support.builders import CHANNEL, LEADS, SECOND, deciding, notice, queue, review, rules_with
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from tests.unit.loops.flaky_slack import FROZEN, Crash, Fault, FlakySlack
from worker.core import delivery as step
from worker.core.model import LISTED, Kind, Show
from worker.core.owed import NEVER, Receipt, State
from worker.core.plan import still_owed
from worker.loops.deliver import Deliver
from worker.loops.edit import Edit
from worker.loops.incidents import Ops

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.message import Message
    from worker.core.model import ReviewKey
    from worker.core.owed import Claim, Delivery, Destination

RULES = rules_with(show=frozenset({Show.NAME}))
WORKERS = (0, 1)
FIND_FAULTS = [Fault.DROPPED, Fault.THROTTLED, Fault.CRASH_BEFORE]
EDIT_FAULTS = [Fault.LOST, Fault.DROPPED, Fault.THROTTLED, Fault.CRASH_BEFORE, Fault.CRASH_AFTER]
AT_STORE = ["claimed", "frozen", "settling", "settled", "edit claimed", "edit settling", "edit settled"]


class CrashingStore(MemoryStore):
    """Beside which the process crashes or freezes, at steps that are named beforehand."""

    def __init__(self, lease: timedelta | None = None) -> None:
        super().__init__()
        self.crashes: set[str] = set()
        self.crashed = 0
        self.freeze: Callable[[], None] = lambda: None
        self._lease = lease
        self._leases: dict[tuple[UUID, datetime], datetime] = {}

    def claim(self, now: datetime, lease: timedelta, *spared: Collection[str], looks: bool = True) -> Claim | None:
        claim = super().claim(now, self._lease or lease, *spared, looks=looks)
        if claim is not None:
            self._reach("claimed")
            if self._is_reached("frozen"):
                self.freeze()
            claim = self._lengthened(claim, now + lease)
        return claim

    def _lengthened(self, claim: Claim, lease_until: datetime) -> Claim:
        """Whoever claims believes in its whole lease, also where the store's is shorter."""
        if claim.delivery.lease_until is not None:
            self._leases[claim.delivery.key, lease_until] = claim.delivery.lease_until
        return replace(claim, delivery=replace(claim.delivery, lease_until=lease_until))

    def settle(
        self,
        after: Delivery,
        claimed: Delivery,
        *,
        shown: Sequence[ReviewKey] = (),
        left_out: Collection[ReviewKey] = (),
    ) -> bool:
        self._reach("settling")
        if claimed.lease_until is not None:
            claimed = replace(claimed, lease_until=self._leases.get((claimed.key, claimed.lease_until)))
        kept = super().settle(after, claimed, shown=shown, left_out=left_out)
        self._reach("settled")
        return kept

    def claim_edit(self, now: datetime, lease: timedelta, skip: Collection[str] = ()) -> Claim | None:
        claim = super().claim_edit(now, lease, skip)
        if claim is not None:
            self._reach("edit claimed")
        return claim

    def settle_edit(self, after: Delivery, claimed: Delivery) -> bool:
        self._reach("edit settling")
        kept = super().settle_edit(after, claimed)
        self._reach("edit settled")
        return kept

    def _is_reached(self, name: str) -> bool:
        reached = name in self.crashes
        self.crashes.discard(name)
        self.crashed += reached
        return reached

    def _reach(self, name: str) -> None:
        if self._is_reached(name):
            raise Crash(name)


class Worker:
    """One process: it may be gone at any step, and is started again."""

    def __init__(self, machine: DeliveryMachine) -> None:
        self._machine = machine
        self.start()

    def start(self) -> None:
        machine = self._machine
        world: dict[str, Any] = {"store": machine.store, "polls": machine.store}
        world |= {"notifier": machine.slack, "clock": machine.clock}
        ops = Ops(store=machine.store, notes=machine.store, clock=machine.clock, channel=None)
        roles = {"channels": machine.store, "budgets": machine.store}
        self.deliver = machine.make_deliver(**world, **roles, rules=lambda _queue: RULES, ops=ops)
        self.edit = Edit(**world, rules=lambda _queue: RULES)

    def work(self) -> None:
        """Do all that can be done at once."""
        try:
            self.deliver.wake()
            self.deliver.run(lambda: False)
            while self.edit.step():
                pass
        except Crash:
            self.start()


class DeliveryMachine(RuleBasedStateMachine):
    """Two workers beside one store and one Slack. Each run is told of in one notice, so it must be seen once."""

    make_deliver: type[Deliver] = Deliver
    lease: timedelta | None = None
    edits_keep_metadata = True
    may_be_blind = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = CrashingStore(self.lease)
        self.slack = FlakySlack(self.clock, edits_keep_metadata=self.edits_keep_metadata)
        self.slack.meanwhile = self.meanwhile
        self.store.freeze = lambda: self.meanwhile(FROZEN)
        self.workers = [Worker(self), Worker(self)]
        self.busy = 0
        self.is_waiting = False
        self.open: dict[str, bool] = {}
        self.owed_in: dict[str, str] = {}

    # What happens

    @precondition(lambda self: len(self.open) < LISTED - 1)
    @rule(count=st.integers(1, 2), channel=st.sampled_from([CHANNEL, CHANNEL, LEADS]), fault=st.sampled_from(Fault))
    def owe(self, count: int, channel: Destination, fault: Fault) -> None:
        """New runs are announced, and the post may meet a fault."""
        names = [f"run {len(self.open) + number}" for number in range(count)]
        reviews = [review(name, first_seen_at=self.clock.now()) for name in names]
        told = notice(*reviews, name=f"notice of {names[0]}", kind=Kind.ANNOUNCEMENT, channel=channel)
        self.store.update(queue(), set(), deciding(*reviews, notices=[told]), self.clock.now())
        self.open |= dict.fromkeys(names, True)
        self.owed_in |= dict.fromkeys(names, channel.place)
        self.slack.sends.append(fault)

    @rule(wait=st.sampled_from([0, 1, 2, 5, 5, 10, 31, 95]), worker=st.sampled_from(WORKERS))
    def work(self, wait: int, worker: int) -> None:
        """Time passes, then one worker does what it can."""
        self.clock.advance(wait * SECOND)
        self.busy = worker
        self.workers[worker].work()

    @rule(waits=st.integers(1, 12), worker=st.sampled_from(WORKERS))
    def work_on(self, waits: int, worker: int) -> None:
        """One worker does what it can, every other second."""
        for _ in range(waits):
            self.work(2, worker)

    @precondition(lambda self: any(self.open.values()))
    @rule(number=st.integers(0, 99))
    def close(self, number: int) -> None:
        """A run is reviewed."""
        waiting = [name for name, waits in self.open.items() if waits]
        self.renew(waiting[number % len(waiting)], waits=False)

    @precondition(lambda self: self.seen() and not all(self.open.values()))
    @rule(number=st.integers(0, 99))
    def reopen(self, number: int) -> None:
        """A run that people have seen is back as it was."""
        left = [name for name, _ in sorted(self.seen()) if not self.open[name]]
        if left:
            self.renew(left[number % len(left)], waits=True)

    def renew(self, name: str, *, waits: bool) -> None:
        self.open[name] = waits
        now = self.clock.now()
        changed = review(name, first_seen_at=now, closed_at=None if waits else now)
        self.store.update(queue(), set(), deciding(changed), now)

    def seen(self) -> set[tuple[str, str]]:
        """Which runs stand in which channel."""
        return {(name, post.receipt.channel) for post in self.slack.standing for name in _names(post.message)}

    @rule(fault=st.sampled_from(FIND_FAULTS))
    def look_ups_fail(self, fault: Fault) -> None:
        self.slack.finds.append(fault)

    @rule(fault=st.sampled_from(EDIT_FAULTS))
    def edits_fail(self, fault: Fault) -> None:
        self.slack.edits.append(fault)

    @rule(name=st.sampled_from(AT_STORE))
    def crash(self, name: str) -> None:
        """The process that comes to this step next is gone there, or stands still."""
        self.store.crashes.add(name)

    @precondition(lambda self: self.may_be_blind)
    @rule(readable=st.booleans())
    def history(self, readable: bool) -> None:  # noqa: FBT001
        self.slack.readable = readable

    def meanwhile(self, wait: timedelta) -> None:
        """One worker waits or stands still; the other goes on."""
        others = [] if self.is_waiting else [self.workers[1 - self.busy]]
        self.is_waiting = True
        for _ in range(wait // SECOND):
            self.clock.advance(SECOND)
            for other in others:
                other.work()
        self.is_waiting = not others

    # What holds

    @invariant()
    def every_message_can_be_found_by_its_key(self) -> None:
        assert all(post.key == post.message.key for post in self.slack.standing)

    def teardown(self) -> None:
        self.come_to_rest()
        self.nothing_is_owed_any_more()
        self.nothing_is_lost()
        self.nothing_is_seen_twice()
        self.messages_are_true()

    def come_to_rest(self) -> None:
        """The world is well again, and an operator looks after what is held for one."""
        self.slack.heal()
        self.store.crashes.clear()
        for number in range(40):
            self.work(100 if number % 4 == 0 else 7, number % 2)
            self.operate()

    def operate(self) -> None:
        """Look into the channel, as the message of a held delivery says, and retry what is not there."""
        posted = {post.message.key for post in self.slack.standing}
        for delivery in self.store.deliveries(State.HELD):
            if delivery.due_at == NEVER and delivery.key not in posted:
                self.store.retry(delivery.key, self.clock.now())
        for delivery in self.store.deliveries(State.DEAD):
            self.store.retry(delivery.key, self.clock.now())

    def nothing_is_owed_any_more(self) -> None:
        live = [delivery for delivery in self.store.deliveries(limit=999) if delivery.state not in _SETTLED]
        assert all(delivery.due_at == NEVER for delivery in live)

    def nothing_is_lost(self) -> None:
        assert {(name, self.owed_in[name]) for name, waits in self.open.items() if waits} <= self.seen()

    def nothing_is_seen_twice(self) -> None:
        keys_of: dict[str, set[object]] = {}
        for post in self.slack.standing:
            for name in _names(post.message):
                keys_of.setdefault(name, set()).add(post.message.key)
        assert all(len(keys) == 1 for keys in keys_of.values())
        posts = Counter(post.message.key for post in self.slack.standing)
        repeats = sum(posts.values()) - len(posts)
        assert repeats <= min(self.slack.blind, self.slack.uncertain + self.store.crashed)

    def messages_are_true(self) -> None:
        shown = {post.receipt: post.message for post in self.slack.standing}
        for delivery in self.store.deliveries(State.SENT, limit=999):
            assert delivery.receipt in shown
            for line in shown[delivery.receipt].lines:
                assert (line.fate is None) is self.open[line.facts.name]


_SETTLED = {State.SENT, State.WITHDRAWN, State.DEAD}


def _names(message: Message) -> Iterator[str]:
    return (line.facts.name for line in message.lines)


class BlindMachine(DeliveryMachine):
    """The history may not be read at times."""

    may_be_blind = True


class MarksBeforeItSends(Deliver):
    """Defect: written as sent, then sent."""

    def _post(self, claim: Claim, now: datetime, in_time: Callable[[], bool]) -> None:
        owed, gone = still_owed(claim.reviews)
        attempt = step.begin(claim.delivery, now)
        self._sent(claim, attempt, Receipt(attempt.destination.place, "0"), owed=owed, gone=gone, digest="")
        super()._post(claim, now, in_time)


class NeverLooksUp(Deliver):
    """Defect: a lost answer is taken for a message that was not posted."""

    def _look_up(self, claim: Claim, now: datetime) -> None:
        self._settle(replace(claim.delivery, state=State.PENDING, due_at=now), claim)


class LooksOnce(Deliver):
    """Defect: one look that finds nothing is taken for proof."""

    def _look_up(self, claim: Claim, now: datetime) -> None:
        super()._look_up(replace(claim, delivery=replace(claim.delivery, looks=step.LOOKS - 1)), now)


class MarkingMachine(DeliveryMachine):
    make_deliver = MarksBeforeItSends


class HastyMachine(DeliveryMachine):
    make_deliver = NeverLooksUp


class OneLookMachine(DeliveryMachine):
    make_deliver = LooksOnce


class ShortLeaseMachine(DeliveryMachine):
    lease = timedelta(seconds=10)


class ForgetfulEditMachine(DeliveryMachine):
    edits_keep_metadata = False


THOROUGH = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
HUNT = settings(
    THOROUGH,
    max_examples=600,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("machine", [DeliveryMachine, BlindMachine])
def test_nothing_is_lost_and_nothing_seen_twice(machine: type[DeliveryMachine]) -> None:
    with capture_logs():
        run_state_machine_as_test(machine, settings=THOROUGH)


def test_a_run_that_is_reviewed_while_a_post_in_doubt_waits_to_be_sent_again_is_crossed_off_where_it_is_found() -> None:
    machine = BlindMachine()
    machine.history(readable=False)
    machine.owe(count=1, channel=CHANNEL, fault=Fault.LOST)
    machine.work(wait=0, worker=0)
    machine.crash(name="settled")
    machine.work(wait=5, worker=0)
    machine.close(number=0)
    machine.crash(name="claimed")
    machine.work(wait=1, worker=0)
    machine.teardown()


@pytest.mark.parametrize(
    ("machine", "law"),
    [
        pytest.param(MarkingMachine, "nothing_is_lost", id="mark before send"),
        pytest.param(HastyMachine, "nothing_is_seen_twice", id="no look-up"),
        pytest.param(OneLookMachine, "nothing_is_seen_twice", id="one look only"),
        pytest.param(ShortLeaseMachine, "nothing_is_seen_twice", id="lease shorter than the request"),
        pytest.param(ForgetfulEditMachine, "every_message_can_be_found_by_its_key", id="an edit loses the metadata"),
    ],
)
def test_a_planted_defect_is_found(machine: type[DeliveryMachine], law: str) -> None:
    with capture_logs(), pytest.raises(AssertionError) as found:
        run_state_machine_as_test(machine, settings=HUNT)
    assert law in {entry.name for entry in found.traceback}
