#!/bin/sh
# A scheduler that spreads its jobs by chance, in another thread, makes hypothesis object to a strategy that has no part in it.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check hypothesis==6.170.17 apscheduler==3.11.3
cat <<'END'
Version:  hypothesis 6.170.17, APScheduler 3.11.3 with a job that has a jitter.
Expected: a test of two integers depends on these, and passes while a scheduler runs in the background of the same process. What
          hypothesis forbids, the random module within a strategy, this strategy does not do.
Seen:     hypothesis compares the state of the common generator before and after each value that it draws, and takes every
          difference for the strategy's doing. APScheduler draws the jitter of each run from that generator: where the thread
          gets its turn at that moment, the test has a deprecation warning that names the strategy, and fails where warnings are
          errors. It passes without the jitter.
END
"$place/venv/bin/python" - <<'END'
import logging
import sys
import warnings
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisDeprecationWarning

logging.disable()
planned = Event()


class Noted(IntervalTrigger):
    """A trigger as it comes, which says when it has planned a run."""

    def get_next_fire_time(self, *times):
        at = super().get_next_fire_time(*times)
        planned.set()
        return at


@st.composite
def pairs(draw):
    first = draw(st.integers())
    for _ in range(2):  # of two runs the second is surely planned while this value is made
        planned.clear()
        planned.wait(30)
    return first, draw(st.integers())


@settings(max_examples=3, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs())
def holds(pair):
    assert len(pair) == 2


def tried(jitter):
    """What hypothesis says of the test beside a job that runs every twentieth of a second."""
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(lambda: None, Noted(seconds=0.05, timezone="UTC", jitter=jitter), max_instances=9)
    scheduler.start()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            holds()
    finally:
        scheduler.shutdown(wait=False)
    return [str(one.message) for one in caught if one.category is HypothesisDeprecationWarning]


without, with_jitter = tried(None), tried(0.01)
print(f"without a jitter: {without}\nwith one: {with_jitter[:1]}")
sys.exit(0 if not without and with_jitter and "`random` module inside strategies" in with_jitter[0] else 1)
END
