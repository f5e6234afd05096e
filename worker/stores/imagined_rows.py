"""What the store of a simulation holds of a queue, and of a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from worker.core.outbox import ready_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from worker.core.direct_inbox import About
    from worker.core.model import Id, Kind, Polled, Review, Window
    from worker.core.owed import Delivery, Destination


class Outages(Struct, frozen=True):
    """When nothing got through to a destination."""

    of: Mapping[Destination, Sequence[tuple[datetime, datetime]]]

    def goes_at(self, delivery: Delivery, now: datetime | None = None) -> datetime:
        """When a delivery that is not sent by `now` can be: when it is ready, or at the end of an outage then."""
        at = ready_at(delivery) if now is None else max(ready_at(delivery), now)
        return next((end for begin, end in self.of.get(delivery.destination, ()) if begin <= at < end), at)


NO_OUTAGES = Outages({})


class ImaginedDelivery(Struct):
    """A delivery, its place in the outbox, and what it speaks of, each with what it is in the message for.

    `passed` are those of which an owner is to hear.
    """

    delivery: Delivery
    place: int
    spoken: dict[About, Kind]
    left_out: set[About] = field(default_factory=set)
    passed: set[About] = field(default_factory=set)

    @property
    def speaks_of(self) -> dict[About, Kind]:
        """The runs that its message shows, each with what it is in it for."""
        return {about: kind for about, kind in self.spoken.items() if about not in self.left_out}

    @property
    def queue_id(self) -> Id | None:
        """The queue that it is about; None for a direct message."""
        return self.delivery.queue.queue_id if self.delivery.queue else None


class ImaginedQueue(Struct):
    """What is remembered of a queue."""

    polled: Polled
    reviews: dict[Id, dict[About, Review]] = field(default_factory=dict)
    waiting: dict[About, Review] = field(default_factory=dict)
    listing: str = ""
    revision: int = 0
    window: Window | None = None
    muted_until: datetime | None = None
