"""Messages get what can be pressed, and lose it, with the setting: by one edit each, and no more."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.support.builders import HOUR, MINUTE
from tests.support.whole_worker import Worker, rules_by
from worker.app import match_controls

ON = replace(rules_by(), has_controls=True)
OFF = rules_by()


def switch(worker: Worker, *, on: bool) -> None:
    """Start once more, with the other setting."""
    worker.rules["q"] = ON if on else OFF
    worker.restart()
    match_controls(worker.kept, worker.clock.now(), are_on=on)


@pytest.fixture
def worker() -> Worker:
    """A worker that has posted of two runs, which wait."""
    made = Worker({"q": ON})
    match_controls(made.kept, made.clock.now(), are_on=True)
    made.tick()
    made.show("a")
    made.tick()
    made.wait(HOUR)
    made.show("a", "b")
    made.wait(HOUR)
    return made


def test_a_message_has_them_where_presses_are_heard(worker: Worker) -> None:
    assert all(message.controls is not None for _, message in worker.posts)


def test_each_loses_them_by_one_edit_and_gets_them_back(worker: Worker) -> None:
    before = len(worker.notifier.edits)
    shown = sum(message.controls is not None for message in worker.notifier.board)
    switch(worker, on=False)
    worker.wait(3 * MINUTE)
    assert len(worker.notifier.edits) - before == shown > 1
    assert not any(message.controls for message in worker.notifier.board)
    switch(worker, on=False)
    worker.wait(3 * MINUTE)
    assert len(worker.notifier.edits) - before == shown
    switch(worker, on=True)
    worker.wait(3 * MINUTE)
    assert len(worker.notifier.edits) - before == 2 * shown
    assert sum(message.controls is not None for message in worker.notifier.board) == shown
