"""What people can press in a message: which menus, within which limits, and that a press says what is meant."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests import golden_slack as golden
from tests.support import slack_reader as reader
from tests.support.builders import HOUR
from tests.support.office import office
from worker.core.actions import Act
from worker.core.calendar import ALWAYS_OPEN
from worker.core.controls import Chosen, Span, choice_of, with_controls
from worker.core.message import fingerprint
from worker.core.model import Kind, Show
from worker.core.owed import Receipt
from worker.demo.slack import limits
from worker.notifiers.slack import blocks

if TYPE_CHECKING:
    from worker.core.message import Message

QUEUE = golden.queue()
HARD = ("&" * 90, "😀" * 90, golden.HOSTILE * 3, "\ud800" * 40, ":0:" * 40)


def of_runs(count: int, **line: Any) -> Message:
    lines = tuple(dataclasses.replace(golden.line(f"run {n}"), queue_run_id=f"{n}", **line) for n in range(count))
    return with_controls(golden.message(Kind.ANNOUNCEMENT, lines), lambda _: office(), golden.AS_OF)


def controls(message: Message) -> list[dict[str, Any]]:
    """Every control with the id of its block, in order."""
    found = []
    for block in blocks.render(message)["blocks"]:
        each = [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]
        found += [{**one, "block_id": block.get("block_id", "")} for one in each if "action_id" in one]
    return found


def labels(control: dict[str, Any]) -> list[str]:
    return [option["text"]["text"] for option in control["options"]]


def meant(control: dict[str, Any]) -> list[Chosen | None]:
    return [choice_of(control["action_id"], control["block_id"], option["value"]) for option in control["options"]]


def test_each_run_has_a_menu_and_the_message_one_row() -> None:
    menu, other, mine, mute = controls(of_runs(2))
    assert labels(menu) == labels(other) == ["I take it", "Snooze 1 h", "Snooze until Tue 24 Nov 09:00 CET", "Not mine"]
    opening = golden.AS_OF.replace(day=24, hour=8, minute=0)
    assert meant(menu) == [
        Chosen(Act.CLAIM, QUEUE.queue_id, "0"),
        Chosen(Act.SNOOZE, QUEUE.queue_id, "0", Span.HOUR),
        Chosen(Act.SNOOZE, QUEUE.queue_id, "0", Span.OPENING, opening),
        Chosen(Act.NOT_MINE, QUEUE.queue_id, "0"),
    ]
    assert (mine["type"], mine["text"]["text"]) == ("button", "My reviews")
    assert labels(mute) == ["Mute 1 h", "Mute until Tue 24 Nov 09:00 CET", "Mute until Mon 30 Nov 09:00 CET"]
    assert mute["confirm"]["title"]["text"] == "Mute Support QA?"
    assert {choice.act for choice in meant(mute) if choice} == {Act.MUTE}


def test_before_a_weekend_the_next_opening_is_monday() -> None:
    friday = golden.AS_OF.replace(day=27)
    message = with_controls(golden.message(lines=(golden.line(),)), lambda _: office(), friday)
    assert labels(controls(message)[-1]) == ["Mute 1 h", "Mute until Mon 30 Nov 09:00 CET"]


def test_a_run_that_somebody_has_can_be_given_back_and_one_that_is_reserved_not_taken() -> None:
    assert labels(controls(of_runs(1, claimed_by="Ada"))[0])[0] == "Give it back"
    assert labels(controls(of_runs(1, reserved=True))[0])[0] == "Snooze 1 h"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(golden.message(lines=golden.DONE), id="nothing waits"),
        pytest.param(golden.message(lines=(golden.line(),), plain=True), id="text alone"),
        pytest.param(
            golden.message(lines=(golden.line(),), successor=Receipt("C", "1")), id="a newer one is pointed to"
        ),
        pytest.param(golden.message(Kind.OPS, text="trouble", waiting=1), id="the worker's own"),
    ],
)
def test_nothing_can_be_pressed_where(message: Message) -> None:
    assert with_controls(message, lambda _: ALWAYS_OPEN, golden.AS_OF) == message


def test_without_controls_every_payload_is_as_it_was() -> None:
    """What the approved messages without controls are held to by their files."""
    for name, message in golden.CASES.items():
        assert ("controls" in name) == ("action_id" in json.dumps(blocks.render(message, team_url=golden.TEAM_URL)))


def test_text_is_the_same_with_controls() -> None:
    message = golden.CASES["controls_of_ten"]
    assert blocks.render(message)["text"] == blocks.render(replace(message, controls=None))["text"]


def test_ten_usual_runs_have_menus_and_with_previews_the_row_alone() -> None:
    assert len(controls(golden.CASES["controls_of_ten"])) == 10 + 2
    assert len(controls(golden.CASES["controls_of_ten_with_previews"])) == 2


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(HARD), st.sampled_from(["", *HARD]), st.booleans()), min_size=1, max_size=10),
    st.sampled_from(["Support QA", *HARD]),
    st.sampled_from([frozenset(Show), frozenset({Show.NAME}), frozenset()]),
)
def test_every_limit_is_kept(runs: list[tuple[str, str, bool]], queue: str, show: frozenset[Show]) -> None:
    lines = tuple(
        dataclasses.replace(
            golden.with_facts(golden.EVERYTHING, name=name, error=more, inputs_preview=more, outputs_preview=more),
            queue_run_id=name[:40] + str(number),
            claimed_by="&" * 99 if is_claimed else "",
            reserved=is_claimed,
        )
        for number, (name, more, is_claimed) in enumerate(runs)
    )
    plain = golden.message(Kind.ESCALATION, lines, queue=golden.queue(queue), show=show, total=5_000, waiting=5_000)
    rendered = blocks.render(with_controls(plain, lambda _: office(), golden.AS_OF))
    assert limits.block_errors(rendered["blocks"]) == []
    assert not limits.is_too_large(rendered["blocks"])
    assert reader.limits_broken(rendered) == []
    # What can be read is what it would be without them.
    read = [text for text in reader.mrkdwn(rendered) if text]
    assert "\n".join(read) == "\n".join(reader.mrkdwn(blocks.render(plain)))


def test_one_run_that_comes_twice_has_one_menu() -> None:
    lines = (
        dataclasses.replace(golden.line(), queue_run_id="same"),
        dataclasses.replace(golden.line("Order status"), queue_run_id="same"),
    )
    message = with_controls(golden.message(lines=lines), lambda _: office(), golden.AS_OF)
    assert limits.block_errors(blocks.render(message)["blocks"]) == []
    assert len(controls(message)) == 1 + 2


def test_that_something_can_be_pressed_is_worth_an_edit_and_until_when_is_not() -> None:
    message = of_runs(1)
    later = with_controls(message, lambda _: office(), golden.AS_OF + 48 * HOUR)
    assert controls(later) != controls(message)
    assert fingerprint(later) == fingerprint(message)
    assert fingerprint(message) != fingerprint(replace(message, controls=None))
    assert fingerprint(message) == fingerprint(
        replace(message, lines=tuple(dataclasses.replace(one, queue_run_id=None) for one in message.lines))
    )
