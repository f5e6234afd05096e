"""Counts the work for Prometheus, and shows the state of the worker; labels are bounded."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

from worker.core.actions import Act, Refusal
from worker.core.model import Fate, Kind
from worker.core.overview import DONE
from worker.core.owed import State
from worker.core.ports import STORE, Trouble
from worker.web.gauges import NAME_PREFIX, Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from worker.core.model import Id, Queue
    from worker.core.overview import Overview

_MOST_QUEUES = 200
OTHER = "other"
LONGEST_NAME = 80
POLL_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_HOUR = 3600
WAIT_BUCKETS = (300, 900, 1800, *(_HOUR * hours for hours in (1, 2, 4, 8, 16, 24, 40, 80, 168, 336)))
"""From minutes to a fortnight: a working day of eight hours has an edge of its own, as has a week of five of them."""


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
            f"{NAME_PREFIX}_poll_seconds", "How long a poll took", buckets=POLL_BUCKETS, registry=self._registry
        )
        self._deliveries = self._counter(
            "deliveries", "Steps of deliveries, by kind and the state that they led to", "kind", "outcome"
        )
        self._edits = self._counter("edits", "Edits of posted messages that were due, by outcome", "outcome")
        self._throttled = self._counter("throttled", "Requests to wait, by the service that asked", "service")
        self._closed = self._counter("reviews_closed", "Runs that left their queue, by how they left", "queue", "fate")
        self._waited = Histogram(
            f"{NAME_PREFIX}_time_to_review_seconds",
            "Open time up to the first review of a run",
            ("queue",),
            buckets=WAIT_BUCKETS,
            registry=self._registry,
        )
        self._calls = self._counter(
            "calls", "People whom a message called, or whose budget of the day spared", "outcome"
        )
        self._acts = self._counter(
            "acts", "Acts of people through this process, by what came of them", "act", "outcome"
        )
        self._preset()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        build = {"version": version, "commit": commit}
        self._registry.register(Shown(overview, hanging, dropped, label_of=self._labels.of, build=build))

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

    def closed(self, queue: Queue, fate: Fate) -> None:
        """See `Meter.closed`."""
        self._closed.labels(self._preset_queue(queue), fate.value).inc()

    def waited(self, queue: Queue, wait: timedelta) -> None:
        """See `Meter.waited`."""
        self._waited.labels(self._preset_queue(queue)).observe(wait.total_seconds())

    def called(self, made: int, spared: int) -> None:
        """See `Meter.called`."""
        self._calls.labels("made").inc(made)
        self._calls.labels("spared").inc(spared)

    def acted(self, act: Act, outcome: str) -> None:
        """See `Meter.acted`."""
        self._acts.labels(act.value, outcome).inc()

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        if seen := self._overview():
            for queue in seen.queues:
                self._preset_queue(queue.polled.queue)
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"{NAME_PREFIX}_{name}", meaning, labels, registry=self._registry)

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
        for outcome in ("made", "spared"):
            self._calls.labels(outcome)
        for act in Act:
            for outcome in (DONE, *(refusal.value for refusal in Refusal)):
                self._acts.labels(act.value, outcome)

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
        for fate in Fate:
            self._closed.labels(label, fate.value)
        self._waited.labels(label)
        return label

    def _forget(self, label: str) -> None:
        self._polls.remove(label)
        for trouble in TROUBLES:
            self._failures.remove(label, trouble)
        for fate in Fate:
            self._closed.remove(label, fate.value)
        self._waited.remove(label)
