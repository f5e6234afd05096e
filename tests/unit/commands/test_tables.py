"""How what is known is put into lines: in order of time, and harmless to a terminal."""

from __future__ import annotations

import io
import json

import pytest
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from tests.support.builders import HOUR, MINUTE, NOON, delivery, queue, review, to
from worker.commands import tables
from worker.commands.run_story import story_lines
from worker.core.model import Facts, Fate
from worker.core.overview import Finding
from worker.core.owed import NEVER, Receipt, State, Story, StoryNotice
from worker.core.status.upcoming import Upcoming
from worker.core.text import plain_lines

HOSTILE = "ok\n  2026-01-01T00:00:00Z  closed: reviewed\x1b[31m\x9b31m\x07\u202e\u2066\u200f"
OBEYED = set("\x1b\x9b\x07\u202e\u2066\u200f")
NOTHING = Upcoming(None, None, "the settings ask for nothing more")


@pytest.mark.parametrize(
    ("fate", "said"),
    [
        (None, "closed: no longer waiting"),
        (Fate.UNKNOWN, "closed: no longer waiting"),
        (Fate.REVIEWED, "closed: reviewed"),
        (Fate.REMOVED, "closed: removed"),
    ],
)
def test_the_story_of_a_run_ends_with_how_it_left(fate: Fate | None, said: str) -> None:
    story = Story(queue(), review("a", closed_at=NOON, fate=fate))
    assert story_lines(story, NOTHING, NOON + HOUR)[-1] == f"  {NOON:%Y-%m-%dT%H:%M:%SZ}  {said}"


def test_a_story_is_told_in_order_of_time_whatever_was_owed_first() -> None:
    late = delivery("late", created_at=NOON, state=State.SENT, settled_at=NOON + 9 * MINUTE, attempts=3)
    early = delivery("early", created_at=NOON + MINUTE, state=State.SENT, settled_at=NOON + 2 * MINUTE, attempts=1)
    story = Story(queue(), review("a", first_seen_at=NOON), (StoryNotice(late), StoryNotice(early)))
    lines = story_lines(story, NOTHING, NOON + HOUR)
    times = [line.split()[0] for line in lines if line.startswith("  2026")]
    assert times == sorted(times)
    assert lines[-1] == "  next: nothing: the settings ask for nothing more"


def test_what_is_owed_of_a_run_that_waits_comes_next() -> None:
    held = delivery("held", state=State.HELD, due_at=NEVER, last_error="look into the channel")
    waits = delivery("waits", state=State.PENDING, due_at=NOON + MINUTE, attempts=2)
    story = Story(queue(), review("a"), (StoryNotice(held), StoryNotice(waits)))
    first, second, _ = story_lines(story, NOTHING, NOON)[-3:]
    assert "is held until `review-notifier retry" in first
    assert first.endswith("look into the channel")
    assert "is pending, next attempt in 1 min, 2 attempts" in second


def test_the_story_of_a_run_forges_no_line_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    told = StoryNotice(delivery(last_error=HOSTILE, receipt=Receipt(HOSTILE, HOSTILE)))
    story = Story(replace(queue(), name=HOSTILE), review("a", facts=Facts(name=HOSTILE)), (told,))
    lines = story_lines(story, NOTHING, NOON)
    tables.say(*lines)
    shown = capsys.readouterr().out
    assert shown.count("\n") == len(lines)
    assert not OBEYED & set(shown)


def test_a_table_and_a_finding_move_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(["Name"], [[HOSTILE], [Text(HOSTILE, style="red")]], empty="")
    tables.print_findings([Finding(HOSTILE, ok=False, text=HOSTILE, fix=HOSTILE)])
    assert not OBEYED & set(capsys.readouterr().out)


def test_json_keeps_every_character_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_json({"name": HOSTILE})
    shown = capsys.readouterr().out
    assert not OBEYED & set(shown)
    assert json.loads(shown) == {"name": HOSTILE}


def test_lines_of_ours_stay_lines() -> None:
    assert plain_lines(f"one\n{HOSTILE.splitlines()[1]}").count("\n") == 1


@pytest.mark.parametrize(
    ("width", "shown"), [(80, "be4a4634 "), (200, "be4a4634-5f6c-5d42-8dbe-bb1a9cec68e6 ")], ids=["narrow", "wide"]
)
def test_an_id_is_never_broken(width: int, shown: str) -> None:
    screen = Console(width=width, file=io.StringIO())
    rows = [["be4a4634-5f6c-5d42-8dbe-bb1a9cec68e6", "a long name " * 20]]
    tables.print_table(["Queue run", "Name"], rows, empty="", console=screen)
    assert isinstance(screen.file, io.StringIO)
    assert shown in screen.file.getvalue()


def test_a_narrow_terminal_breaks_no_word_and_cuts_no_line() -> None:
    screen = Console(width=80, file=io.StringIO())
    why = "held from Fri 27 Nov 13:39 until Mon 30 Nov 09:00 (Europe/Berlin)"
    row = [
        "Support QA",
        "be4a4634-5f6c-5d42-8dbe-bb1a9cec68e6",
        "early bird",
        "6 s",
        "never",
        "announcement in 2 d",
        why,
    ]
    columns = ["Queue", "Queue run", "Name", "Age", "Last notified", "Next due", "Why"]
    tables.print_table(columns, [row], empty="", console=screen)
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    words = {word for line in lines for word in line.split()}
    assert {"announcement", "Fri", "Support", "QA", "bird"} <= words


@pytest.mark.parametrize("width", [80, 120])
def test_a_narrow_outbox_breaks_no_word_and_shows_its_errors_below(width: int) -> None:
    screen = Console(width=width, file=io.StringIO())
    failed = delivery("d", state=State.HELD, last_error="not_in_channel [bold]", channel=to("C0123456789"))
    tables.print_deliveries([failed, delivery("e")], NOON + HOUR, screen)
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert {"announcement", "held", "C0123456789", "Support"} <= set(lines[1].split())
    assert lines[-2:] == ["Last errors:", f"{str(failed.key)[:8]}: not_in_channel [bold]"]


def test_a_wide_outbox_is_one_table() -> None:
    screen = Console(width=200, file=io.StringIO())
    tables.print_deliveries([delivery("d", last_error="not_in_channel")], NOON, screen)
    assert isinstance(screen.file, io.StringIO)
    assert len(screen.file.getvalue().splitlines()) == 2


def test_of_queues_that_could_not_be_listed_none_is_counted() -> None:
    assert tables.unread_text(0, 0, is_something=False) == "Could not read any queue; nothing to post"


def test_findings_come_last_each_with_its_fix_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Finding("channel", ok=False, text="not there", fix="name another")
    tables.print_findings([wrong, Finding("database", ok=True, text="newest")])
    assert capsys.readouterr().out.splitlines() == [
        "ok       database: newest",
        "FINDING  channel: not there. Fix: name another",
        "1 problem in 2 checks",
    ]
    tables.print_findings([Finding("database", ok=True, text="newest")])
    assert capsys.readouterr().out.splitlines()[-1] == "No problem in 1 check"
