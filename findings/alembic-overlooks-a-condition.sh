#!/bin/sh
# alembic finds no difference between a partial index, one with another condition, and one without any.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check alembic==1.20.1 sqlalchemy==2.1.9
cat <<'END'
Version:  alembic 1.20.1, SQLAlchemy 2.1.9, on SQLite.
Expected: compare_metadata, on which `alembic check` and --autogenerate rest, compares the indexes of a database with those of
          the tables. That an index has another condition is a difference, all the more where it is unique: one open delivery
          a channel is not one delivery a channel. SQLAlchemy reads the condition back, so both conditions are known.
Seen:     no difference is reported, whatever the condition is, while another column is noticed. A table that is WITHOUT ROWID
          or STRICT in the program alone is no difference either. A migration that was forgotten passes the check: a new
          database takes rows that an older one refuses.
END
"$place/venv/bin/python" - <<'END'
import sys

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext


def tables(condition, column="channel", **options):
    metadata = sa.MetaData()
    table = sa.Table(
        "deliveries",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.Text),
        sa.Column("state", sa.Text),
        **options,
    )
    where = None if condition is None else sa.text(condition)
    sa.Index("one_open_a_channel", table.c[column], unique=True, sqlite_where=where)
    return metadata


OPEN = "state = 'open'"
with sa.create_engine("sqlite://").connect() as connection:
    tables(OPEN).create_all(connection)
    (read_back,) = sa.inspect(connection).get_indexes("deliveries")
    print(f"in the database: unique, where {read_back['dialect_options']['sqlite_where']}")
    found = {}
    for says, metadata in {
        "the same condition": tables(OPEN),
        "another condition": tables("state = 'sent'"),
        "no condition": tables(None),
        "another column": tables(OPEN, "state"),
        "the table strict and without rowid": tables(OPEN, sqlite_strict=True, sqlite_with_rowid=False),
    }.items():
        found[says] = len(compare_metadata(MigrationContext.configure(connection), metadata))
        print(f"in the program: {says}: {found[says]} differences")
noticed = [says for says, number in found.items() if number]
sys.exit(0 if noticed == ["another column"] and str(read_back["dialect_options"]["sqlite_where"]) == OPEN else 1)
END
