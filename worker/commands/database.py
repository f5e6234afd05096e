"""The commands for the database itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from worker.commands.startup import DATABASE, sole_process, start
from worker.stores import opening
from worker.stores.schema import HEAD, Fit

if TYPE_CHECKING:
    from pathlib import Path


def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = start(DATABASE)
    with sole_process(settings):
        opening.migrate_database(settings.database_url)
    sys.stdout.write("The database has the newest schema.\n")


def is_migrated() -> bool:
    """Print the revision of the database; returns whether it is the newest."""
    settings = start(DATABASE)
    revision, found = opening.database_revision(settings.database_url)
    if found is Fit.HEAD:
        sys.stdout.write(f"The database has revision {revision}, the newest.\n")
        return True
    has = "has no tables yet" if revision is None else f"has revision {revision}"
    fix = "run `review-notifier migrate`"
    if found is Fit.AHEAD:
        fix = "that is newer than this program: install the version that wrote it, or a later one"
    sys.stdout.write(f"The database {has}, this program needs {HEAD}: {fix}.\n")
    return False


def move(file: Path) -> None:
    """Copy an SQLite database to the PostgreSQL of the settings."""
    settings = start(DATABASE)
    rows = opening.move_to_postgres(file, settings.database_url)
    sys.stdout.write(
        f"Moved {rows['queues']:,} queues, {rows['reviews']:,} reviews and {rows['deliveries']:,} deliveries."
        f" {file} is as it was: put it away, so that no service is started on it again.\n"
    )


def backup(file: Path) -> None:
    """Copy an SQLite database."""
    settings = start(DATABASE)
    opening.back_up_database(settings.database_url, file)
    sys.stdout.write(f"Backed up to {file}.\n")
