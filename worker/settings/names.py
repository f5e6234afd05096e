"""How settings are called, and what a command needs of them. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PREFIX = "WORKER_"
FILE_SUFFIX = "_FILE"

_SOME = 5


class Need(StrEnum):
    """What a command cannot do without; QUEUES are the queues and, together with SLACK, their channels."""

    LANGSMITH = "langsmith"
    SLACK = "slack"
    QUEUES = "queues"


ALL = frozenset(Need)


@dataclass(frozen=True, slots=True)
class Name:
    """A setting's name in the environment and in `.env`.

    `aliases` mean the same. A `secret` is never shown and may come from a file. `need` says for whose
    sake it is required, and `remedy` where to get it.
    """

    env: str
    aliases: tuple[str, ...] = ()
    secret: bool = False
    need: Need | None = None
    remedy: str = ""

    @property
    def envs(self) -> tuple[str, ...]:
        """Every name that it has in the environment."""
        return (self.env, *self.aliases)

    @property
    def env_file(self) -> str:
        """The name that holds the path of a file with this secret."""
        return self.env + FILE_SUFFIX

    @property
    def file(self) -> str:
        """What a file with this secret is called among mounted ones."""
        return self.env.lower()


def some(words: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = [f"{len(words) - _SOME} more"] if len(words) > _SOME else []
    return ", ".join([*words[:_SOME], *more])


def similar(name: str, known: Iterable[str], *, cutoff: float = 0.75) -> str | None:
    """The known name that was probably meant."""
    by_core = {_core(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_core(name), by_core, n=1, cutoff=cutoff)
    return by_core[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to end a line about an unknown name with; empty where nothing is close."""
    meant = similar(name, known, cutoff=0.6)
    return f" (did you mean {meant}?)" if meant else ""


def _core(name: str) -> str:
    return name.upper().replace("-", "_").removeprefix(PREFIX)
