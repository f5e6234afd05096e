"""The command of an installed service: whose rights, settings and secrets it has, however the folder looks."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

WRAPPER = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "review-notifier"
OWNER = 61_234
PROGRAM = """#!/bin/sh
set -e
case $1 in
backup) cat "$STATE_DIRECTORY/worker.db" >"$2" ;;
*)
    echo locked >"$STATE_DIRECTORY/worker.db.lock"
    id -u; id -G; pwd; cat "$CREDENTIALS_DIRECTORY/slack_bot_token"; echo; env
    ;;
esac
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine on which the service has run: its folder is its own, behind one that is closed to others."""
    state = tmp_path / "var/lib/private/review-notifier"
    state.mkdir(parents=True)
    state.parent.chmod(0o700)
    (tmp_path / "var/lib/review-notifier").symlink_to("private/review-notifier")
    program = tmp_path / "opt/review-notifier/current/bin/review-notifier"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    settings = tmp_path / "etc/review-notifier"
    settings.mkdir(parents=True)
    (settings / "slack_bot_token").write_text("made up")
    (settings / "slack_bot_token").chmod(0o600)
    (state / "worker.db").write_text("remembered")
    for each in (state, state / "worker.db"):
        os.chown(each, OWNER if os.geteuid() == 0 else -1, -1)
    for each in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0:
            each.chmod(0o755)
        # The first one that is pytest's own, and closed to others.
        if each.name.startswith("pytest-of-"):
            break
    return tmp_path


def call(root: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(WRAPPER), "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@needs_root
def test_a_command_has_the_rights_of_the_owner_and_the_secrets_of_the_service(root: Path) -> None:
    done = call(root, "status")
    assert (done.returncode, done.stderr) == (0, "")
    uid, _, cwd, secret, *rest = done.stdout.splitlines()
    assert (uid, cwd, secret) == (str(OWNER), "/", "made up")
    env = dict(line.split("=", 1) for line in rest if "=" in line)
    assert not Path(env["CREDENTIALS_DIRECTORY"]).exists()
    assert env["WORKER_CONFIG"] == f"{root}/etc/review-notifier/worker.toml"
    assert "made up" not in str(env)


@needs_root
def test_a_link_in_the_folder_leads_nowhere(root: Path) -> None:
    precious = root / "precious"
    precious.write_text("precious")
    (root / "var/lib/review-notifier/worker.db.lock").symlink_to(precious)
    assert call(root, "poll").returncode != 0
    assert precious.read_text() == "precious"


@needs_root
def test_a_backup_goes_where_root_alone_may_write(root: Path) -> None:
    safe = root / "safe"
    safe.mkdir(mode=0o700)
    done = call(root, "backup", "copy.db", cwd=safe)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"Backed up to {safe}/copy.db.\n")
    assert (safe / "copy.db").read_text() == "remembered"
    assert ((safe / "copy.db").stat().st_uid, (safe / "copy.db").stat().st_mode & 0o777) == (0, 0o600)
    assert call(root, "backup", "copy.db", cwd=safe).returncode == 1
    assert [path.name for path in (root / "var/lib/review-notifier").iterdir()] == ["worker.db"]


@needs_root
def test_a_backup_of_a_link_does_not_read_what_the_owner_may_not(root: Path) -> None:
    database = root / "var/lib/review-notifier/worker.db"
    (root / "precious").write_text("precious")
    (root / "precious").chmod(0o600)
    database.unlink()
    database.symlink_to(root / "precious")
    assert call(root, "backup", str(root / "copy.db")).returncode == 1
    assert not (root / "copy.db").exists()


def test_environment_is_read_and_not_run(root: Path) -> None:
    """The lines are those by which systemd tests its own reader, and what a shell would run."""
    lines = [
        "# a comment; touch {root}/ran",
        "; another",
        "WORKER_QUEUES=all # touch {root}/ran",
        "WORKER_ZONE=$(touch {root}/ran) `touch {root}/ran`",
        "export WORKER_SHOW=name",
        "touch {root}/ran",
        "A= two  words\t",
        'B="quoted # \\"word\\" \\$HOME \\x" \'and more\'',
        "C=b\\\nc",
        "D=g\\ ",
        "E=",
        "F = spaced",
        "WORKER_DATABASE_URL=sqlite:///other.db",
        "G=i\\",
    ]
    parse = runpy.run_path(str(WRAPPER))["parse"]
    assert parse("\n".join(lines).replace("{root}", str(root))) == {
        "WORKER_QUEUES": f"all # touch {root}/ran",
        "WORKER_ZONE": f"$(touch {root}/ran) `touch {root}/ran`",
        "A": "two  words",
        "B": 'quoted # "word" $HOME \\xand more',
        "C": "bc",
        "D": "g ",
        "E": "",
        "F": "spaced",
        "WORKER_DATABASE_URL": "sqlite:///other.db",
        "G": "i",
    }
    assert not (root / "ran").exists()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "a=a\nb=b\\\nc\nd=d\\\ne\\\nf\ng=g\\ \nh= ąęół\\ śćńźżμ \ni=i\\",
            ["a", "bc", "def", "g ", "ąęół śćńźżμ", "i"],
        ),
        ("a=\nb=", ["", ""]),
        (
            "a=\\ \\n \\t \\x \\y \\' \nb= \\$'     \nc= ' \\n\\t\\$\\`\\\\\n'   \nd= \" \\n\\t\\$\\`\\\\\n\"   \n",
            [" n t x y '", "$'", " \\n\\t\\$\\`\\\\\n", " \\n\\t$`\\\n"],
        ),
        ("a='never ended", ["never ended"]),
        ("a=1\r\nb=2\r\n", ["1", "2"]),
    ],
)
def test_environment_means_what_it_means_to_systemd(text: str, values: list[str]) -> None:
    assert list(runpy.run_path(str(WRAPPER))["parse"](text).values()) == values


def test_a_relative_database_lies_in_the_folder(root: Path) -> None:
    (root / "etc/review-notifier/environment").write_text("WORKER_DATABASE_URL=sqlite:///other.db\n")
    line = f"WORKER_DATABASE_URL=sqlite:///{root}/var/lib/review-notifier/other.db"
    assert line in call(root, "status").stdout.splitlines()
