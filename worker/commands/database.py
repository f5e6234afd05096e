"""The commands for the database itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from worker.commands.begin import DATABASE, alone, start
from worker.stores import moving, opening

if TYPE_CHECKING:
    from pathlib import Path


def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = start(DATABASE)
    with alone(settings):
        opening.migrate(settings.database_url)
    sys.stdout.write("The database has the newest schema.\n")


def move(file: Path) -> None:
    """Copy an SQLite database to the PostgreSQL of the settings."""
    settings = start(DATABASE)
    rows = moving.move(file, settings.database_url)
    sys.stdout.write(
        f"Moved {rows['queues']:,} queues, {rows['reviews']:,} reviews and {rows['deliveries']:,} deliveries."
        f" {file} is as it was: put it away, so that no service is started on it again.\n"
    )


def backup(file: Path) -> None:
    """Copy an SQLite database."""
    settings = start(DATABASE)
    opening.backup(settings.database_url, file)
    sys.stdout.write(f"Backed up to {file}.\n")
