"""The start of every command: settings, logs, and the database where it needs one."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from worker import logs
from worker.clock import SystemClock
from worker.core.ports import ConfigError
from worker.logs import redactor
from worker.notifiers.slack.notifier import Slack
from worker.settings import LogLevel, Need, Settings, load, secrets
from worker.settings.calendars import never_open
from worker.settings.loading import surroundings
from worker.settings.names import DATABASE_SETTING
from worker.sources.langsmith.source import LangSmith
from worker.stores import opening
from worker.stores.lock import hold_lock
from worker.stores.sqlite import check_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydantic import SecretStr

    from worker.core.model import Id
    from worker.core.ports import Clock
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

DATABASE: frozenset[Need] = frozenset()
LANGSMITH = frozenset({Need.LANGSMITH})
PREVIEW = frozenset({Need.LANGSMITH, Need.QUEUES})
EVERYTHING = frozenset(Need)

_NOTHING_SET = 3
"""So many missing settings mean that nobody has set up anything yet."""


def start(needs: frozenset[Need], *, asks: bool = True) -> Settings:
    """Read the settings that a command needs and set up the logs. Raises ConfigError.

    One that only `asks` something answers that, and logs what goes wrong.
    """
    settings = _load(needs)
    if problems := [*never_open(settings, SystemClock().now())]:
        raise ConfigError("\n".join(problems))
    set_up_logs(settings, secrets(settings), asks=asks)
    return settings


def set_up_logs(settings: Settings, hidden: Iterable[str], *, asks: bool = False) -> None:
    """Let the log be as the settings want it."""
    level = LogLevel.WARNING if asks and settings.log_level is LogLevel.INFO else settings.log_level
    is_coloured = sys.stderr.isatty() and not surroundings().get("NO_COLOR")
    logs.configure_logging(level=level, form=settings.log_format, secrets=hidden, is_coloured=is_coloured)


def start_aside(needs: frozenset[Need], config: Path) -> Settings:
    """Read the settings as they would be with another `worker.toml`. Raises ConfigError."""
    if not config.is_file():
        raise ConfigError(f"--config: there is no file {config}; name a worker.toml")
    settings = load(needs, environ={**surroundings(), "WORKER_CONFIG": str(config.absolute())})
    if problems := [*never_open(settings, SystemClock().now())]:
        raise ConfigError("\n".join(problems))
    return settings


def quiet() -> None:
    """Let nothing be logged from here on: what is played is not what happens."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _load(needs: frozenset[Need]) -> Settings:
    """Read the settings; to who has none yet, name the command that asks for them."""
    try:
        return load(needs)
    except ConfigError as error:
        if str(error).count(": is missing") < _NOTHING_SET:
            raise
        text = f"{error}\n\nAll of them at once: `review-notifier init` asks for them, tries each and writes .env"
    raise ConfigError(text)


@contextlib.contextmanager
def opened(settings: Settings, *, migrate: bool = False) -> Iterator[SqlStore]:
    """The database as it is, or brought to the newest schema. Raises ConfigError, StoreError."""
    store = opening.open_store(settings.database_url, migrate=migrate, setting=DATABASE_SETTING)
    with contextlib.closing(store):
        yield store


@contextlib.contextmanager
def sole_process(settings: Settings) -> Iterator[bool]:
    """Be the only process that works on an SQLite file; False for PostgreSQL, on which several may. Raises Busy."""
    path = opening.database_path(settings.database_url)
    # Before the lock, which would leave a file beside the database on a file system that cannot hold one.
    if path:
        opening.refuse_unfit(path)
    with hold_lock(path) if path else contextlib.nullcontext():
        yield path is not None


def ignore(_queue_id: Id, _runs: int) -> None:
    """Show no progress, because no person waits for it."""


@contextlib.contextmanager
def progress_shown() -> Iterator[Callable[[Id, int], None]]:
    """Show the progress of a long listing, where a person waits for it."""
    if not sys.stderr.isatty():
        yield ignore
        return
    from rich.console import Console as Terminal  # noqa: PLC0415 - only where a person looks

    terminal = Terminal(stderr=True)
    with terminal.status("Reading the queues …") as shown:
        yield lambda queue_id, runs: shown.update(f"Reading queue {queue_id}: {runs:,} runs …")


def _recall_nothing(_name: str) -> None:
    """Recall nothing: a command without a store knows nothing from before."""


def _remember_nothing(_name: str, _value: str) -> None:
    """Remember nothing: a command without a store changes nothing."""


@contextlib.contextmanager
def langsmith(
    settings: Settings,
    clock: Clock,
    store: SqlStore | None = None,
    progress: Callable[[Id, int], None] = ignore,
) -> Iterator[LangSmith]:
    """The source; with a `store` it remembers the listing that the server serves, over restarts."""
    key = settings.langsmith_api_key
    source = LangSmith(
        root=settings.langsmith_endpoint,
        key=key.get_secret_value() if key else "",
        clock=clock,
        workspace_id=settings.langsmith_workspace_id or "",
        web_url=settings.langsmith_web_url or "",
        statuses=settings.statuses,
        api=settings.langsmith_api,
        requests_per_second=settings.requests_per_second,
        route=settings.route(settings.langsmith_endpoint),
        progress=progress,
        recall=store.recall if store else _recall_nothing,
        remember=store.remember if store else _remember_nothing,
    )
    with contextlib.closing(source):
        yield source


def hiding(settings: Settings) -> Callable[[str], str]:
    """Take the token and the key out of a text."""
    # Not the database's password: Slack never gets it, and a short one may occur in a message's timestamp.
    given = (settings.slack_bot_token, settings.slack_app_token, settings.langsmith_api_key)
    redact = redactor(secret.get_secret_value() for secret in given if secret)
    return lambda text: redact(None, "", text)


@contextlib.contextmanager
def slack(settings: Settings, token: SecretStr | None = None) -> Iterator[Slack]:
    """The notifier; with another `token` than the bot's, a client for what that one may do."""
    token = token or settings.slack_bot_token
    notifier = Slack(
        token=token.get_secret_value() if token else "",
        base_url=settings.slack_base_url,
        hide=hiding(settings),
        route=settings.route(settings.slack_base_url),
    )
    with contextlib.closing(notifier):
        yield notifier


@contextlib.contextmanager
def rehearsal(settings: Settings) -> Iterator[SqlStore]:
    """The database to read from, or an empty temporary one where there is none yet."""
    path = opening.database_path(settings.database_url)
    if path is None or path.exists():
        with opened(settings) as store:
            yield store
        return
    check_directory(path)  # where none can be made, `poll` would not work either
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'rehearsal.db'}"
        with contextlib.closing(opening.open_store(url, migrate=True)) as store:
            yield store
