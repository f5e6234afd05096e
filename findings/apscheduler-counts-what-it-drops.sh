#!/bin/sh
# A job with coalesce=True runs once after a sleep, and APScheduler first works out each of the times that it drops.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check apscheduler==3.11.3
cat <<'END'
Version:  APScheduler 3.11.3.
Expected: after a machine has slept, a job with coalesce=True and misfire_grace_time=None runs once, and its trigger is asked
          once or twice: for the time that is due, and for the next.
Seen:     it runs once, but the trigger is asked for every time that was missed, one after the other, and all of them are
          kept in a list of which the last is used. A job of each second that was missed for six hours asks 21,600 times
          before it runs, in the thread that starts every other job. With an IntervalTrigger nothing is skipped.
END
"$place/venv/bin/python" - <<'END'
import sys
import threading
from datetime import datetime, timedelta, timezone

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

HOURS = 6
asked = 0
runs = []
ran = threading.Event()


class Counted(IntervalTrigger):
    def get_next_fire_time(self, previous_fire_time, now):
        global asked
        asked += 1
        return super().get_next_fire_time(previous_fire_time, now)


def job():
    runs.append(asked)
    ran.set()


since = datetime.now(timezone.utc) - timedelta(hours=HOURS)
defaults = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")
scheduler.add_job(job, Counted(seconds=1, start_date=since, timezone="UTC"), next_run_time=since)
scheduler.start()
ran.wait(60)
scheduler.shutdown()
print(f"missed for {HOURS} hours: before the first run the trigger was asked {runs[0]:,} times")
sys.exit(0 if runs[0] >= HOURS * 3600 else 1)
END
