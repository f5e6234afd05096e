"""The commands that ask LangSmith and Slack, and change nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import structlog

from worker import checks, views
from worker.app import roster_for
from worker.clock import SystemClock
from worker.commands.begin import EVERYTHING, LANGSMITH, start
from worker.commands.remotes import langsmith, progress_shown, slack
from worker.core.ports import SourceError
from worker.notifiers import slack_check

if TYPE_CHECKING:
    from worker.core.model import Queue
    from worker.sources.langsmith import LangSmith

log = structlog.get_logger(__name__)


def queues(*, as_json: bool) -> bool:
    """List the queues that the key can see."""
    settings = start(LANGSMITH)
    with langsmith(settings, SystemClock()) as source:
        try:
            found = [(queue, _waiting(source, queue)) for queue in source.queues()]
        except SourceError as error:
            sys.stderr.write(f"review-notifier: the queues cannot be listed: {error}\n")
            return False
    if as_json:
        views.print_json([{"id": str(q.queue_id), "name": q.name, "waiting": n} for q, n in found])
    else:
        rows = [(str(q.queue_id), q.name, "?" if n is None else str(n)) for q, n in found]
        views.print_table(("Id", "Name", "Waiting"), rows, empty="The key can see no queue.")
    return True


def check(*, as_json: bool, live: bool) -> bool:
    """Check everything, with `live` also what only the live service can tell; whether all is well."""
    settings = start(EVERYTHING)
    clock = SystemClock()
    with progress_shown() as read, langsmith(settings, clock, progress=read) as source, slack(settings) as notifier:
        roster = roster_for(settings, clock=clock, source=source)
        found = [
            *checks.check_settings(settings),
            *checks.check_database(settings),
            *checks.check_langsmith(source, roster, settings),
            *slack_check.examine(notifier, sorted(checks.channels_of(settings, roster))),
            *(checks.ask_live(source, roster) if live else ()),
        ]
    if as_json:
        views.print_json([views.finding_json(finding) for finding in found])
    else:
        views.print_findings(found)
    return all(finding.ok for finding in found)


def _waiting(source: LangSmith, queue: Queue) -> int | None:
    try:
        return source.waiting(queue.queue_id)
    except SourceError as error:
        log.warning("queue_not_counted", queue=queue.name, error=str(error))
        return None
