#!/bin/sh
# A table for SQLite is defined with a partial index; its condition for PostgreSQL loads all of that dialect.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9
cat <<'END'
Version:  SQLAlchemy 2.1.9.
Expected: postgresql_where of an Index is kept as it is, and the dialect is loaded when an engine of it is made.
Seen:     defining the index loads the dialect with the modules of each of its drivers, asyncpg's among them, although none
          is installed and no engine is made.
END
"$place/venv/bin/python" - <<'END'
import sys
from importlib.metadata import version

import sqlalchemy as sa

print(f"SQLAlchemy {version('sqlalchemy')}")
before = set(sys.modules)
sa.Index("plain", "c")
print(f"an index: {len(set(sys.modules) - before)} modules more")
sa.Index("partial", "c", postgresql_where=sa.text("c = 1"))
loaded = sorted(name for name in set(sys.modules) - before if name.startswith("sqlalchemy.dialects.postgresql"))
print(f"a partial index: {len(loaded)} modules of the PostgreSQL dialect more, such as {', '.join(loaded[:3])}")
sys.exit(0 if "sqlalchemy.dialects.postgresql.asyncpg" in loaded else 1)
END
