"""The command line as people meet it: its help, its groups, its completion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from worker.cli import GROUPS, command_line


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    command_line().main([*words], prog_name="review-notifier", standalone_mode=False)
    return capsys.readouterr().out


def test_every_command_stands_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(command_line().commands)


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_shows_the_groups_in_their_order_and_the_exit_statuses(
    capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    text = shown(capsys, asked)
    places = [text.index(f"─ {group} ─") for group in GROUPS]
    assert places == sorted(places)
    assert "78 settings or database cannot be used" in " ".join(text.split())


@pytest.mark.parametrize("name", sorted(command_line().commands))
def test_no_help_shows_the_type_of_an_option_without_a_value(capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = shown(capsys, name, "-h")
    assert "<bool>" not in text
    assert "{" not in text.replace("{WHAT}", "").replace("{QUEUE}", "").replace("{KEY}", "").replace("{FILE}", "")


@pytest.mark.parametrize(("shell", "answer"), [("bash", "status"), ("zsh", '"status"'), ("fish", "status")])
def test_shells_complete_commands(shell: str, answer: str) -> None:
    asked = {
        "_REVIEW_NOTIFIER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "review-notifier stat",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "review-notifier stat",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    program = Path(sys.executable).with_name("review-notifier")
    done = subprocess.run([program], env=asked, capture_output=True, text=True, check=False)
    assert answer in done.stdout, done.stderr
