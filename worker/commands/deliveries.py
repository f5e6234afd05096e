"""The commands about the outbox: `deliveries` shows it, `retry` makes one delivery pending again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from worker.app import try_again
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.startup import DATABASE, opened, start
from worker.commands.status import read_status
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import Kind
from worker.core.owed import NEVER, State
from worker.core.text import day_time_in
from worker.rules import rules_for
from worker.stores import outbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.calendar import Calendar
    from worker.core.owed import Delivery

_SHOWN = 5
"""The number of keys that are named where several begin in the same way."""


def deliveries(*, state: State | None, limit: int, as_json: bool) -> None:
    """Show the outbox."""
    settings = start(DATABASE)
    with opened(settings) as store:
        found, now = store.deliveries(state, limit), store.now(SystemClock())
    if as_json:
        tables.print_json({"deliveries": [tables.delivery_json(delivery) for delivery in found]})
    else:
        tables.print_deliveries(found, now)


def retry(beginning: str) -> None:
    """Make a delivery pending again, and let paused destinations be tried at once. Raises RetryError."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        delivery = _one(store.search(partial(outbox.by_beginning, beginning=beginning)), beginning)
        # First: a pause that goes on would hold the delivery again at once.
        try_again(store, now)
        if not store.retry(delivery.key, now):
            raise RetryError(f"the delivery {delivery.key} has changed just now; see `review-notifier deliveries`")
        runs = bool(read_status(settings, store, now).services)
    calendar = ALWAYS_OPEN
    if delivery.queue is not None:
        calendar = rules_for(settings, SystemClock())(delivery.queue).policy.calendar_of(delivery.kind)
    what_next = _next(delivery, calendar, now, runs=runs)
    tables.say(f"{delivery.kind} {delivery.key} for {delivery.destination.place} is pending again.", what_next)


class RetryError(Exception):
    """No single delivery is meant, or it cannot be tried again. `str()` says what there is instead."""


def _one(found: Sequence[Delivery], beginning: str) -> Delivery:
    """The delivery that is meant: of several whose keys begin so, the only one that is dead or held."""
    candidates = [delivery for delivery in found if delivery.state in {State.DEAD, State.HELD}]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        keys = ", ".join(str(delivery.key) for delivery in candidates[:_SHOWN])
        raise RetryError(f"{len(candidates)} dead or held deliveries begin with {beginning}: {keys}; give more of one")
    if len(found) == 1:
        raise RetryError(f"the delivery {found[0].key} is {found[0].state}: only a dead or held one can be tried again")
    raise RetryError(f"no dead or held delivery has the key {beginning!r}; see `review-notifier deliveries`")


def _next(delivery: Delivery, calendar: Calendar, now: datetime, *, runs: bool) -> str:
    """The sentences about what happens next."""
    who = "The service posts it" if runs else "No service is running: the next `run` or `poll` posts it"
    if not calendar.may_post(now):
        who = f"It is held until {day_time_in(calendar.opens(now), calendar.zone)}. {who} then"
    elif runs:
        who += " within seconds"
    withdrawn = "" if delivery.kind is Kind.OPS else ", or withdraws it where every run was reviewed meanwhile"
    doubt = " If the lost attempt did arrive, it is seen twice." if delivery.due_at >= NEVER else ""
    return f"{who}{withdrawn}.{doubt}"
