"""Every statement of a steady state, with the values that the program binds, reads through an index that stays small.

Both databases are asked how they would run each statement while many sent deliveries and closed reviews are kept.
"""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from msgspec import structs
from msgspec.structs import replace

from tests.contract.stores import PATIENCE
from tests.support.builders import CHANNEL, DAY, HOUR, LEASE, NOON, deciding, ident, notice, pause, queue, review, to
from tests.support.outbox import post, posted, take, take_edit
from worker.core.direct import DirectNotice, DirectPlan, Entered
from worker.core.direct_inbox import Spoken
from worker.core.model import Fate, Kind, Polled, RemindIn
from worker.core.owed import State
from worker.stores.opening import open_store
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from worker.stores.sql import SqlStore

QUEUE = queue()
KEPT = 3000
LARGE = {"reviews", "deliveries", "delivery_reviews"}
SMALL = {"ix_deliveries_due", "ix_deliveries_edit", "ix_deliveries_leased", "ix_deliveries_queue", "ix_reviews_open"}
SMALL |= {"ix_delivery_reviews_passed"}
"""Indexes of what is owed or waits at present: they may be read from end to end."""


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> Iterator[SqlStore]:
    """A store in which much is kept, and nothing is owed."""
    is_file = request.param == "sqlite"
    made = f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}" if is_file else None
    url = made or request.getfixturevalue("migrated_postgres")
    with closing(open_store(url, migrate=False, patience=PATIENCE)) as store:
        store.update(QUEUE, [], deciding(), NOON)
        store._database.write(keep)  # noqa: SLF001  nobody else fills a table
        yield store


def keep(connection: sa.Connection) -> None:
    """Fill the tables with reminders that were sent, and a reviewed run each."""
    ended = NOON - 5 * DAY
    runs = [structs.asdict(review(n, added_at=ended, closed_at=ended, fate=Fate.REVIEWED)) for n in range(KEPT)]
    connection.execute(
        sa.insert(REVIEWS), [{"review_id": n, "queue_id": QUEUE.queue_id, **runs[n]} for n in range(KEPT)]
    )
    sent = {
        "queue_id": QUEUE.queue_id,
        "kind": Kind.REMINDER,
        "destination": CHANNEL,
        "mention": (),
        "remind_in": RemindIn.THREAD,
        "text": "",
        "state": State.SENT,
        **dict.fromkeys(("created_at", "due_at", "settled_at"), ended),
        **dict.fromkeys(("attempts", "looks", "edits"), 1),
        "plain": False,
        **dict.fromkeys(("last_error", "digest"), ""),
        **dict.fromkeys(("receipt_channel", "receipt_ts"), "1"),
    }
    until = (NOON - DAY, NOON + DAY)
    rows = [{"delivery_id": n, "key": ident(10**6 + n), "edit_until": until[n % 2], **sent} for n in range(KEPT)]
    connection.execute(sa.insert(DELIVERIES), rows)
    spoken = [{"delivery_id": n, "review_id": n, "left_out": False, "position": 0} for n in range(KEPT)]
    connection.execute(sa.insert(DELIVERY_REVIEWS), spoken)
    if connection.dialect.name == "postgresql":
        # Autovacuum must not come in the middle of a test: plans would change by chance.
        for table in (REVIEWS, DELIVERIES, DELIVERY_REVIEWS):
            connection.exec_driver_sql(f"ALTER TABLE {table.name} SET (autovacuum_enabled = off)")
        connection.exec_driver_sql("SELECT setval('deliveries_delivery_id_seq', 9000)")
        connection.exec_driver_sql("SELECT setval('reviews_review_id_seq', 9000)")
        # As autovacuum does it there after a while.
        connection.exec_driver_sql("ANALYZE")


def steady_state(store: SqlStore) -> None:
    """Everything that a service does again and again, and at its start."""
    queue_id, runs = QUEUE.queue_id, [review(f"run {number}") for number in range(3)]
    keys = [run.queue_run_id for run in runs]
    store.lapse(NOON, NOON)
    store.polled([Polled(QUEUE, completed_at=NOON)])
    told = notice(*runs, name="announced")
    reminder = notice(*runs, name="reminded", kind=Kind.REMINDER, remind_in=RemindIn.THREAD)
    store.update(QUEUE, keys, deciding(*runs, notices=[told]), NOON)
    store.update(QUEUE, keys, deciding(), NOON, whole=False)
    store.undescribed(queue_id, NOON, 20)
    store.describe(queue_id, {keys[0]: replace(runs[0].facts, name="named")}, NOON)
    store.unclaim(NOON, LEASE)
    post(store, left_out=[runs[2].key])
    store.update(QUEUE, keys, deciding(notices=[reminder]), NOON)
    claim = take(store, skip=[to("C1")])
    store.standing(queue_id, NOON - HOUR)
    store.settle(posted(claim.delivery), claim.delivery, shown=[runs[0].key])
    store.update(QUEUE, keys, deciding(*(replace(run, closed_at=NOON) for run in runs)), NOON)
    store.unexplained(queue_id, NOON, 20)
    store.learn(queue_id, {keys[0]: Fate.REVIEWED}, NOON)
    edit = take_edit(store, NOON + HOUR)
    store.settle_edit(replace(edit.delivery, edit_at=None, edited_at=NOON), edit.delivery)
    store.claim(NOON, LEASE)
    store.spend(ident("announced"), {"U1": NOON - DAY}, 3, NOON)
    store.spent({"U1": NOON - DAY}, ident("another"))
    store.stirred([queue_id])
    store.update(QUEUE, [], deciding(review("waits")), NOON)
    about = (queue_id, review("waits").key)
    direct = DirectNotice(ident("direct"), "U1", to("U1"), ((about, Kind.ANNOUNCEMENT),))
    heard = {("ada", about): Spoken(NOON, NOON)}
    store.direct([queue_id], lambda _: DirectPlan((direct,), spoken=heard, begun=frozenset({queue_id})), NOON)
    entered = Entered("U1", ident("direct"), ((about, Kind.ANNOUNCEMENT),))
    store.direct([queue_id], lambda _: DirectPlan(entered=(entered,), begun=frozenset({queue_id})), NOON)
    store.next_due_at()
    store.backlog()
    store.deliveries(State.DEAD)
    store.pause(pause())
    store.pauses()
    store.resume(pause().destination)
    store.polls()
    store.retry(ident("announced"), NOON)
    store.prune(settled_before=NOON - 30 * DAY, closed_before=NOON - 30 * DAY)


def executed(store: SqlStore) -> Mapping[str, Any]:
    """The statements of a steady state, each with parameters that were bound to it."""
    engine, statements = store._database.engine, {}  # noqa: SLF001  nobody else sees them

    def note(*given: Any) -> None:
        _, _, statement, parameters, _, many = given
        statements[statement] = parameters[0] if many else parameters

    sa.event.listen(engine, "before_cursor_execute", note)
    steady_state(store)
    sa.event.remove(engine, "before_cursor_execute", note)
    verbs = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
    return {statement: bound for statement, bound in statements.items() if statement.startswith(verbs)}


def dear_steps(store: SqlStore, statement: str, bound: Any) -> list[str]:
    """The steps of a statement that read more, the more is kept."""
    with store._database.engine.connect() as connection:  # noqa: SLF001
        if connection.dialect.name == "postgresql":
            # Whether there is an index to read through, not which is cheaper in a table as small as this one.
            connection.exec_driver_sql("SET enable_seqscan = off")
            found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", bound).scalar_one()
            plan = found if isinstance(found, list) else json.loads(found)
            return [str(node) for node in _nodes(plan[0]["Plan"]) if _is_dear(node)]
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", bound).all()
    return [row.detail for row in rows if _is_dear_step(row.detail.split(), bound)]


def _is_dear_step(words: list[str], bound: Any) -> bool:
    """Whether SQLite reads a whole table, a whole index that is not small, or nearly all through that of states."""
    if words[0] not in {"SCAN", "SEARCH"} or words[1] not in LARGE or SMALL & {*words}:
        return False
    return words[0] == "SCAN" or "USING" not in words or ("ix_deliveries_state" in words and "sent" in bound)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield {key: value for key, value in plan.items() if key != "Plans"}
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _is_dear(node: Mapping[str, Any]) -> bool:
    if node["Node Type"] == "Bitmap Index Scan":
        return "'sent'" in node.get("Index Cond", "")
    if node.get("Relation Name") not in LARGE or "Scan" not in node["Node Type"]:
        return False
    if node["Node Type"] == "Bitmap Heap Scan" or node.get("Index Name") in SMALL:
        return False
    return "Index Cond" not in node or "'sent'" in node["Index Cond"]


def test_every_statement_of_a_steady_state_reads_a_little_through_an_index(store: SqlStore) -> None:
    dear = {statement: dear_steps(store, statement, bound) for statement, bound in executed(store).items()}
    assert {statement: steps for statement, steps in dear.items() if steps} == {}


def test_a_statement_that_reads_all_is_seen(store: SqlStore) -> None:
    for dear in ("SELECT count(*) FROM deliveries WHERE last_error = 'x'", "SELECT max(since) FROM reviews"):
        assert dear_steps(store, dear, ())
