"""What a control of a message says, as it is written and as it is read from a press."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import CHANNEL, HOUR, queue
from tests.support.office import FRIDAY, MONDAY, office
from worker.core.actions import Act, on_monday
from worker.core.calendar import ALWAYS_OPEN
from worker.core.controls import (
    LONGEST,
    ON_QUEUE,
    ON_RUN,
    Chosen,
    Controls,
    Ends,
    Span,
    block_of,
    choice_of,
    value_of,
    with_controls,
)
from worker.core.message import Line, Message
from worker.core.model import Facts, Fate, Kind
from worker.core.owed import Receipt

if TYPE_CHECKING:
    from datetime import datetime

IDS = st.uuids() | st.text(max_size=60)
QUEUE, RUN = uuid4(), uuid4()
TUESDAY = FRIDAY.replace(day=10)


@given(IDS, IDS, st.sampled_from(Span))
def test_what_is_written_is_read(queue_id: object, queue_run_id: object, span: Span) -> None:
    run, queue = block_of(queue_id, queue_run_id), block_of(queue_id)  # type: ignore[arg-type]
    snooze, mute = value_of(Act.SNOOZE, span, FRIDAY), value_of(Act.MUTE, span)
    if run:
        assert choice_of(ON_RUN, run, snooze) == Chosen(Act.SNOOZE, queue_id, queue_run_id, span, FRIDAY)  # type: ignore[arg-type]
    assert choice_of(ON_QUEUE, queue, mute) == Chosen(Act.MUTE, queue_id, None, span)  # type: ignore[arg-type]
    assert len(run) <= LONGEST


def test_ids_say_nothing_to_a_reader() -> None:
    assert "secret" not in block_of("secret queue", "secret run")
    assert len(block_of(uuid4(), uuid4())) < 50
    assert block_of("q" * 200, RUN) == ""


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_anything_else_is_no_choice(action: str, block: str, value: str) -> None:
    assert choice_of(action, block, value) is None
    assert choice_of(ON_RUN, block, "claim") is None or "." in block
    assert choice_of(ON_RUN, block_of(QUEUE, RUN), value) is None


@pytest.mark.parametrize(
    ("action", "block", "value"),
    [
        pytest.param(ON_RUN, block_of(QUEUE, RUN), "mute hour", id="mute in a run's menu"),
        pytest.param(ON_QUEUE, block_of(QUEUE), "claim", id="claim in a queue's menu"),
        pytest.param(ON_RUN, block_of(QUEUE), "claim", id="no run"),
        pytest.param(ON_QUEUE, block_of(QUEUE, RUN), "mute hour", id="a run too many"),
        pytest.param(ON_RUN, block_of(QUEUE, RUN), "snooze", id="no end"),
        pytest.param(ON_RUN, block_of(QUEUE, RUN), "claim hour", id="an end that it has not"),
        pytest.param(ON_RUN, block_of(QUEUE, RUN), "snooze opening 999999999999999", id="the end of time"),
        pytest.param("other", block_of(QUEUE, RUN), "claim", id="another action"),
    ],
)
def test_what_does_not_fit_together_is_no_choice(action: str, block: str, value: str) -> None:
    assert choice_of(action, block, value) is None


class TestTheEnd:
    def test_is_as_the_menu_said_while_that_is_to_come(self) -> None:
        snooze = Chosen(Act.SNOOZE, QUEUE, RUN, Span.OPENING, MONDAY)
        assert snooze.until(office(), FRIDAY) == MONDAY

    def test_is_the_next_such_instant_once_that_has_passed(self) -> None:
        old = MONDAY - timedelta(days=7)
        assert Chosen(Act.SNOOZE, QUEUE, RUN, Span.OPENING, old).until(office(), FRIDAY) == MONDAY
        assert Chosen(Act.MUTE, QUEUE, None, Span.MONDAY, old).until(office(), FRIDAY) == MONDAY
        assert Chosen(Act.SNOOZE, QUEUE, RUN, Span.HOUR).until(office(), FRIDAY) == FRIDAY + HOUR

    def test_is_never_years_away(self) -> None:
        made_up = Chosen(Act.MUTE, QUEUE, None, Span.MONDAY, FRIDAY + timedelta(days=4000))
        assert made_up.until(office(), FRIDAY) == MONDAY

    def test_is_none_where_an_act_needs_none(self) -> None:
        assert Chosen(Act.CLAIM, QUEUE, RUN).until(office(), FRIDAY) is None


def test_monday_is_never_today() -> None:
    assert on_monday(office(), MONDAY) == MONDAY + timedelta(days=7)
    assert on_monday(office(), MONDAY - timedelta(days=5)) == MONDAY
    assert on_monday(ALWAYS_OPEN, MONDAY).weekday() == 0


def message(*lines: Line, **more: Any) -> Message:
    given = {"kind": Kind.ANNOUNCEMENT, "queue": queue(), "waiting": len(lines)} | more
    return Message(uuid4(), destination=CHANNEL, as_of=FRIDAY, lines=lines, **given)


def line(**more: Any) -> Line:
    return Line(Facts(), uuid4(), FRIDAY, queue_run_id=RUN, **more)


def controls(shown: Message) -> Controls | None:
    return with_controls(shown, lambda _queue: office(), FRIDAY).controls


def test_each_run_that_waits_and_the_queue_can_be_put_off_until_an_opening_or_monday() -> None:
    ends = Ends(MONDAY, MONDAY, office().zone)
    reviewed, nameless = line(fate=Fate.REVIEWED), replace(line(), queue_run_id=None)
    assert controls(message(line(), reviewed, nameless, waiting=2)) == Controls((ends, None, None), ends)


def test_in_a_message_of_several_queues_each_run_goes_by_its_own() -> None:
    there, here = queue("Search"), queue("Here")
    calendars = {there: ALWAYS_OPEN, here: office()}
    direct = message(line(queue=there), line(queue=here), line(), kind=Kind.DIRECT, queue=None)
    found = with_controls(direct, calendars.__getitem__, FRIDAY).controls
    assert found is not None
    assert found.queue is None
    assert [None if ends is None else ends.zone for ends in found.lines] == [ALWAYS_OPEN.zone, office().zone, None]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(message(line(), waiting=0), id="nothing waits"),
        pytest.param(message(line(), successor=Receipt("C1", "1.0")), id="a newer one is pointed to"),
        pytest.param(message(line(), plain=True), id="it is plain text"),
        pytest.param(message(line(), kind=Kind.REPORT), id="it is a report"),
    ],
)
def test_nothing_can_be_pressed_where(shown: Message) -> None:
    assert controls(shown) is None


@pytest.mark.parametrize("block", ["uAAAA", "x" + "A" * 22, "tA", "u" + "A" * 22 + ".uAAAA"])
def test_a_name_that_is_not_of_ours_names_no_run(block: str) -> None:
    assert choice_of(ON_QUEUE, block, "unmute") is None


def test_an_end_is_the_one_that_the_menu_showed_unless_that_has_passed_or_is_far_away() -> None:
    def end(shown_at: datetime | None, span: Span = Span.MONDAY) -> datetime | None:
        return Chosen(Act.SNOOZE, QUEUE, RUN, span, shown_at).until(office(), TUESDAY)

    opening, monday = TUESDAY.replace(day=11, hour=8), TUESDAY.replace(day=16, hour=8)
    assert (end(None, Span.OPENING), end(None)) == (opening, monday)
    assert end(TUESDAY + HOUR) == TUESDAY + HOUR
    assert end(TUESDAY) == monday
    assert end(TUESDAY + timedelta(days=366)) == TUESDAY + timedelta(days=366)
    assert end(TUESDAY + timedelta(days=366, seconds=1)) == monday


def test_half_a_character_in_an_id_is_kept() -> None:
    odd = "item-\ud800"
    assert choice_of(ON_QUEUE, block_of(odd), "unmute") == Chosen(Act.UNMUTE, odd)


def test_a_name_is_as_long_as_a_block_may_have() -> None:
    fits = next(name for length in range(200, 0, -1) if (name := block_of("q" * length, RUN)))
    assert len(fits) == LONGEST
    assert choice_of(ON_RUN, fits, "claim") is not None
    assert choice_of(ON_RUN, f"{fits}A", "claim") is None
