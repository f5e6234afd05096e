"""Counts the work for Prometheus, and shows the state of the worker; labels are bounded."""

from __future__ import annotations

import threading
from collections import Counter as Counting
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import generate_latest

from worker.core.model import Kind
from worker.core.owed import State
from worker.core.ports import STORE, Trouble
from worker.core.status.reasons import KINDS, readiness, reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from worker.core.model import Id, Queue
    from worker.core.overview import Overview, QueueView

_PREFIX = "review_notifier"
_MOST_QUEUES = 200
OTHER = "other"
LONGEST_NAME = 80
POLL_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


TROUBLES = (*(str(trouble) for trouble in Trouble), STORE)


class Labels:
    """A bounded set of labels for queues; further queues share one. Thread-safe."""

    def __init__(self, most: int = _MOST_QUEUES) -> None:
        """`most` queues have a label of their own."""
        self._most = most
        self._lock = threading.Lock()
        self._known: set[Id] = set()

    def of(self, queue: Queue) -> str:
        """The label of a queue."""
        with self._lock:
            if queue.queue_id not in self._known and len(self._known) >= self._most:
                return OTHER
            self._known.add(queue.queue_id)
        return queue.name[:LONGEST_NAME]


class Metrics:
    """A Meter for Prometheus, with a registry of its own. Thread-safe."""

    def __init__(
        self,
        *,
        version: str,
        commit: str,
        overview: Callable[[], Overview | None],
        hanging: Callable[[], Sequence[str]] = tuple,
        dropped: Callable[[], int] = int,
        most_queues: int = _MOST_QUEUES,
    ) -> None:
        """`overview` gives the state of the worker, None before the first look; `hanging` names loops that hang.

        `dropped` counts the lines of the log that were not read.
        """
        self._overview = overview
        self._labels = Labels(most_queues)
        self._named: dict[Id, str] = {}
        self._registry = CollectorRegistry()
        self._polls = self._counter("polls", "Polls that ended, complete or not", "queue")
        self._failures = self._counter(
            "poll_failures", "Polls that failed, by what stood in the way", "queue", "trouble"
        )
        self._seconds = Histogram(
            f"{_PREFIX}_poll_seconds", "How long a poll took", buckets=POLL_BUCKETS, registry=self._registry
        )
        self._deliveries = self._counter(
            "deliveries", "Steps of deliveries, by kind and the state that they led to", "kind", "outcome"
        )
        self._edits = self._counter("edits", "Edits of posted messages that were owed, by outcome", "outcome")
        self._throttled = self._counter("throttled", "Requests to wait, by the service that asked", "service")
        self._preset()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        build = {"version": version, "commit": commit}
        self._registry.register(_Shown(overview, hanging, dropped, labels=self._labels, build=build))

    def polled(self, queue: Queue, *, seconds: float, trouble: str = "") -> None:
        """See `Meter.polled`."""
        label = self._preset_queue(queue)
        self._polls.labels(label).inc()
        self._seconds.observe(seconds)
        if trouble:
            self._failures.labels(label, trouble).inc()
        if trouble == "throttled":
            self._throttled.labels("langsmith").inc()

    def delivered(self, kind: Kind, outcome: str) -> None:
        """See `Meter.delivered`."""
        self._deliveries.labels(kind.value, outcome).inc()

    def edited(self, outcome: str) -> None:
        """See `Meter.edited`."""
        self._edits.labels(outcome).inc()

    def throttled(self) -> None:
        """See `Meter.throttled`."""
        self._throttled.labels("slack").inc()

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        if seen := self._overview():
            for queue in seen.queues:
                self._preset_queue(queue.polled.queue)
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", meaning, labels, registry=self._registry)

    def _preset(self) -> None:
        """Begin every series at zero whose labels are known beforehand."""
        # A rate misses the first step of a series that has only just appeared.
        for service in ("langsmith", "slack"):
            self._throttled.labels(service)
        for kind in Kind:
            for outcome in (*(state.value for state in State if state is not State.SENDING), "lease_lost"):
                self._deliveries.labels(kind.value, outcome)
        for outcome in ("made", "unneeded", "failed", "given_up"):
            self._edits.labels(outcome)

    def _preset_queue(self, queue: Queue) -> str:
        """Begin the series of a queue at zero; returns its label."""
        label = self._labels.of(queue)
        former = self._named.get(queue.queue_id)
        if former == label:
            return label
        self._named[queue.queue_id] = label
        if former == str(queue.queue_id):
            self._forget(former)  # it is known by its name now
        self._polls.labels(label)
        for trouble in TROUBLES:
            self._failures.labels(label, trouble)
        return label

    def _forget(self, label: str) -> None:
        self._polls.remove(label)
        for trouble in TROUBLES:
            self._failures.remove(label, trouble)


class _Shown:
    """A collector of the newest overview."""

    def __init__(
        self,
        overview: Callable[[], Overview | None],
        hanging: Callable[[], Sequence[str]],
        dropped: Callable[[], int],
        *,
        labels: Labels,
        build: dict[str, str],
    ) -> None:
        """`build` identifies the build."""
        self._overview = overview
        self._hanging = hanging
        self._dropped = dropped
        self._labels = labels
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """Every gauge; those of an overview only when there is one."""
        yield InfoMetricFamily(f"{_PREFIX}_build", "Which build this is", value=self._build)
        yield CounterMetricFamily(
            f"{_PREFIX}_log_lines_dropped",
            "Lines of the log that were dropped because it was not read",
            self._dropped(),
        )
        overview = self._overview()
        if overview is not None:
            yield from _of_queues(self._by_label(overview), overview.taken_at)
            yield from _of_outbox(overview)
            yield from _of_worker(overview, loops=not self._hanging())

    def _by_label(self, overview: Overview) -> dict[str, list[QueueView]]:
        by_label: dict[str, list[QueueView]] = {}
        for queue in overview.queues:
            by_label.setdefault(self._labels.of(queue.polled.queue), []).append(queue)
        return by_label


def _of_queues(by_label: Mapping[str, list[QueueView]], now: datetime) -> Iterator[Metric]:
    """One value a label; queues that share one count as one: their sum, their oldest."""
    here = {label: [queue for queue in queues if queue.here and queue.is_known] for label, queues in by_label.items()}
    waiting = {label: sum(queue.waiting for queue in queues) for label, queues in here.items() if queues}
    yield _gauge("queue_waiting", "Runs that wait for review", "queue", waiting)
    unusable = {label: sum(queue.unusable for queue in queues) for label, queues in here.items() if queues}
    yield _gauge("queue_unusable_rows", "Rows of the last listing that could not be used", "queue", unusable)
    disagreed = {label: _disagreed(queues) for label, queues in here.items() if queues}
    known = {label: count for label, count in disagreed.items() if count is not None}
    yield _gauge("queue_disagreed", "Completed runs on which reviewers disagree, as far as known", "queue", known)
    completed = {label: [queue.polled.completed_at for queue in queues] for label, queues in by_label.items()}
    polled_at = {label: min(at.timestamp() if at else 0.0 for at in times) for label, times in completed.items()}
    yield _gauge("queue_completed_timestamp_seconds", "When a poll was last complete, 0 for never", "queue", polled_at)
    standings = {
        label: counted
        for label, queues in by_label.items()
        if (counted := [queue.standing for queue in queues if queue.standing])
    }
    stale = {label: sum(standing.stale for standing in counted) for label, counted in standings.items()}
    yield _gauge("queue_stale", "Runs that wait longer than WORKER_STALE_AFTER", "queue", stale)
    oldest = {
        label: max(_age(standing.oldest_since, now) for standing in counted) for label, counted in standings.items()
    }
    yield _gauge("queue_oldest_seconds", "How long the oldest run has waited, 0 where none does", "queue", oldest)


def _disagreed(queues: Sequence[QueueView]) -> int | None:
    counts = [count for queue in queues if (count := queue.polled.queue.disagreed) is not None]
    return sum(counts) if counts else None


def _of_outbox(overview: Overview) -> Iterator[Metric]:
    count = {state.value: 0 for state in (State.PENDING, State.SENDING, State.UNKNOWN, State.HELD, State.DEAD)}
    count |= {backlog.state.value: backlog.count for backlog in overview.backlog}
    yield _gauge("outbox", "Deliveries that need something still, by state", "state", count)
    live = [backlog.oldest_at for backlog in overview.backlog if backlog.state is not State.DEAD]
    oldest = _age(min(live, default=None), overview.taken_at)
    yield GaugeMetricFamily(f"{_PREFIX}_outbox_oldest_seconds", "Age of the oldest live delivery, 0 for none", oldest)
    yield GaugeMetricFamily(
        f"{_PREFIX}_held_destinations", "Destinations not posted to at present", len(overview.pauses)
    )


def _of_worker(overview: Overview, *, loops: bool) -> Iterator[Metric]:
    checks = {"loops": int(loops)} | {check.name: int(check.ok) for check in readiness(overview)}
    yield _gauge("ready", "Whether a condition of /readyz holds", "check", checks)
    wrong = Counting(reason.kind for reason in reasons(overview))
    counts = dict.fromkeys((*KINDS, overview.advice.unanswered), 0) | wrong
    yield _gauge("reasons", "Reasons why `status` ends with 1, by kind", "kind", counts)
    looked_at = overview.taken_at.timestamp()
    yield GaugeMetricFamily(f"{_PREFIX}_looked_timestamp_seconds", "When these gauges were taken", looked_at)
    if overview.api is None:
        return
    yield InfoMetricFamily(f"{_PREFIX}_langsmith_api", "Which listing is in use", value={"api": overview.api.name})
    if overview.api.sunset_at is not None:
        days = (overview.api.sunset_at - overview.taken_at).total_seconds() / 86_400
        yield GaugeMetricFamily(f"{_PREFIX}_langsmith_api_sunset_days", "Days until LangSmith ends it", days)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else (now - since).total_seconds()


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, labels=[label])
    for value in sorted(values):
        family.add_metric([value], values[value])
    return family
