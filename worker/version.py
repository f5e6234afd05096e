"""The version of the program, and the commit that it was built from."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

DISTRIBUTION = "langsmith-review-notifier"
UNKNOWN = "unknown"

_CHECKED_OUT = (
    "git",
    "-c",
    "safe.directory=*",
    "describe",
    "--always",
    "--dirty=-modified",
    "--abbrev=12",
    "--exclude=*",
)
"""As a build asks for it, in `hatch_build.py`."""


def release() -> str:
    """The version of the installed distribution."""
    return version(DISTRIBUTION)


def commit() -> str:
    """The commit that the build wrote into the package; `unknown` in a working copy."""
    written = files("worker").joinpath("_commit.txt")
    return written.read_text(encoding="ascii").strip() if written.is_file() else UNKNOWN


def checked_out(root: Path) -> str:
    """The commit of a working copy, marked where files differ from it; `unknown` where there is none, or no git."""
    if not (root / ".git").exists():
        return UNKNOWN
    import subprocess  # noqa: PLC0415 - only a person who asks for the version waits for git

    try:
        done = subprocess.run(_CHECKED_OUT, cwd=root, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return done.stdout.strip() or UNKNOWN


def version_text() -> str:
    """Version and commit in one line."""
    built = commit()
    named = checked_out(Path(__file__).parents[1]) if built == UNKNOWN else built
    return f"review-notifier {release()} (commit {named})"
