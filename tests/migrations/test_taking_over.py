"""A database of an earlier schema, of both kinds: its rows mean the same afterwards, and nothing is announced again."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, HOUR, NOON, ident, queue, queue_run, rules_with, snapshot
from tests.support.old_database import former, insert, micro
from worker.core.model import NO_ONE, Access, Polled, Reviewer, Who
from worker.core.owed import NEVER, State
from worker.core.plan import plan
from worker.core.ports import ConfigError
from worker.stores import schema
from worker.stores.opening import migrate_database, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from worker.stores.sql import SqlStore

QUEUE = queue()
LADDER = rules_with(stale_after=4 * HOUR, remind_every=24 * HOUR, escalate_after=48 * HOUR).policy
NOW = NOON + 5 * HOUR
RUNS = {"announced": timedelta(0), "reminded": 4 * HOUR, "absent": None}
"""Runs that wait since noon, with the age up to which each was spoken of."""

OUTBOX = {
    "backs off": ("pending", NOON + DAY),
    "paused": ("held", NOON + HOUR),
    "for an operator": ("held", NEVER),
}
"""Deliveries as they were kept: in which state, and due when; a pause of their channel lasts for an hour."""


@pytest.fixture(params=["0001", "0002", "0003"])
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/worker.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str, str], str]:
    """The URL of a database to copy: of a kind and an earlier revision, in which a queue was polled."""

    @cache
    def made(kind: str, revision: str) -> str:
        directory = tmp_path_factory.mktemp(f"{kind}-{revision}")
        is_file = kind == "sqlite"
        url = f"sqlite:///{directory}/worker.db" if is_file else request.getfixturevalue("postgres_server").create()
        migrate_database(url, scripts=former(directory, revision))
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            _fill(connection)
        engine.dispose()
        return str(url)

    return made


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, templates: Callable[[str, str], str], revision: str, tmp_path: Path) -> str:
    """The URL of a database of an earlier revision, in which a queue was polled."""
    template = templates(request.param, revision)
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_server").create(like=template))
    shutil.copyfile(template.removeprefix("sqlite:///"), tmp_path / "worker.db")
    return f"sqlite:///{tmp_path}/worker.db"


def _fill(connection: sa.Connection) -> None:
    """Write as the program of then did, without any word of today's."""
    queue_id = QUEUE.queue_id.bytes
    insert(
        connection, "queues", queue_id=queue_id, name=QUEUE.name, url="", reviewers_per_run=1,
        baselined_at=micro(NOON), completed_at=micro(NOON), error="",
    )  # fmt: skip
    for name, told in RUNS.items():
        insert(
            connection, "reviews", queue_id=queue_id, queue_run_id=ident(name).bytes, added_at=micro(NOON),
            run_id=ident(f"run of {name}").bytes, since=micro(NOON), first_seen_at=micro(NOON),
            told=None if told is None else micro(told), generation=1, back=False, reserved=False, done=0,
            facts="{}", absent_at=micro(NOON) if told is None else None,
        )  # fmt: skip

    for name, (state, due_at) in OUTBOX.items():
        insert(
            connection, "deliveries", delivery_key=ident(name).bytes, kind="ops", channel=CHANNEL.place, queue_id=None,
            mention="[]", remind_in="channel", story="", state=state, created_at=micro(NOON), due_at=micro(due_at),
            attempts=1, looks=0, plain=False, last_error="", edits=0, digest="",
        )  # fmt: skip
    insert(
        connection, "pauses", channel=CHANNEL.place, since=micro(NOON), until=micro(NOON + HOUR), reason="is_archived",
        failures=1,
    )  # fmt: skip


def decided(store: SqlStore, now: datetime, who: Who = NO_ONE) -> dict[str, list[str]]:
    """The notices of a poll that finds everything as it was, but `who` named."""
    listing = snapshot(*(queue_run(name, who=who) for name, told in RUNS.items() if told is not None), taken_at=now)

    found = store.update(QUEUE, [], partial(plan, listing, policy=LADDER, now=now), now)
    names = {ident(name): name for name in RUNS}
    return {notice.kind.value: [names[key.queue_run_id] for key in notice.reviews] for notice in found.notices}


def test_each_review_is_spoken_of_up_to_the_instant_at_which_it_was(old: str) -> None:
    migrate_database(old)
    with closing(open_store(old, migrate=False)) as store:
        told_at = {name: store.stories(ident(name))[0].review.told_at for name in RUNS}
    assert told_at == {name: None if told is None else NOON + told for name, told in RUNS.items()}


def test_nothing_is_announced_and_the_ladder_goes_on_where_it_was(old: str) -> None:
    migrate_database(old)
    with closing(open_store(old, migrate=False)) as store:
        assert decided(store, NOON + HOUR) == {}
        assert decided(store, NOON + HOUR, Who(assigned_to=("ada",))) == {}
        assert decided(store, NOW) == {"reminder": ["announced"]}


def test_what_a_pause_held_is_held_and_was_due_when_it_was_made(old: str) -> None:
    migrate_database(old)
    with closing(open_store(old, migrate=False)) as store:
        assert outbox(store) == {
            "backs off": (State.PENDING, NOON + DAY, None),
            "paused": (State.HELD, NOON, NOON + HOUR),
            "for an operator": (State.HELD, NEVER, None),
        }
        store.resume(CHANNEL)
        assert outbox(store)["paused"] == (State.PENDING, NOON, None)
        claimed = store.claim(NOON, HOUR)
        assert claimed is not None
        assert claimed.delivery.key == ident("paused")


def outbox(store: SqlStore) -> dict[str, tuple[State, datetime, datetime | None]]:
    names = {ident(name): name for name in OUTBOX}
    return {names[each.key]: (each.state, each.due_at, each.held_until) for each in store.deliveries()}


def test_nobody_acted_on_a_queue_so_far(old: str) -> None:
    migrate_database(old)
    with closing(open_store(old, migrate=False)) as store:
        assert store.polled([Polled(QUEUE)]) == {QUEUE.queue_id: 0}


def test_no_one_is_named_so_far_and_is_from_then_on(old: str) -> None:
    migrate_database(old)
    shown = replace(QUEUE, access=Access.ASSIGNED, assigned=(Reviewer("ada"),))
    with closing(open_store(old, migrate=False)) as store:
        assert [polled.queue for polled in store.polls()] == [QUEUE]
        assert {store.stories(ident(name))[0].review.who for name in RUNS} == {NO_ONE}
        store.polled([Polled(shown)])
        assert [polled.queue for polled in store.polls()] == [shown]


def test_the_way_back_has_the_ages_and_the_dues_again(old: str) -> None:
    migrate_database(old)
    engine = sa.create_engine(old)
    with engine.begin() as connection:
        command.downgrade(schema.settings(connection=connection), "0003")
        rows = connection.exec_driver_sql("SELECT queue_run_id, told FROM reviews").all()
        dues = connection.exec_driver_sql("SELECT state, due_at FROM deliveries ORDER BY delivery_id").all()
    engine.dispose()
    assert {bytes(run): told for run, told in rows} == {
        ident(name).bytes: None if told is None else micro(told) for name, told in RUNS.items()
    }
    assert [tuple(row) for row in dues] == [(state, micro(due_at)) for state, due_at in OUTBOX.values()]


def test_a_program_that_was_rolled_back_refuses_the_newer_database_and_leaves_it_alone(
    url: str, revision: str, tmp_path: Path
) -> None:
    migrate_database(url)
    with pytest.raises(ConfigError, match="newer than this program"):
        migrate_database(url, scripts=former(tmp_path, revision))
    with closing(open_store(url, migrate=False)) as store:
        assert store.polls() == []
