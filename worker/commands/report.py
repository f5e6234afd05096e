"""The `report` command: what came, was reviewed and waits in each queue over some days, and when in the week."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import report_shown
from worker.commands.startup import DATABASE, opened, start
from worker.commands.tables import print_json, say
from worker.core.command import matching
from worker.core.owed import State
from worker.core.queue_report import QueueReport, last_days, report_key
from worker.core.text import day_time_in, plain
from worker.loops.queue_reports import as_delivery
from worker.rules import rules_for

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from worker.core.model import Queue
    from worker.rules import RulesOf
    from worker.stores.sql import SqlStore


class NotDrawnError(Exception):
    """A plot that cannot be drawn here; `str()` says why and the fix."""


@dataclass(frozen=True, slots=True)
class ReportAsked:
    """What is asked for: of which queue (None: of all), how many days, in which form, and whether to post it."""

    queue: str | None
    days: int
    as_json: bool = False
    as_csv: bool = False
    plot: Path | None = None
    post: bool = False


def show_reports(wanted: ReportAsked) -> bool:
    """Show the report, or post it; False for an unknown queue, where nothing is polled yet, or nowhere to post to.

    Raises OSError and NotDrawnError where the plot cannot be written.
    """
    settings = start(DATABASE)
    clock = SystemClock()
    with opened(settings) as store:
        now, rules = store.now(clock), rules_for(settings, clock)
        polled = [each.queue for each in last_polls(store)]
        queues = polled if wanted.queue is None else matching(polled, wanted.queue)
        if not queues:
            known = ", ".join(plain(queue.name) for queue in polled) or "none"
            missing = f"no queue {plain(wanted.queue)!r} is polled" if wanted.queue else "no queue is polled yet"
            sys.stderr.write(f"review-notifier: {missing}; these are: {known}\n")
            return False
        reports = [report_of(store, queue, rules, wanted.days, now) for queue in queues]
        if wanted.post:
            posted = [_post(store, each, rules, now) for each in reports]
            return all(posted)
    if wanted.plot is not None:
        from worker.commands.report_plot import write_plot  # noqa: PLC0415  most never draw

        write_plot(reports, wanted.plot)
        say(f"Drawn: {wanted.plot}")
    elif wanted.as_json:
        print_json(report_shown.reports_json(reports))
    elif wanted.as_csv:
        sys.stdout.write(report_shown.reports_csv(reports))
    else:
        # Written as it is: of what comes from outside only names are in it, which are flat.
        sys.stdout.writelines(f"{line}\n" for line in report_shown.lines(reports))
    return True


def report_of(store: SqlStore, queue: Queue, rules: RulesOf, days: int, now: datetime) -> QueueReport:
    """The report of one queue over the last days."""
    own = rules(queue)
    period = last_days(days, now, own.calendar.zone)
    hours = store.hours(period.begin, period.end, queue.queue_id).get(queue.queue_id, {})
    standing = store.standing(queue.queue_id, own.stale_before(now))
    return QueueReport.of(queue, period, hours, standing, own.calendar)


def _post(store: SqlStore, each: QueueReport, rules: RulesOf, now: datetime) -> bool:
    """Owe the report to the queue's channel, once a period; False where the queue has none."""
    name = plain(each.queue.name)
    destination = rules(each.queue).policy.destination
    if not destination.place:
        say(f"{name}: has no channel; set WORKER_CHANNEL, or channel in worker.toml")
        return False
    if store.owe(as_delivery(each, destination, now)):
        calendar = rules(each.queue).calendar
        when = "" if calendar.may_post(now) else f" from {day_time_in(calendar.opens(now), calendar.zone)} on"
        say(f"{name}: due in {destination.place}; the service posts it{when or ' within seconds'}, or `poll` does")
        return True
    key = report_key(each.queue.queue_id, each.period)
    known = next((one for one in store.deliveries(limit=_MANY) if one.key == key), None)
    state = "was posted already" if known is None or known.state is State.SENT else f"is {known.state.value} already"
    say(f"{name}: the report of these {each.period.days} days {state}")
    return True


_MANY = 1_000_000
