"""Links that Slack counts and no worker holds: when somebody is alarmed, and when that is over."""

from __future__ import annotations

from tests.support.announced import Announced
from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from worker.notifiers.slack.socket_door import AGAIN_SECONDS, RECOUNT_SECONDS, Ghosts


class Counting:
    def __init__(self, others: int = 0) -> None:
        self.clock = FakeClock()
        self.incidents = Announced()
        self.ghosts = Ghosts(others=lambda: others, clock=self.clock, incidents=self.incidents)

    def due_in(self) -> float:
        """Let time pass until the links are to be counted again; how long that took."""
        began = self.clock.monotonic()
        for wait in (AGAIN_SECONDS, RECOUNT_SECONDS - AGAIN_SECONDS):
            self.clock.advance(wait * SECOND)
            if self.ghosts.is_recount_due:
                return self.clock.monotonic() - began
        return float("inf")


def test_as_many_as_are_known_are_no_ghosts() -> None:
    counting = Counting(others=1)
    counting.ghosts.counted(3, 2)
    assert (counting.incidents.lasting, counting.due_in()) == ({}, float("inf"))


def test_more_are_an_incident_once_they_were_counted_twice_and_until_they_are_gone() -> None:
    counting = Counting()
    counting.ghosts.counted(2, 1)
    assert (counting.incidents.lasting, counting.due_in()) == ({}, AGAIN_SECONDS)
    counting.ghosts.counted(3, 2)
    text, fix = counting.incidents.lasting["slack_ghost"]
    assert "counts 3 links of the app, of which the workers hold 2" in text
    assert "SLACK_APP_TOKEN" in fix
    assert counting.due_in() == RECOUNT_SECONDS
    counting.ghosts.counted(2, 2)
    assert (counting.incidents.lasting, counting.due_in()) == ({}, float("inf"))


def test_one_that_was_just_given_up_alarms_nobody() -> None:
    counting = Counting()
    counting.ghosts.counted(2, 1)
    counting.ghosts.counted(2, 2)
    counting.ghosts.counted(2, 1)
    assert counting.incidents.lasting == {}
