#!/bin/sh
# Of one address of a PostgreSQL database, SQLAlchemy and psycopg take two different passwords.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9 psycopg==3.3.9 psycopg-binary==3.3.9
cat <<'END'
Version:  SQLAlchemy 2.1.9, psycopg 3.3.9 (libpq's own parser), with a PostgreSQL connection URI.
Expected: what SQLAlchemy hands to psycopg is what psycopg, and psql, make of the same URI by themselves. A plus sign is no
          special character in one: a space is %20. Where user:password@ stands, SQLAlchemy holds to that.
Seen:     behind the question mark it does not. There it reads as HTML forms are read, and hands over a space for each plus:
          another password, another name of the application. With an address that psql connects by, the server sees a wrong
          password. And where a percent-encoded folder of sockets stands for the host, it stays encoded.
END
"$place/venv/bin/python" - <<'END'
import sys

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

REST = {
    "plus before the @": "ann:a+b@db.example/reviews",
    "plus behind the ?": "ann@db.example/reviews?password=a+b&application_name=c+d",
    "%2B behind the ?": "ann@db.example/reviews?password=a%2Bb",
    "a folder as the host": "ann@%2Fvar%2Frun/reviews",
}


def differences(rest):
    by_libpq = conninfo_to_dict(f"postgresql://{rest}")
    url = make_url(f"postgresql+psycopg://{rest}")
    _, handed_over = url.get_dialect()().create_connect_args(url)
    return {name: (by_libpq[name], handed_over.get(name)) for name in by_libpq if by_libpq[name] != handed_over.get(name)}


found = {says: differences(rest) for says, rest in REST.items()}
for says, rest in REST.items():
    print(f"{says}: {rest}")
    for name, (by_libpq, by_sqlalchemy) in found[says].items():
        print(f"  {name}: psycopg {by_libpq!r}, SQLAlchemy {by_sqlalchemy!r}")
sys.exit(
    0
    if list(found.values())
    == [
        {},
        {"password": ("a+b", "a b"), "application_name": ("c+d", "c d")},
        {},
        {"host": ("/var/run", "%2Fvar%2Frun")},
    ]
    else 1
)
END
