"""A pipe that nobody reads."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe into which nothing fits any more."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    fcntl.fcntl(writable, fcntl.F_SETPIPE_SZ, 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(writable, b"-")
    os.set_blocking(writable, True)
    try:
        yield readable, writable
    finally:
        os.close(readable)
        os.close(writable)
