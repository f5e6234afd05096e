"""Shows the newest state of the worker to Prometheus, as gauges."""

from __future__ import annotations

from collections import Counter as Counting
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from worker.core.owed import State
from worker.core.status.reasons import KINDS, readiness, reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from worker.core.model import Queue
    from worker.core.overview import Overview, QueueView

NAME_PREFIX = "review_notifier"


class Shown:
    """A collector of the newest overview."""

    def __init__(
        self,
        overview: Callable[[], Overview | None],
        hanging: Callable[[], Sequence[str]],
        dropped: Callable[[], int],
        *,
        label_of: Callable[[Queue], str],
        build: dict[str, str],
    ) -> None:
        """`label_of` gives the label of a queue; `build` identifies the build."""
        self._overview = overview
        self._hanging = hanging
        self._dropped = dropped
        self._label_of = label_of
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """Every gauge; those of an overview only when there is one."""
        yield InfoMetricFamily(f"{NAME_PREFIX}_build", "Which build this is", value=self._build)
        yield CounterMetricFamily(
            f"{NAME_PREFIX}_log_lines_dropped",
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
            by_label.setdefault(self._label_of(queue.polled.queue), []).append(queue)
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
    held = {
        label: max(queue.held_until.timestamp() if queue.held_until else 0.0 for queue in queues)
        for label, queues in here.items()
        if queues
    }
    yield _gauge(
        "queue_held_until_timestamp_seconds", "When what is held of a queue may go out, 0 for nothing", "queue", held
    )
    completed = {label: [queue.polled.completed_at for queue in queues] for label, queues in by_label.items()}
    polled_at = {label: min(at.timestamp() if at else 0.0 for at in times) for label, times in completed.items()}
    yield _gauge("queue_completed_timestamp_seconds", "When a poll was last complete, 0 for never", "queue", polled_at)
    standings = {
        label: counted
        for label, queues in by_label.items()
        if (counted := [queue.standing for queue in queues if queue.standing])
    }
    expiring = {label: sum(standing.expiring for standing in counted) for label, counted in standings.items()}
    yield _gauge(
        "queue_expiring",
        "Runs whose traces expire within three days, after which no one can review them",
        "queue",
        expiring,
    )
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
    yield GaugeMetricFamily(
        f"{NAME_PREFIX}_outbox_oldest_seconds", "Age of the oldest live delivery, 0 for none", oldest
    )
    yield GaugeMetricFamily(
        f"{NAME_PREFIX}_held_destinations", "Destinations not posted to at present", len(overview.pauses)
    )


def _of_worker(overview: Overview, *, loops: bool) -> Iterator[Metric]:
    checks = {"loops": int(loops)} | {check.name: int(check.ok) for check in readiness(overview)}
    yield _gauge("ready", "Whether a condition of /readyz holds", "check", checks)
    wrong = Counting(reason.kind for reason in reasons(overview))
    counts = dict.fromkeys((*KINDS, overview.advice.unanswered), 0) | wrong
    yield _gauge("reasons", "Reasons why `status` ends with 1, by kind", "kind", counts)
    looked_at = overview.taken_at.timestamp()
    yield GaugeMetricFamily(f"{NAME_PREFIX}_looked_timestamp_seconds", "When these gauges were taken", looked_at)
    if overview.api is None:
        return
    yield InfoMetricFamily(f"{NAME_PREFIX}_langsmith_api", "Which listing is in use", value={"api": overview.api.name})
    if overview.api.sunset_at is not None:
        days = (overview.api.sunset_at - overview.taken_at).total_seconds() / 86_400
        yield GaugeMetricFamily(f"{NAME_PREFIX}_langsmith_api_sunset_days", "Days until LangSmith ends it", days)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else (now - since).total_seconds()


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{NAME_PREFIX}_{name}", meaning, labels=[label])
    for value in sorted(values):
        family.add_metric([value], values[value])
    return family
