"""The names of settings, and the groups of them that commands need. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREFIX = "WORKER_"
FILE_SUFFIX = "_FILE"

_SOME = 5


class Need(StrEnum):
    """A group of settings that a command needs; QUEUES are the queues and, together with SLACK, their channels."""

    LANGSMITH = "langsmith"
    SLACK = "slack"
    QUEUES = "queues"


ALL = frozenset(Need)


@dataclass(frozen=True, slots=True)
class Name:
    """A setting's name in the environment and in `.env`.

    `aliases` mean the same. A `secret` is never shown and may come from a file. A setting with a `need` is required by
    commands that have it; `remedy` says where to get it.
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
        """The name of a mounted file with this secret."""
        return self.env.lower()


_LINKED = re.compile(
    r"(?P<service>\w+?)_(?:PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?|SERVICE_HOST|SERVICE_PORT(?:_\w+)?)",
    re.ASCII,
)
_LINK = re.compile(r"(?:tcp|udp|sctp)://", re.ASCII)


def service_links(texts: Mapping[str, str]) -> frozenset[str]:
    """The names by which Kubernetes and Docker show where other services are: `WORKER_PORT=tcp://10.0.0.1:80`."""
    # They are set in every container beside a service whose name happens to be the beginning of ours.
    found = {name: match["service"] for name in texts if (match := _LINKED.fullmatch(name))}
    services = {service for service in found.values() if _LINK.match(texts.get(f"{service}_PORT", ""))}
    return frozenset(name for name, service in found.items() if service in services)


def some(words: Sequence[str]) -> str:
    """The first few words, and the number of the others."""
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
