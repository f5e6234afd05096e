"""The log in sentences: every event has one, of the fields that it is logged with."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from tests.unit.test_operations_documented import LEVELS, LOGGERS, MISSING, SAID, SETTLING
from worker.logs import EVENT_SENTENCES, sentence, terminal_line

ROOT = Path(__file__).parents[2]
MADE = {"source", "notifier", "where", "message", "controls", "polled_queues"}
"""What sentences are given beside the fields of an event."""

PUT_TOGETHER = {*SETTLING, *SAID, *MISSING, "started", "reloaded"}
"""Events whose name, level or fields do not stand in the call."""


@cache
def logged() -> dict[str, set[str]]:
    """The fields of each event that is logged at info or above, by its name."""
    found: dict[str, set[str]] = {name: set() for name in PUT_TOGETHER}
    for file in (ROOT / "worker").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args:
                named = ast.unparse(call.func.value) in LOGGERS and call.func.attr in LEVELS - {"debug"}
                texts = (
                    [each.value for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant)] if named else []
                )
                for event in texts:
                    found.setdefault(str(event), set()).update(str(each.arg) for each in call.keywords)
    return found


def fields(template: str) -> set[str]:
    parsed = Formatter().parse(template.replace("[", "").replace("]", ""))
    return {name for _, name, _, _ in parsed if name}


def test_every_event_has_a_sentence_and_no_other() -> None:
    assert sorted(EVENT_SENTENCES) == sorted(logged())


@pytest.mark.parametrize("event", sorted(EVENT_SENTENCES.keys() - PUT_TOGETHER))
def test_a_sentence_needs_only_what_the_event_has(event: str) -> None:
    assert fields(EVENT_SENTENCES[event]) <= logged()[event] | MADE


@pytest.mark.parametrize("event", sorted(EVENT_SENTENCES))
def test_a_sentence_can_be_made_of_an_event_of_which_nothing_is_known(event: str) -> None:
    assert sentence({"event": event})


REMINDER = {"kind": "reminder", "queue": "Support QA", "runs": 4, "channel": "reviews"}
POLLED = {"event": "queue_polled", "queue": "Q{x}[y]", "waiting": 3, "changed": 1, "closed": 0}
STARTED = {"event": "started", "version": "1", "commit": "unknown", "interval": "60 s", "queues": 2}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"event": "delivery_sent", **REMINDER}, "Posted a reminder of 4 runs in Support QA to #reviews"),
        ({"event": "delivery_sent", **REMINDER, "channel": "C1"}, "Posted a reminder of 4 runs in Support QA to C1"),
        ({"event": "delivery_sent", **REMINDER, "channel": "C0"}, "Posted a reminder of 4 runs in Support QA to Rooms"),
        ({"event": "delivery_sent", "kind": "direct", "runs": 1}, "Posted a direct message about 1 run to "),
        ({"event": "delivery_sent", "kind": "ops", "channel": "ops"}, "Posted a report to the operators to #ops"),
        ({"event": "delivery_withdrawn", **REMINDER}, "Withdrew a reminder of 4 runs in Support QA for #reviews"),
        ({"event": "destination_works_again", "channel": "*"}, "Posts to Slack again"),
        (POLLED | {"notices": ["reminder"]}, "Polled Q{x}[y]: 3 waiting, 1 changed, 0 left; due: reminder"),
        (POLLED | {"notices": []}, "Polled Q{x}[y]: 3 waiting, 1 changed, 0 left"),
        (
            {"event": "queue_recovered", "queue": "Q", "failures": 1, "failing_since": "2026-11-27T20:11:29.123456Z"},
            "Polls Q again, after 1 failed attempt since 2026-11-27T20:11:29Z",
        ),
        (STARTED | {"all_queues": False}, "Started version 1: 2 queues, polled every 60 s"),
        (STARTED | {"all_queues": True}, "Started version 1: every queue, polled every 60 s"),
        ({"event": "incident_began", "text": "It fails.", "fix": "stop it"}, "Incident: It fails. Fix: stop it"),
        ({"event": "something_new", "level": "info", "seconds": 5}, "Something new: seconds 5"),
        ({"event": "Job took 5 s", "logger": "of.a.library"}, "Job took 5 s"),
        ({}, ""),
    ],
)
def test_an_event_becomes_a_sentence(line: dict[str, Any], said: str) -> None:
    assert sentence(line, {"C0": "Rooms"}) == said


def test_a_line_has_the_time_and_how_bad_it_is_and_a_traceback_below() -> None:
    line = {"event": "stopped", "level": "error", "timestamp": "2026-11-27T20:11:29.1Z", "exception": "Traceback\n…"}
    assert terminal_line(line, is_coloured=False) == "2026-11-27T20:11:29Z error   Stopped\nTraceback\n…"
    assert "\x1b[31merror" in terminal_line(line, is_coloured=True)
