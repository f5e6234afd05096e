"""Forgets what is old and gives its space back, so that the database does not grow with the years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from datetime import timedelta

    from worker.core.ports import Clock
    from worker.core.roles import Upkeep

log = structlog.get_logger(__name__)


class Housekeep:
    """Prunes settled deliveries and closed reviews. To be called each hour or so."""

    def __init__(self, *, store: Upkeep, clock: Clock, keep_deliveries: timedelta, keep_reviews: timedelta) -> None:
        """How long a settled delivery, and a closed review, is kept."""
        self._store = store
        self._clock = clock
        self._keep_deliveries = keep_deliveries
        self._keep_reviews = keep_reviews

    def __call__(self) -> int:
        """Forget what is too old; how many rows went. Raises StoreError: the next call goes on where this one ended."""
        now = self._clock.now()
        pruned = self._store.prune(settled_before=now - self._keep_deliveries, closed_before=now - self._keep_reviews)
        self._store.maintain()
        if pruned:
            log.info("pruned", rows=pruned)
        return pruned
