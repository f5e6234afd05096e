"""What open time costs: ages over a year, beside numpy's count of business days and a loop over the days by hand."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.figures import Figure
from worker.core.calendar import ALWAYS_OPEN, Calendar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale

ZONE = ZoneInfo("Europe/Berlin")
OPENS, CLOSES = timedelta(hours=9), timedelta(hours=17, minutes=30)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
A_YEAR = 365 * 86_400
SEED = 18
AGES = 100_000
FEW = AGES // 20
"""So many of them are added up by hand, which takes long."""

T = TypeVar("T")


def ages(_scale: Scale, _server: Server, _directory: Path) -> Iterator[Figure]:
    """(h) Ages of runs in a calendar with hours from Monday to Friday."""
    drawn = random.Random(SEED)  # noqa: S311 - not to keep a secret
    pairs = [_pair(drawn) for _ in range(AGES)]
    workdays = (((OPENS, CLOSES),),) * 5 + ((), ())
    made, calendar = _cpu(lambda: Calendar(ZONE, (2025, 2028), hours=workdays))
    ours, found = _cpu(lambda: [calendar.age(since, at) for since, at in pairs])
    always, _ = _cpu(lambda: [ALWAYS_OPEN.age(since, at) for since, at in pairs])
    array, _ = _cpu(lambda: _business_days(pairs))
    loop, by_hand = _cpu(lambda: [_by_hand(since, at) for since, at in pairs[:FEW]])
    if by_hand != found[:FEW]:
        raise RuntimeError("the loop by hand comes to other ages")
    yield Figure("h", "100,000 ages over a year, CPU", ours, "s", most=0.5)
    yield Figure("h", "… without hours", always, "s")
    yield Figure("h", "… numpy.busday_count (whole days, no hours)", array, "s")
    yield Figure("h", "… a loop over the days by hand", loop * AGES / FEW, "s")
    yield Figure("h", "a calendar of four years made, CPU", made * 1000, "ms")


def _pair(drawn: random.Random) -> tuple[datetime, datetime]:
    since, at = sorted(NEW_YEAR + timedelta(seconds=drawn.random() * A_YEAR) for _ in range(2))
    return since, at


def _cpu(work: Callable[[], T]) -> tuple[float, T]:
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def _business_days(pairs: Sequence[tuple[datetime, datetime]]) -> object:
    dates = [(since.astimezone(ZONE).date(), at.astimezone(ZONE).date()) for since, at in pairs]
    return np.busday_count([since for since, _ in dates], [at for _, at in dates])


def _by_hand(since: datetime, at: datetime) -> timedelta:
    """Add up the days between two instants, one by one."""
    total, day = timedelta(0), since.astimezone(ZONE).date()
    while day <= at.astimezone(ZONE).date():
        if day.weekday() < 5:  # noqa: PLR2004 - Saturday
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - on the clock
            begin, end = ((midnight + edge).replace(tzinfo=ZONE).astimezone(UTC) for edge in (OPENS, CLOSES))
            total += max(min(at, end) - max(since, begin), timedelta(0))
        day += timedelta(days=1)
    return total
