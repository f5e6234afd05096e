"""What `status`, `runs` and `why` show of hours: what is held, and what entered a message by an edit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.builders import HOUR, MINUTE, NOON, delivery, queue, review
from worker.commands.run_story import story_json, story_lines, upcoming_json
from worker.commands.status import held_text, hours_text
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.model import Kind
from worker.core.owed import State, Story, StoryNotice
from worker.core.status.upcoming import Held, Upcoming

if TYPE_CHECKING:
    from worker.core.owed import Delivery

BERLIN = ZoneInfo("Europe/Berlin")
LUNCH = (((12 * HOUR, 13 * HOUR),),) * 7
OFFICE = Calendar(BERLIN, (2026, 2027), hours=(((9 * HOUR, 17.5 * HOUR),),) * 5 + ((), ()), quiet=LUNCH)
MONDAY = datetime(2026, 11, 30, 8, tzinfo=UTC)
NEXT = Upcoming(None, None, "")


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-27 10:00", "open until Fri 27 Nov 17:30 (Europe/Berlin)"),
        ("2026-11-27 17:30", "closed until Mon 30 Nov 09:00 (Europe/Berlin)"),
        (
            "2026-11-27 12:30",
            "open until Fri 27 Nov 17:30 (Europe/Berlin), quiet until Fri 27 Nov 13:00 (Europe/Berlin)",
        ),
    ],
)
def test_a_queue_is_open_or_closed_until_a_time_on_its_own_clock(at: str, said: str) -> None:
    assert hours_text(OFFICE, datetime.fromisoformat(at).replace(tzinfo=BERLIN).astimezone(UTC)) == said


def test_without_hours_it_is_always_open() -> None:
    assert hours_text(ALWAYS_OPEN, NOON) == "always open"


def test_without_hours_it_may_be_quiet() -> None:
    said = "always open, quiet until Mon 2 Mar 13:00 (Europe/Berlin)"
    assert hours_text(Calendar(BERLIN, (2026, 2027), quiet=LUNCH), NOON - HOUR / 2) == said


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (Held(1, 0, MONDAY), "1 run held until Mon 30 Nov 09:00 (Europe/Berlin)"),
        (Held(0, 2, MONDAY), "2 messages held until Mon 30 Nov 09:00 (Europe/Berlin)"),
        (Held(3, 1, MONDAY), "3 runs and 1 message held until Mon 30 Nov 09:00 (Europe/Berlin)"),
    ],
)
def test_what_is_held_is_counted(held: Held, said: str) -> None:
    assert held_text(held, OFFICE) == said


def test_programs_get_both_ends_of_being_held() -> None:
    shown = upcoming_json(Upcoming(MONDAY, Kind.BASELINE, "held", NOON, MONDAY))
    assert (shown["held_from"], shown["held_until"]) == ("2026-03-02T12:00:00Z", "2026-11-30T08:00:00Z")


def posted(**more: Any) -> Delivery:
    sent = {"state": State.SENT, "created_at": NOON - HOUR, "settled_at": NOON - HOUR + MINUTE, "attempts": 1}
    return delivery("host", **sent | more)


def story(notice: StoryNotice) -> Story:
    return Story(queue(), review("a", first_seen_at=NOON), (notice,))


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        pytest.param({"edited_at": NOON + MINUTE, "edits": 2}, "shows it as new by an edit", id="made"),
        pytest.param(
            {"edit_at": NOON + MINUTE, "edit_until": NOON + HOUR}, "is to show it as new by an edit", id="owed"
        ),
        pytest.param({}, "could not be edited to show it", id="impossible"),
    ],
)
def test_a_run_that_entered_a_message_was_never_owed_it(edited: dict[str, Any], said: str) -> None:
    told = story(StoryNotice(posted(**edited)))
    lines = story_lines(told, NEXT, NOON + HOUR)
    assert any(line.endswith(f"posted before, {said}") for line in lines)
    assert not any(" is due" in line or " sent" in line for line in lines)
    (shown,) = story_json(told, NEXT)["deliveries"]
    assert (shown["entered_by_edit"], shown["purpose"]) == (True, "announcement")


def test_a_run_has_its_own_purpose_in_a_message_of_several() -> None:
    told = story(StoryNotice(posted(created_at=NOON, settled_at=NOON + MINUTE), purpose=Kind.REMINDER))
    assert any("is due, in which it is overdue" in line for line in story_lines(told, NEXT, NOON + HOUR))
    (shown,) = story_json(told, NEXT)["deliveries"]
    assert (shown["entered_by_edit"], shown["purpose"]) == (False, "reminder")


def test_a_message_that_was_lost_before_the_run_came_shows_nothing_of_it() -> None:
    told = story(StoryNotice(posted(state=State.DEAD)))
    (shown,) = story_json(told, NEXT)["deliveries"]
    assert shown["entered_by_edit"] is False
