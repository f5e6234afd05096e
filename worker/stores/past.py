"""What is remembered of a time that has passed: the reviews, the acts, the people, and what was posted."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.model import Kind, Review
from worker.core.simulation import Past, gaps_of, outages_of
from worker.stores.acts import acts_since
from worker.stores.history import every_hour
from worker.stores.people import every_card
from worker.stores.reviews import REVIEW_COLUMNS, every_poll
from worker.stores.schema import CALLS, DELIVERIES, DELIVERY_REVIEWS, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.model import Id
    from worker.core.owed import Destination

_IN_CHANNELS = (Kind.BASELINE, Kind.ANNOUNCEMENT, Kind.REMINDER, Kind.ESCALATION)


def recall_past(connection: Connection, warm_at: datetime, begin: datetime, end: datetime) -> Past:
    """The past that a policy is played on, from `warm_at` on; it counts from `begin` to `end`."""
    return Past(
        warm_at,
        begin,
        end,
        polls=[polled for polled in every_poll(connection) if polled.baselined_at is not None],
        reviews=_reviews(connection, warm_at, end),
        cards=every_card(connection),
        records=acts_since(connection, warm_at),
        sent=_sent(connection, begin, end),
        calls=_calls(connection, begin, end),
        gaps={queue_id: gaps_of(hours) for queue_id, hours in every_hour(connection, warm_at, end, None).items()},
        outages=outages_of(_posted(connection, warm_at, end)),
    )


def _posted(connection: Connection, begin: datetime, end: datetime) -> list[tuple[Destination, datetime, datetime]]:
    """When each message in a channel was owed, and when it was known to be posted."""
    query = sa.select(DELIVERIES.c.destination, DELIVERIES.c.created_at, DELIVERIES.c.settled_at).where(
        DELIVERIES.c.kind.in_(_IN_CHANNELS),
        DELIVERIES.c.receipt_ts.is_not(None),
        DELIVERIES.c.settled_at >= begin,
        DELIVERIES.c.settled_at < end,
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _reviews(connection: Connection, warm_at: datetime, end: datetime) -> Mapping[Id, list[Review]]:
    """The reviews of each queue that were open at an instant or came later."""
    was_open = sa.or_(REVIEWS.c.closed_at.is_(None), REVIEWS.c.closed_at > warm_at)
    query = sa.select(REVIEWS.c.queue_id, *REVIEW_COLUMNS).where(was_open, REVIEWS.c.first_seen_at < end)
    found: defaultdict[Id, list[Review]] = defaultdict(list)
    for queue_id, *row in connection.execute(query.order_by(REVIEWS.c.first_seen_at, REVIEWS.c.review_id)):
        found[queue_id].append(Review(*row))
    return found


def _sent(connection: Connection, begin: datetime, end: datetime) -> Mapping[Id, int]:
    """How many messages about each queue were posted in channels."""
    query = (
        sa.select(REVIEWS.c.queue_id, DELIVERIES.c.delivery_id)
        .select_from(DELIVERIES)
        .join(DELIVERY_REVIEWS)
        .join(REVIEWS)
        .where(
            DELIVERIES.c.kind.in_(_IN_CHANNELS),
            DELIVERIES.c.receipt_ts.is_not(None),
            DELIVERIES.c.attempted_at >= begin,
            DELIVERIES.c.attempted_at < end,
        )
        .distinct()
    )
    return Counter(queue_id for queue_id, _ in connection.execute(query))


def _calls(connection: Connection, begin: datetime, end: datetime) -> Mapping[str, int]:
    """How many messages called each person, by a mention or directly."""
    query = (
        sa.select(CALLS.c.called, sa.func.count())
        .join(DELIVERIES)
        .where(DELIVERIES.c.receipt_ts.is_not(None), CALLS.c.posted_at >= begin, CALLS.c.posted_at < end)
        .group_by(CALLS.c.called)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
