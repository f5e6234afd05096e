"""How every command begins: settings, logs, and the database where it needs one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from worker import logs
from worker.settings import Need, Settings, load, secrets
from worker.stores import opening
from worker.stores.lock import hold_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.stores.sql import SqlStore

DATABASE: frozenset[Need] = frozenset()
LANGSMITH = frozenset({Need.LANGSMITH})
PREVIEW = frozenset({Need.LANGSMITH, Need.QUEUES})
EVERYTHING = frozenset(Need)


def start(needs: frozenset[Need]) -> Settings:
    """Read the settings that a command needs and set up the logs. Raises ConfigError."""
    settings = load(needs)
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=secrets(settings))
    return settings


@contextlib.contextmanager
def opened(settings: Settings, *, migrate: bool = False) -> Iterator[SqlStore]:
    """The database as it is, or brought to the newest schema. Raises ConfigError, StoreError."""
    with contextlib.closing(opening.open_store(settings.database_url, migrate=migrate)) as store:
        yield store


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[bool]:
    """Be the only process that works on an SQLite file; False for PostgreSQL, on which several may. Raises Busy."""
    path = opening.database_path(settings.database_url)
    if path:
        opening.refuse_unfit(path)
    with hold_lock(path) if path else contextlib.nullcontext():
        yield path is not None
