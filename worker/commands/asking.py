"""Questions to a person at a terminal."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import TYPE_CHECKING, Protocol

from worker.commands import tables

if TYPE_CHECKING:
    from collections.abc import Callable


class UnansweredError(Exception):
    """No more answers come: the terminal was closed, or Ctrl-D was pressed."""


class Asker(Protocol):
    """Someone who asks. Every question raises UnansweredError."""

    def say(self, *lines: str) -> None:
        """Show lines."""
        ...

    def ask(self, question: str, default: str = "") -> str:
        """The answer without blanks around it; the default for an empty one."""
        ...

    def secret(self, question: str) -> str:
        """The answer, which is not shown."""
        ...

    def confirm(self, question: str, *, default: bool) -> bool:
        """Yes or no."""
        ...


class Keyboard:
    """Asks on standard error, so that standard output has results alone."""

    def say(self, *lines: str) -> None:
        """See `Asker.say`."""
        tables.say(*lines)
        sys.stdout.flush()

    def ask(self, question: str, default: str = "") -> str:
        """See `Asker.ask`."""
        shown = f"{question} [{default}]: " if default else f"{question}: "
        return _answer(lambda: input(shown)) or default

    def secret(self, question: str) -> str:
        """See `Asker.secret`."""
        return _answer(lambda: getpass(f"{question} (it is not shown): "))

    def confirm(self, question: str, *, default: bool) -> bool:
        """See `Asker.confirm`."""
        while True:
            answer = self.ask(f"{question} {'[Y/n]' if default else '[y/N]'}").casefold()
            if not answer or answer in {"y", "yes", "n", "no"}:
                return answer.startswith("y") if answer else default


def _answer(read: Callable[[], str]) -> str:
    try:
        return read().strip()
    except EOFError:
        raise UnansweredError from None
