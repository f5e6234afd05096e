"""Tries single answers of `init` with the services, before anything is written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.clock import SystemClock
from worker.commands.startup import langsmith, slack
from worker.core.model import Queue
from worker.core.ports import ConfigError, DeliveryError, SourceError, Trouble
from worker.notifiers.slack.rooms import listed_channels
from worker.settings import Need, load
from worker.settings.calendars import never_open, zone_named
from worker.settings.layers import exists, read_text
from worker.settings.loading import RUN_SECRETS, surroundings
from worker.settings.model import EVERY
from worker.sources.langsmith.rows import identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.notifiers.slack.errors import BotIdentity, Channel
    from worker.settings import Settings
    from worker.sources.langsmith.source import LangSmith

_WHERE = frozenset({"LANGSMITH_ENDPOINT", "LANGSMITH_WORKSPACE_ID", "SLACK_BASE_URL", "WORKER_ALLOW_HTTP"})
_OF_KEY = _WHERE | {"LANGSMITH_API_KEY"}
_OF_SLACK = _WHERE | {"SLACK_BOT_TOKEN", "WORKER_CHANNEL"}
_OF_HOURS = frozenset({"WORKER_ZONE", "WORKER_HOURS", "WORKER_HOLIDAYS"})
ASKED = _OF_KEY | _OF_SLACK | _OF_HOURS | {"WORKER_QUEUES"}
"""The settings that count as answers where the environment has them."""

_SECRETS = {name.env: name for name in EVERY.values() if name.secret and name.env in ASKED}

_OURS = ("LANGSMITH_", "SLACK_", "WORKER_", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY")
_LOCALTIME = "/etc/localtime"
_UTC = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"})
_COUNTED = 30
"""Queues whose waiting runs are counted."""


def from_environment(run_secrets: Path = RUN_SECRETS) -> dict[str, str]:
    """The answers that the environment has already; of a secret in a file `NAME_FILE`, which is its path."""
    known = ASKED | {name.env_file for name in _SECRETS.values()}
    found = {name: text for name, text in surroundings().items() if name in known and text.strip()}
    mounted = {name.env_file: run_secrets / name.file for name in _SECRETS.values() if name.env_file not in found}
    return {name: str(path) for name, path in mounted.items() if exists(path)} | found


class Filed(Struct, frozen=True):
    """The secrets among the answers that are in files: their texts by the names of the settings, and the files."""

    texts: Mapping[str, str]
    paths: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filed:
        """Read the files that `given` names, but of what is given itself. Raises ConfigError."""
        named = {
            env: given[name.env_file] for env, name in _SECRETS.items() if name.env_file in given and env not in given
        }
        return cls({env: _secret_in(path, env) for env, path in named.items()}, named)

    def written(self, answers: Mapping[str, str]) -> dict[str, str]:
        """The answers as they are written: a secret that a file has stays in that file."""
        kept = {env for env, text in self.texts.items() if answers.get(env) == text}
        files = {_SECRETS[env].env_file: absolute(Path(self.paths[env].strip())) for env in kept}
        return files | {name: text for name, text in answers.items() if name not in kept}


def absolute(path: Path) -> str:
    """The path from the root, with its links as they are: what a mounted secret links to changes its name."""
    return os.path.abspath(path)  # noqa: PTH100  Path.resolve follows links


def _secret_in(path: str, env: str) -> str:
    try:
        return read_text(Path(path.strip())).rstrip("\r\n")
    except ValueError as error:
        raise ConfigError(f"{env}: the file {path} {error}") from None


def try_hours(answers: Mapping[str, str]) -> None:
    """Read zone, hours and holidays, as far as there are answers. Raises ConfigError."""
    _settings(answers, _OF_HOURS)


def _settings(answers: Mapping[str, str], names: frozenset[str], *needs: Need) -> Settings:
    """The settings that these answers make by themselves, without any file. Raises ConfigError."""
    given = {name: text for name, text in surroundings().items() if not name.startswith(_OURS)}
    given |= {name: answer for name, answer in answers.items() if name in names}
    with tempfile.TemporaryDirectory() as nothing:
        settings = load(frozenset(needs), environ=given, directory=Path(nothing), run_secrets=Path(nothing))
    if problems := [*never_open(settings, SystemClock().now())]:
        raise ConfigError("\n".join(problems))
    return settings


def machine_zone() -> str:
    """The time zone of this machine; empty where it is not known."""
    return zone_of(surroundings().get("TZ", ""), os.path.realpath(_LOCALTIME))


def zone_of(given: str, link: str) -> str:
    """The zone that TZ names, else the one that /etc/localtime leads to; empty where `tzdata` knows none of them."""
    for name in (given.removeprefix(":"), link.partition("/zoneinfo/")[2].removeprefix("posix/")):
        with contextlib.suppress(ValueError):
            return "UTC" if name in _UTC else zone_named(name).key
    return ""


def seen_queues(answers: Mapping[str, str]) -> tuple[Sequence[tuple[Queue, int | None]], str]:
    """The queues that the key can see with what waits in them, and whose view that is. Raises SourceError."""
    with langsmith(_settings(answers, _OF_KEY, Need.LANGSMITH), SystemClock()) as source:
        queues = _listed(source, answers)
        counts = [_waiting(source, queue) for queue in queues[:_COUNTED]] + [None] * len(queues[_COUNTED:])
        return list(zip(queues, counts, strict=True)), source.whose()


def _listed(source: LangSmith, answers: Mapping[str, str]) -> Sequence[Queue]:
    """The queues that the key can see; where the server has no list of them, those whose ids are given."""
    try:
        return source.queues()
    except SourceError as error:
        ids = [found for each in answers.get("WORKER_QUEUES", "").split(",") if (found := identity(each.strip()))]
        if error.trouble is not Trouble.MISSING or not ids:
            raise
        for queue_id in ids:
            # Its runs prove the key.
            source.waiting(queue_id)
        return [Queue(queue_id, str(queue_id)) for queue_id in ids]


def _waiting(source: LangSmith, queue: Queue) -> int | None:
    try:
        return source.waiting(queue.queue_id)
    except SourceError:
        return None


def seen_channels(answers: Mapping[str, str]) -> tuple[BotIdentity, Sequence[Channel] | None]:
    """Whose the token is, and the channels; None where they cannot be listed. Raises DeliveryError."""
    with slack(_settings(answers, _OF_SLACK, Need.SLACK)) as notifier:
        identity = notifier.identity()
        try:
            return identity, listed_channels(notifier)
        except DeliveryError:
            return identity, None


def seen_channel(answers: Mapping[str, str]) -> Channel | None:
    """The channel of the answers; None where the app may not look at channels. Raises DeliveryError."""
    settings = _settings(answers, _OF_SLACK, Need.SLACK)
    with slack(settings) as notifier:
        try:
            return notifier.channel(settings.defaults.channel.place)
        except DeliveryError as error:
            if error.code in {"missing_scope", "unknown_method"}:
                return None
            raise
