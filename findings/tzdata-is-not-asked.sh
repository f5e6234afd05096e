#!/bin/sh
# The newest tzdata is installed, and its version is what a program reports; the zones are those of an older one.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check tzdata==2026.6
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$place/machine" tzdata==2025.3
cat <<'END'
Version:  tzdata 2026.6 and zoneinfo of the standard library, on a machine whose own files are those of 2025.3 (PYTHONTZPATH stands
          for /usr/share/zoneinfo here, which many images never update).
Expected: whoever depends on tzdata has the zones of the version that is installed.
Seen:     zoneinfo takes the machine's files, and the package only for zones that these do not have. Vancouver, Winnipeg and
          Casablanca are an hour off this winter, although the version that can be asked for is the newest.
END
PYTHONTZPATH="$place/machine/tzdata/zoneinfo" "$place/venv/bin/python" - <<'END'
import sys
from datetime import datetime, timedelta
from importlib.metadata import version
from importlib.resources import files
from zoneinfo import ZoneInfo

print(f"tzdata {version('tzdata')}")
as_seen = True
for name in ("America/Vancouver", "America/Winnipeg", "Africa/Casablanca"):
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        packaged = ZoneInfo.from_file(file, key=name)
    taken, meant = (datetime(2026, 12, 1, tzinfo=zone).utcoffset() for zone in (ZoneInfo(name), packaged))
    print(f"{name} on 1 December 2026: zoneinfo {taken / timedelta(hours=1):+g} h, the package {meant / timedelta(hours=1):+g} h")
    as_seen &= abs(taken - meant) == timedelta(hours=1)
sys.exit(0 if as_seen else 1)
END
