"""What a poll or a delivery costs does not grow with what lies behind it: every hot query goes through an index."""

from __future__ import annotations

import shutil
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.support.builders import DAY, LEASE, NOON, deciding, ident, notice, pause, queue, review
from tests.support.outbox import posted, take
from worker.core.model import Kind, RemindIn
from worker.core.owed import State
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from worker.core.plan import Plan
    from worker.stores.sql import SqlStore

QUEUE = queue()
LARGE = {"reviews", "deliveries", "delivery_reviews"}


@pytest.fixture
def store(sqlite_template: Path, tmp_path: Path) -> Iterator[SqlStore]:
    with closing(open_store(f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}", migrate=False)) as store:
        yield store


def asked(store: SqlStore, call: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements that a call makes."""
    engine, statements = store._database.engine, []  # noqa: SLF001  nobody else sees them

    def note(*given: Any) -> None:
        _, _, statement, parameters, _, many = given
        statements.extend([(statement, one) for one in parameters] if many else [(statement, parameters)])

    sa.event.listen(engine, "before_cursor_execute", note)
    call()
    sa.event.remove(engine, "before_cursor_execute", note)
    return statements


def scans(store: SqlStore, call: Callable[[], object]) -> list[str]:
    """The steps in which SQLite would read a whole table that grows, or all that was sent for the few edits owed."""
    found = []
    for statement, parameters in asked(store, call):
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            with store._database.engine.connect() as connection:  # noqa: SLF001
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            steps = [row.detail for row in rows]
            found += [step for step in steps if step.startswith("SCAN") and step.split()[1] in LARGE]
            if "edit_at IS NOT NULL" in statement:
                found += [step for step in steps if step.endswith("ix_deliveries_state (state=?)")]
    return found


def poll(store: SqlStore, name: str = "new") -> Plan:
    run = review(name)
    told = notice(run, name=name, kind=Kind.REMINDER, remind_in=RemindIn.THREAD)
    return store.update(QUEUE, [ident("new"), ident("old")], deciding(run, notices=[told]), NOON)


CALLS: dict[str, Callable[[SqlStore], object]] = {
    "a poll that changes something": poll,
    "learning": lambda store: store.learn(QUEUE.queue_id, {ident("old"): None}, NOON),  # type: ignore[dict-item]
    "what is unexplained": lambda store: store.unexplained(QUEUE.queue_id, NOON, 20),
    "a claim": lambda store: store.claim(NOON, LEASE, ["C1"]),
    "a claim of an edit": lambda store: store.claim_edit(NOON, LEASE, ["C1"]),
    "what is due next": lambda store: store.next_due_at(),
    "standing": lambda store: store.standing(QUEUE.queue_id, NOON),
    "the backlog": lambda store: store.backlog(),
    "dead deliveries": lambda store: store.deliveries(State.DEAD),
    "a story": lambda store: store.stories(ident("old")),
    "a retry": lambda store: store.retry(ident("new"), NOON),
    "pruning": lambda store: store.prune(settled_before=NOON - DAY, closed_before=NOON - DAY),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_reads_no_table_from_end_to_end(store: SqlStore, call: Callable[[SqlStore], object]) -> None:
    poll(store, "old")
    assert scans(store, lambda: call(store)) == []


def test_settling_reads_no_table_from_end_to_end(store: SqlStore) -> None:
    poll(store)
    claimed = take(store).delivery
    assert scans(store, lambda: store.settle(posted(claimed), claimed, shown=[review("new").key])) == []


def test_a_poll_that_changes_nothing_writes_nothing(store: SqlStore) -> None:
    poll(store)
    statements = asked(store, lambda: store.update(QUEUE, [ident("new")], deciding(), NOON))
    assert {statement.split()[0] for statement, _ in statements} == {"BEGIN", "SELECT"}


def test_a_poll_costs_few_statements_however_many_runs_wait(store: SqlStore) -> None:
    many = [review(number) for number in range(900)]
    store.update(QUEUE, [], deciding(*many), NOON)
    keys = [each.queue_run_id for each in many]
    assert len(asked(store, lambda: store.update(QUEUE, keys, deciding(), NOON))) <= 5


def test_a_pause_is_cheap(store: SqlStore) -> None:
    assert len(asked(store, lambda: store.pause(pause()))) <= 5


def test_the_outbox_as_a_whole_is_read_from_its_newest_end(store: SqlStore) -> None:
    """The one scan there is stops at its limit; it also shows that a scan would be seen."""
    assert scans(store, lambda: store.deliveries(limit=5)) == ["SCAN deliveries"]


OF_A_LIST: dict[str, Callable[[SqlStore, int], object]] = {
    "channels that are passed over": lambda store, most: store.claim(NOON, LEASE, [f"C{n}" for n in range(most)]),
    "runs of which something is new": lambda store, most: store.update(
        QUEUE, [ident(f"run {n}") for n in range(most)], deciding(), NOON, whole=False
    ),
}


@pytest.mark.parametrize("call", OF_A_LIST.values(), ids=OF_A_LIST)
def test_lists_of_every_length_are_few_statements_for_a_driver_to_keep(
    store: SqlStore, call: Callable[[SqlStore, int], object]
) -> None:
    poll(store)
    texts = [{statement for statement, _ in asked(store, partial(call, store, most))} for most in range(300)]
    assert max(map(len, texts)) < 20
    assert len(set().union(*texts)) < max(map(len, texts)) + 11
