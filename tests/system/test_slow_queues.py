"""Queues whose answers do not come beside one whose answers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.process import wait_for
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from tests.system.stage import Stage


def test_a_queue_whose_answers_drip_or_never_come_delays_no_other_poll(stage: Stage) -> None:
    dripping, silent, well = stage.add("dripping"), stage.add("silent"), stage.add("well")
    stage.run(well, "run 1")
    with stage.service():
        wait_for(lambda: stage.shown(well), "the first polls are over")
        stage.langsmith.fail(How.DRIP, path=str(dripping.queue))
        stage.langsmith.fail(How.HANG, path=str(silent.queue))
        for number in range(2, 5):
            stage.run(well, f"run {number}")
            wait_for(lambda number=number: len(stage.shown(well)) == number, f"run {number}", patience=15)
    assert not stage.shown(dripping) + stage.shown(silent)
