"""The ends of commands: the exit statuses, and the one clear message with which an error ends a command."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
from enum import IntEnum
from typing import TYPE_CHECKING

from worker.core.ports import ConfigError, RefusedError, StoreError
from worker.core.text import plain_lines
from worker.stores.lock import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_PATH = 200
_INTERRUPTED = 128 + signal.SIGINT


class Exit(IntEnum):
    """Exit statuses, the same everywhere; 2 (wrong usage) comes from the parser of arguments."""

    DONE = 0
    FAILED = 1
    BUSY = 75
    UNUSABLE = 78


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn an error that ends a command into one clear message and its exit status."""
    gc.freeze()  # modules stay for as long as the process, so the garbage collector need not search them
    gc.enable()
    try:
        yield
    except (ConfigError, RefusedError) as error:
        from worker.settings.names import named  # noqa: PLC0415 - `--help` needs no settings

        fail(_listed(named(str(error))), Exit.UNUSABLE)
    except Busy as error:
        fail(str(error), Exit.BUSY)
    except StoreError as error:
        fail(str(error), Exit.FAILED)
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(Exit.DONE) from None
    except (OSError, MemoryError) as error:
        if _is_output_lost():
            raise SystemExit(Exit.FAILED) from None  # the message is printed at the end of the program
        fail(_of_machine(error), Exit.FAILED)
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        fail(_TOO_LITTLE, Exit.FAILED)


def _listed(text: str) -> str:
    """Several problems as a list with their number, one as it is; a remark stands behind an empty line."""
    problems, _, remark = text.partition("\n\n")
    lines = problems.split("\n")
    if len(lines) > 1:
        lines = [f"{len(lines)} problems:", *(f"- {line}" for line in lines)]
    return "\n".join([*lines, *([remark] if remark else [])])


_TOO_LITTLE = (
    "the machine gives this process no more memory or threads: raise the limit "
    "(`ulimit -a`; MemoryMax and TasksMax in systemd, mem_limit and pids_limit in compose)"
)


def _is_output_lost() -> bool:
    """Whether the rest of the result cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _of_machine(error: OSError | MemoryError) -> str:
    """The message about something that the machine refuses, for errors that no other code has explained."""
    if not isinstance(error, OSError):
        return _TOO_LITTLE
    if error.filename is None:
        return f"the result cannot be written: {error.strerror or error}"
    return f"{str(error.filename)[:_LONGEST_PATH]}: {error.strerror}; correct the path, or the rights to it"


def fail(text: str, status: Exit) -> None:
    """End the command with a message and a status."""
    with contextlib.suppress(OSError):  # the status says it, too
        sys.stderr.write(f"review-notifier: {plain_lines(text)}\n")
        sys.stderr.flush()
    raise SystemExit(status)
