"""Writes files for people: whole or not at all, and over an existing one only where that is asked for."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PLAIN, PROGRAM, SECRET = 0o666, 0o777, 0o600
"""The rights to a file, less what the umask takes."""


class UnwrittenError(Exception):
    """A file was not written; `str()` says which, why, and what to do."""


def write(file: Path, text: str, mode: int = PLAIN, *, over: bool = False) -> None:
    """Write a file in one step, only `over` in place of another. Raises UnwrittenError."""
    try:
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True)
        _write(file, text, mode, over=over)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(file):
            raise UnwrittenError(f"{file} is there already, and stays as it is") from None
        reason = error.strerror or str(error)
        raise UnwrittenError(f"{file} cannot be written ({reason}): choose a folder in which you may write") from None


def _write(file: Path, text: str, mode: int, *, over: bool) -> None:
    passing = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        # With its rights from the start, so that a secret can be read by no one else meanwhile.
        with os.fdopen(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        if over:
            passing.replace(file)
        else:
            _take_name(passing, file)
    finally:
        passing.unlink(missing_ok=True)


def _take_name(passing: Path, file: Path) -> None:
    """Give the file its name, unless another has it. Raises FileExistsError."""
    try:
        os.link(passing, file)  # unlike a rename it never takes the place of another file
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(file):
            raise FileExistsError from None
        passing.rename(file)
