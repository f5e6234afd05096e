#!/bin/sh
# A country's holidays that go into a pydantic model come out of it as an empty mapping.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check holidays==0.109 pydantic==2.14.4
cat <<'END'
Version:  holidays 0.109, pydantic 2.14.4.
Expected: a field of Mapping[date, str] that is given the holidays of a country, which are a dict, answers as they do:
          that 25 December 2026 is one of them.
Seen:     the field holds a plain and empty dict, and no day is a holiday. The object fills itself, a year at a time, when it
          is asked for a day, and pydantic copies what is in it at that moment. With years=2026 it knows that year and none
          after it. Nothing is refused, and there is no warning.
END
"$place/venv/bin/python" - <<'END'
import sys
from collections.abc import Mapping
from datetime import date

import holidays
from pydantic import BaseModel


class Team(BaseModel):
    days_off: Mapping[date, str]


christmas = [date(2026, 12, 25), date(2027, 12, 25)]
for years in (None, 2026):
    alone = holidays.country_holidays("FR", years=years)
    in_model = Team(days_off=holidays.country_holidays("FR", years=years)).days_off
    print(f"years={years}: alone {[day in alone for day in christmas]}, in a model {[day in in_model for day in christmas]}")
empty = Team(days_off=holidays.country_holidays("FR")).days_off
one_year = Team(days_off=holidays.country_holidays("FR", years=2026)).days_off
sys.exit(0 if empty == {} and [day in one_year for day in christmas] == [True, False] else 1)
END
