"""Log lines: JSON off a terminal, and no secret in any of them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
import structlog

from worker import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = 'lsv2_pt_"quoted\\swordfish'


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    uncaught, uncaught_in_thread, unraisable = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, uncaught_in_thread, unraisable
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging(level="info", form="json", secrets=())
    structlog.get_logger("worker.test").info("polled", queue="Support QA", waiting=3)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["queue"], said["waiting"], said["level"]) == ("polled", "Support QA", 3, "info")
    assert said["timestamp"].endswith("Z")
    assert [*said][:3] == ["timestamp", "level", "event"]


@pytest.mark.parametrize("is_coloured", [False, True])
def test_lines_for_people_are_coloured_where_that_is_wanted(
    capsys: pytest.CaptureFixture[str], *, is_coloured: bool
) -> None:
    logs.configure_logging(level="info", form="console", secrets=(), is_coloured=is_coloured)
    structlog.get_logger("worker.test").info("polled", queue="Support QA")
    assert ("\x1b[" in capsys.readouterr().err) is is_coloured


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("form", "shown"),
    [("auto", "Polls Support QA from now on"), ("console", "Polls Support QA from now on"), ("json", '"queue_added"')],
)
def test_a_terminal_gets_sentences_without_what_it_would_obey_or_a_secret(form: str, shown: str) -> None:
    with contextlib.redirect_stderr(screen := Screen()):
        logs.configure_logging(level="info", form=form, secrets=[SECRET])
        log = structlog.get_logger("worker.test")
        log.info("queue_added", queue="Support QA")
        log.info("queue_added", queue=f"\x1b[31m{SECRET}")
        try:
            int(SECRET)
        except ValueError:
            log.exception("uncaught")
    assert shown in screen.getvalue()
    assert "\x1b" not in screen.getvalue()
    assert "swordfish" not in screen.getvalue()


def test_instants_are_written_as_the_time_of_the_line_is(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging(level="info", form="json", secrets=())
    structlog.get_logger("worker.test").info(
        "polled", due_at=datetime(2026, 1, 2, 4, tzinfo=timezone(timedelta(hours=1)))
    )
    assert json.loads(capsys.readouterr().err)["due_at"] == "2026-01-02T03:00:00Z"


def test_a_line_goes_to_what_is_the_standard_error_then() -> None:
    logs.configure_logging(level="info", form="console", secrets=())
    beside_a_spinner = io.StringIO()
    with contextlib.redirect_stderr(beside_a_spinner):
        structlog.get_logger("worker.test").info("polled")
    assert "polled" in beside_a_spinner.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_passes_in_an_event_a_traceback_or_anothers_line(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    logs.configure_logging(level="debug", form=form, secrets=[SECRET])
    log = structlog.get_logger("worker.test")
    log.warning("failing", error=f"refused: {SECRET}")
    try:
        int(f"header {SECRET}")
    except ValueError:
        log.exception("bug")
        logging.getLogger("some.library").exception("theirs")
    said = capsys.readouterr().err
    assert "swordfish" not in said
    assert said.count(logs.REDACTED) >= 3


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_passes_in_what_nobody_catches(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.configure_logging(level="info", form=form, secrets=[SECRET])
    thread = threading.Thread(target=int, args=(f"in a thread {SECRET}",))
    thread.start()
    thread.join()
    with pytest.raises(ValueError, match="in the command") as caught:
        int(f"in the command {SECRET}")
    sys.excepthook(caught.type, caught.value, caught.tb)
    said = capsys.readouterr().err
    assert "swordfish" not in said
    assert "in a thread" in said
    assert "in the command" in said
    assert said.count("Traceback") == 2


def test_an_interruption_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging(level="info", form="json", secrets=())
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert "uncaught" not in capsys.readouterr().err


def test_less_than_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging(level="warning", form="json", secrets=())
    structlog.get_logger("worker.test").info("detail")
    logging.getLogger("httpx").info("HTTP Request: GET")
    assert not capsys.readouterr().err


def test_a_short_word_is_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging(level="info", form="json", secrets=["a", ""])
    structlog.get_logger("worker.test").info("a banana")
    assert "a banana" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_name_in_a_line_moves_no_cursor_and_turns_no_letters(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.configure_logging(level="info", form=form, secrets=[])
    structlog.get_logger("test").warning("queue_failing", queue="\x1b[31m\x9b31m\u202e", error="\x1b[2J and \u2066more")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert not set("\x1b\x9b\u202e\u2066") & set(shown)
