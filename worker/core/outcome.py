"""What came of an act, in words for the person who acted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.actions import Act, why_refused
from worker.core.text import day_time_in, plain

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from worker.core.actions import Acted


def refused_text(name: str, acted: Acted) -> str:
    """Why nothing was done with the run or the queue of this name."""
    return f"{plain(name)}: {plain(why_refused(acted))}"


def done_text(act: Act, name: str, acted: Acted, until: datetime | None, zone: tzinfo) -> str:
    """What was done with the run or the queue of this name; `until` is what was asked for."""
    return f"{plain(name)}: {_done(act, acted, until, zone)}"


def _done(act: Act, acted: Acted, until: datetime | None, zone: tzinfo) -> str:
    run = acted.subject.review
    match act:
        case Act.CLAIM if run is not None:
            who, until = plain(run.acts.claimed_name), run.acts.claimed_until
            return f"{who} has it until {_moment(until, zone)}, without reminders; escalations still come"
        case Act.GIVE_BACK:
            return "nobody has it now"
        case Act.NOT_MINE:
            return "it is not your turn any more"
        case Act.SNOOZE:
            return f"snoozed until {_moment(until, zone)}"
        case Act.MUTE:
            return f"muted until {_moment(until, zone)}; messages are still edited, and escalations still come"
        case _:
            return "not muted any more"


def _moment(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else day_time_in(at, zone)
