#!/bin/sh
# A read-only SQLite connection without locks makes a write-ahead log, and removes that of another process when it closes.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check pysqlite3-binary==0.5.4.post2
cat <<'END'
Version:  SQLite 3.51.1 (pysqlite3-binary 0.5.4.post2), on Linux; the same with SQLite 3.40.1.
Expected: a connection with mode=ro changes no file. Without locks (vfs=unix-none) it may read nonsense beside a writer,
          as is documented; the writer, which keeps its locks, does not notice it.
Seen:     it makes a log beside a database that had none, and when it is closed it removes the log of that name, which
          another process writes to meanwhile. What that one commits from then on is in a file without a name.
          With immutable=1 instead nothing is made and nothing removed.
END
"$place/venv/bin/python" - "$place" <<'END'
import os
import sys
from pathlib import Path

from pysqlite3 import dbapi2 as sqlite3

WRITE = "insert into t values (1)"


def played(place, how):
    """What lies beside the database while it is read, while another process writes, and when the reader is closed."""
    place.mkdir()
    path = place / "some.db"
    with sqlite3.connect(path) as maker:
        maker.execute("pragma journal_mode = wal")
        maker.execute("create table t (x)")
    maker.close()
    reader = sqlite3.connect(f"file:{path}?mode=ro&{how}", uri=True, isolation_level=None)
    reader.execute("pragma locking_mode = exclusive")  # the log's index is kept in memory: no lock is needed for it
    reader.execute("select count(*) from t").fetchone()
    seen = ["some.db-wal" in os.listdir(place)]
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute(WRITE)
        os.write(ready[1], b".")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    seen.append("some.db-wal" in os.listdir(place))
    reader.close()
    seen.append("some.db-wal" in os.listdir(place))
    os.write(go[1], b".")
    os.waitpid(child, 0)
    return seen


print(f"SQLite {sqlite3.sqlite_version}: is there a log while it is read, while another writes, after the reader is closed?")
without_locks = played(Path(sys.argv[1], "a"), "vfs=unix-none")
immutable = played(Path(sys.argv[1], "b"), "immutable=1")
print(f"vfs=unix-none {without_locks}, immutable=1 {immutable}")
sys.exit(0 if without_locks == [True, True, False] and immutable == [False, True, True] else 1)
END
