#!/bin/sh
# One instant with more than six digits of a second is not the same instant by msgspec and by pydantic.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check msgspec==0.22.0 pydantic==2.14.4
cat <<'END'
Version:  msgspec 0.22.0, pydantic 2.14.4, and datetime.fromisoformat of the standard library.
Expected: an RFC 3339 time of which a datetime cannot hold all digits is cut, or rounded, by all of them alike: what two
          programs read of one answer can be compared, and a key that contains it is one key.
Seen:     msgspec rounds, pydantic and the standard library cut. The times differ by a microsecond, and the last tenth of a
          microsecond of a year is in the next year by msgspec alone.
END
"$place/venv/bin/python" - <<'END'
import sys
from datetime import datetime

import msgspec
from pydantic import TypeAdapter

as_seen = True
for text in ("2026-11-27T08:00:00.123456Z", "2026-11-27T08:00:00.1234567Z", "2026-12-31T23:59:59.9999999Z"):
    document = f'"{text}"'.encode()
    by_msgspec = msgspec.json.decode(document, type=datetime)
    by_pydantic = TypeAdapter(datetime).validate_json(document)
    by_itself = datetime.fromisoformat(text)
    print(f"{text}\n  msgspec   {by_msgspec.isoformat()}\n  pydantic  {by_pydantic.isoformat()}\n  stdlib    {by_itself.isoformat()}")
    fits = len(text) == len("2026-11-27T08:00:00.123456Z")
    as_seen &= by_pydantic == by_itself and (by_msgspec == by_itself) == fits
print(f"year by msgspec: {by_msgspec.year}, by pydantic: {by_pydantic.year}")
sys.exit(0 if as_seen and (by_msgspec.year, by_pydantic.year) == (2027, 2026) else 1)
END
