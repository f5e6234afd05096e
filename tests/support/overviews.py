"""Overviews of a worker, of which a test names only what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.builders import DAY, MINUTE, NOON, queue
from worker.core.model import Polled
from worker.core.overview import Asked, Overview, QueueView
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def view(
    name: str = "Support QA",
    *,
    completed_at: datetime | None = NOON,
    failing_since: datetime | None = None,
    error: str = "",
    trouble: str = "",
    interval: timedelta = MINUTE,
    disagreed: int | None = None,
    **more: Any,
) -> QueueView:
    """A queue that is polled well; one that fails since some time is unreachable unless said otherwise."""
    if failing_since is not None:
        trouble, error = trouble or "unreachable", error or "cannot connect"
    polled = Polled(queue(name, disagreed=disagreed), NOON, completed_at, failing_since, error)
    return QueueView(polled, interval, trouble=trouble, **more)


def overview(*queues: QueueView, taken_at: datetime = NOON, **more: Any) -> Overview:
    """One look at a worker that began a day ago, and whose token Slack has taken."""
    return Overview(
        taken_at, queues, **{"started_at": taken_at - DAY, "asked": Asked(taken_at), "advice": ADVICE, **more}
    )
