"""Every metric that there can be, from a worker to which everything has happened."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.support.builders import DAY, HOUR, MINUTE, NOON, pause, queue
from tests.support.overviews import overview, view
from worker.core.actions import Act
from worker.core.model import Fate, Kind, QueueTotals
from worker.core.overview import DONE, ApiInUse
from worker.core.owed import Backlog, State
from worker.web.metrics import Metrics


def samples() -> dict[str, set[str]]:
    """The names of all samples, with the labels that they can have."""
    seen = overview(
        view(waiting=3, disagreed=1, standing=QueueTotals(waiting=3, stale=2, oldest_since=NOON - HOUR, expiring=1)),
        pauses=[pause()],
        backlog=[Backlog(State.PENDING, 4, NOON - MINUTE)],
        api=ApiInUse("runs", NOON + 10 * DAY),
    )
    metrics = Metrics(version="1", commit="c", overview=lambda: seen)
    metrics.polled(queue(), seconds=1, trouble="unreachable")
    metrics.delivered(Kind.BASELINE, "sent")
    metrics.edited("made")
    metrics.throttled()
    metrics.closed(queue(), Fate.REVIEWED)
    metrics.waited(queue(), HOUR)
    metrics.called(1, 1)
    metrics.acted(Act.CLAIM, DONE)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
