"""A database that fails or refuses: said once for all loops, and an incident where waiting is no help."""

from __future__ import annotations

from structlog.testing import capture_logs

from tests.support.clock import FakeClock
from worker.core.ports import RefusedError, StoreError
from worker.loops.incidents import REFUSES, Board, Complaint

DENIED = RefusedError("refuses: permission denied for table notes. As its owner: GRANT")


def test_a_refusal_is_one_incident_until_the_last_loop_is_let_in() -> None:
    board = Board(FakeClock())
    complaint = Complaint(board)
    with capture_logs() as logs:
        for _ in range(12):
            complaint.failed("deliver", DENIED)
            complaint.failed("note", RefusedError("something else"))
        complaint.worked("note")
        assert [(each.kind, each.text) for each in board.standing] == [(REFUSES, str(DENIED))]
        complaint.worked("deliver")
    assert board.standing == ()
    events = ["incident_began", "store_failing", "incident_ended", "store_recovered"]
    assert sorted(line["event"] for line in logs) == sorted(events)


def test_a_failure_that_passes_is_no_incident() -> None:
    board = Board(FakeClock())
    complaint = Complaint(board)
    complaint.failed("deliver", StoreError("is busy"))
    assert board.standing == ()
    complaint.worked("deliver")
    assert (REFUSES, "") in board.over
