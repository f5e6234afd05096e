"""What every Notifier promises, held against each of them."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.golden_slack import AS_OF, line, message
from tests.support.builders import to
from tests.support.fake_notifier import FakeNotifier
from tests.support.slack_stage import CHANNEL, TOKEN, stage
from worker.core.model import Fate
from worker.core.owed import Receipt
from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.slack.notifier import Slack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.slack_stage import Stage
    from worker.core.message import Message
    from worker.demo.slack.server import SimulatedSlack


class FakeBench:
    """The fake, and how to disturb it."""

    def __init__(self) -> None:
        self.notifier = FakeNotifier()

    def visible(self) -> int:
        return len(self.notifier.board)

    def delete(self, receipt: Receipt) -> None:
        self.notifier.delete(receipt)

    def lose_answer(self, *, committed: bool) -> None:
        self.notifier.fail("send", Outcome.UNKNOWN, committed=committed)

    def refuse_message(self) -> None:
        self.notifier.fail("send", Outcome.MESSAGE, code="invalid_blocks")

    def break_token(self) -> None:
        self.notifier.fail("probe", Outcome.TOKEN, code="token_revoked")


class SlackBench:
    """Slack's notifier over HTTP against the simulated Slack."""

    def __init__(self, slack: SimulatedSlack, root: str) -> None:
        self.slack = slack
        self.notifier = Slack(token=TOKEN, base_url=root, seconds=5)

    def visible(self) -> int:
        return len(self.slack.messages(CHANNEL))

    def delete(self, receipt: Receipt) -> None:
        self.slack.delete(receipt.channel, receipt.ts)

    def lose_answer(self, *, committed: bool) -> None:
        self.slack.fail("chat.postMessage", mode="commit_then_drop" if committed else "drop_before", times=1)

    def refuse_message(self) -> None:
        self.slack.fail("chat.postMessage", error="invalid_blocks", times=1)

    def break_token(self) -> None:
        self.slack.token_error = "token_revoked"


Bench = FakeBench | SlackBench


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture(params=["fake", "slack"])
def bench(request: pytest.FixtureRequest, server: Stage) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    made = SlackBench(server.reset(), server.root)
    with contextlib.closing(made.notifier):
        yield made


def notice(**changes: object) -> Message:
    return replace(message(lines=(line(), line("Order status"))), key=uuid4(), destination=to(CHANNEL), **changes)


def outcome_of(call: Callable[..., object], *arguments: object) -> Outcome:
    with pytest.raises(DeliveryError) as caught:
        call(*arguments)
    return caught.value.outcome


def test_a_post_is_found_by_its_key_with_the_receipt_that_send_gave(bench: Bench) -> None:
    first, second = notice(), notice()
    receipts = [bench.notifier.send(first), bench.notifier.send(second)]
    assert [bench.notifier.find(sent, AS_OF) for sent in (first, second)] == receipts
    assert len(set(receipts)) == 2


def test_what_was_never_sent_is_not_found(bench: Bench) -> None:
    bench.notifier.send(notice())
    assert bench.notifier.find(notice(), AS_OF) is None


def test_an_edit_replaces_the_message_and_leaves_its_key(bench: Bench) -> None:
    sent = notice()
    receipt = bench.notifier.send(sent)
    bench.notifier.edit(replace(sent, waiting=0, lines=(line(fate=Fate.REVIEWED),), total=1), receipt)
    assert bench.notifier.find(sent, AS_OF) == receipt
    assert bench.visible() == 1


def test_a_deleted_message_cannot_be_edited_any_more_nor_found(bench: Bench) -> None:
    sent = notice()
    receipt = bench.notifier.send(sent)
    bench.delete(receipt)
    assert outcome_of(bench.notifier.edit, sent, receipt) is Outcome.EDIT
    assert bench.notifier.find(sent, AS_OF) is None


@pytest.mark.parametrize("committed", [True, False], ids=["posted", "not posted"])
def test_after_a_lost_answer_the_outcome_is_unknown_and_a_look_tells(bench: Bench, *, committed: bool) -> None:
    sent = notice()
    bench.lose_answer(committed=committed)
    assert outcome_of(bench.notifier.send, sent) is Outcome.UNKNOWN
    assert bench.visible() == int(committed)
    assert (bench.notifier.find(sent, AS_OF) is not None) is committed


def test_a_post_of_long_before_is_not_what_is_looked_for(bench: Bench) -> None:
    sent = notice()
    bench.notifier.send(sent)
    for _ in range(150):
        bench.notifier.send(notice())
    assert bench.notifier.find(sent, AS_OF + timedelta(days=2)) is None


def test_a_refused_message_is_not_posted_and_the_next_one_is(bench: Bench) -> None:
    bench.refuse_message()
    assert outcome_of(bench.notifier.send, notice()) is Outcome.MESSAGE
    bench.notifier.send(notice())
    assert bench.visible() == 1


def test_a_reply_is_found_with_its_root(bench: Bench) -> None:
    root = bench.notifier.send(notice())
    reply = notice(root=root)
    receipt = bench.notifier.send(reply)
    assert bench.notifier.find(reply, AS_OF) == receipt


def test_a_reply_to_a_message_that_is_gone_is_posted_all_the_same(bench: Bench) -> None:
    reply = notice(root=Receipt(CHANNEL, "1.000000"))
    receipt = bench.notifier.send(reply)
    assert bench.notifier.find(reply, AS_OF) == receipt
    assert bench.visible() == 1


def test_a_broken_token_is_probed(bench: Bench) -> None:
    bench.notifier.probe()
    bench.break_token()
    assert outcome_of(bench.notifier.probe) is Outcome.TOKEN


def test_a_fingerprint_changes_with_what_is_shown_and_not_with_time(bench: Bench) -> None:
    sent = notice()
    reviewed = replace(sent, lines=(dataclasses.replace(sent.lines[0], fate=Fate.REVIEWED), sent.lines[1]), waiting=1)
    later = replace(sent, as_of=AS_OF + timedelta(hours=3))
    marks = [bench.notifier.fingerprint(one) for one in (sent, later, reviewed)]
    assert marks[0] == marks[1] != marks[2]


def test_threads_may_send_at_the_same_time(bench: Bench) -> None:
    ready = threading.Barrier(8)

    def send(sent: Message) -> Receipt:
        ready.wait(60)
        return bench.notifier.send(sent)

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(send, [notice() for _ in range(8)]))
    assert len(set(receipts)) == 8 == bench.visible()


@pytest.mark.parametrize("answer", [{"error": "unknown_method"}, {"status": 404}, {"status": 501}], ids=str)
def test_a_server_that_knows_no_probe_refuses_no_token(server: Stage, answer: dict[str, object]) -> None:
    made = SlackBench(server.reset(), server.root)
    made.slack.fail("auth.test", **answer)
    with contextlib.closing(made.notifier):
        assert outcome_of(made.notifier.probe) is Outcome.NOT_ASKED
