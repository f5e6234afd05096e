"""What every store promises of the processes that work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec.structs import replace

from tests.support.builders import MINUTE, NOON
from worker.core.overview import Area, LinkState, Process, Reason

if TYPE_CHECKING:
    from worker.core.store_roles import Store

BLIND = Reason("queue_blind", Area.QUEUES, "The key sees 0 of 3 \N{SNOWMAN} \x1b[31m", "Use another key", "q1", NOON)


def process(*, after: int = 0, **more: object) -> Process:
    made = Process(uuid4(), "run", "host", 4_000_000, "0.1.0", NOON + after * MINUTE)
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_process_comes_back_as_it_was_noted_last(store: Store) -> None:
    one = process()
    store.note(one)
    store.note(later := replace(one, reasons=(BLIND, replace_subject("q2")), ended_at=NOON + MINUTE))
    assert store.processes() == [later]


def test_the_link_of_a_process_comes_back(store: Store) -> None:
    one = process(link=LinkState())
    store.note(one)
    store.note(later := replace(one, link=LinkState(NOON, NOON + MINUTE, 1, 2)))
    assert store.processes() == [later]


def replace_subject(subject: str) -> Reason:
    return Reason(BLIND.kind, BLIND.area, BLIND.text, BLIND.fix, subject)


def test_the_newest_process_comes_first_however_often_the_others_are_noted(store: Store) -> None:
    first, second = process(), process(after=1)
    for each in (first, second, first):
        store.note(each)
    assert store.processes() == [second, first]


def test_processes_of_long_ago_are_forgotten(sql_store: Store) -> None:
    every = [process(after=number) for number in range(50)]
    for each in every:
        sql_store.note(each)
    assert sql_store.processes()[:10] == every[:-11:-1]
    assert len(sql_store.processes()) <= 20


def test_half_a_character_in_a_reason_is_no_failure(sql_store: Store) -> None:
    sql_store.note(process(reasons=(Reason("queue_blind", Area.QUEUES, "\ud83d", "\ud83d", "q1"),)))
    assert sql_store.processes()[0].reasons[0].subject == "q1"
