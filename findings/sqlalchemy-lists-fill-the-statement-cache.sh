#!/bin/sh
# A NOT IN that gets shorter from call to call keeps tens of megabytes in each connection to SQLite.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9
cat <<'END'
Version:  SQLAlchemy 2.1.9 with Python's sqlite3.
Expected: an expanding parameter is there so that one statement serves lists of every length: SQLAlchemy compiles it once. A thousand
          calls with a list that gets shorter by one each time leave behind about what a thousand calls with one length leave.
Seen:     SQLAlchemy compiles once, but writes another text for each length. The driver keeps the last 128 texts of a connection as
          prepared statements, outside of what Python counts: with three lists of a thousand values they are some 70 MB, for as long
          as the connection is open, and in each connection of a pool. Filled up to a power of two the same lists leave none.
END
"$place/venv/bin/python" - <<'END'
import subprocess
import sys

PROGRAM = """
import sys
import sqlalchemy as sa

table = sa.Table("owed", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True), sa.Column("place", sa.Text))
passed = [table.c.place.not_in(sa.bindparam(name, expanding=True)) for name in ("first", "second", "third")]
query = sa.select(table).where(*passed).limit(1)


def megabytes():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


lengths = {
    "one length": lambda number: 1000,
    "ever shorter": lambda number: 1000 - number,
    "ever shorter, filled up": lambda number: 1 << (999 - number).bit_length(),
}[sys.argv[1]]
engine = sa.create_engine("sqlite://")
with engine.connect() as connection:
    table.create(connection)
    for number in range(300):
        names = [f"place {each}" for each in range(lengths(number))]
        connection.execute(query, dict.fromkeys(("first", "second", "third"), names)).all()
        if number == 9:
            before = megabytes()
    print(megabytes() - before)
"""
grown = {}
for how in ("one length", "ever shorter", "ever shorter, filled up"):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True)
    grown[how] = float(done.stdout)
    print(f"{how}: {grown[how]:.0f} MB more after 290 calls")
few = max(grown["one length"], grown["ever shorter, filled up"])
sys.exit(0 if grown["ever shorter"] > 15 and few < 5 else 1)
END
