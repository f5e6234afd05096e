"""The version of the program, and the commit that it was built from."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

DISTRIBUTION = "langsmith-review-notifier"
UNKNOWN = "unknown"


def release() -> str:
    """The version of the installed distribution."""
    return version(DISTRIBUTION)


def commit() -> str:
    """The commit that the build wrote into the package; `unknown` in a working copy."""
    written = files("worker").joinpath("_commit.txt")
    return written.read_text(encoding="ascii").strip() if written.is_file() else UNKNOWN


def version_text() -> str:
    """Version and commit in one line."""
    return f"review-notifier {release()} (commit {commit()})"
