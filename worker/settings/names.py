"""The names of settings and services: as they are set, as they were probably meant, and as people read them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.core.overview import Advice
from worker.core.ports import DATABASE_URL, Trouble

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
    commands that have it; `fix` says where to get it.
    """

    env: str
    aliases: tuple[str, ...] = ()
    secret: bool = False
    need: Need | None = None
    fix: str = ""

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
    from difflib import get_close_matches  # noqa: PLC0415 - only where a name is not known

    by_core = {_core(candidate): candidate for candidate in known}
    found = get_close_matches(_core(name), by_core, n=1, cutoff=cutoff)
    return by_core[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to end a line about an unknown name with; empty where nothing is close."""
    meant = similar(name, known, cutoff=0.6)
    return f" (did you mean {meant}?)" if meant else ""


def _core(name: str) -> str:
    return name.upper().replace("-", "_").removeprefix(PREFIX)


DATABASE_SETTING = "WORKER_DATABASE_URL"

QUEUES = "`review-notifier queues` lists what the key can see"

ADVICE = Advice(
    source="LangSmith",
    notifier="Slack",
    notifier_area="slack",
    troubles={
        Trouble.UNREACHABLE: "check LANGSMITH_ENDPOINT, and this machine's way to it",
        Trouble.THROTTLED: "lower WORKER_REQUESTS_PER_SECOND if this goes on",
        Trouble.REFUSED: "check LANGSMITH_ENDPOINT and LANGSMITH_API_KEY, which belong to one region, and for a key of "
        "the organisation LANGSMITH_WORKSPACE_ID",
        Trouble.MISSING: f"correct the queue's id in WORKER_QUEUES; {QUEUES}",
        Trouble.UNLAWFUL: "check that LANGSMITH_ENDPOINT is the root of LangSmith's API, not of its web pages",
    },
    key="put a valid key in LANGSMITH_API_KEY, or its region's address in LANGSMITH_ENDPOINT, and restart",
    token="put a good token in SLACK_BOT_TOKEN and restart the service",  # noqa: S106  advice, no secret
    names="correct WORKER_QUEUES or worker.toml",
    ending="Set WORKER_LANGSMITH_API=auto, and update the worker (or a self-hosted LangSmith) if that does not help.",
    stale_after="WORKER_STALE_AFTER",
    remind_every="WORKER_REMIND_EVERY",
    escalate_after="WORKER_ESCALATE_AFTER",
)


def named(text: str) -> str:
    """The text of an error, with the setting that names the database called by its name."""
    return text.replace(DATABASE_URL, DATABASE_SETTING)
