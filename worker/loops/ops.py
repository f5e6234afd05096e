"""The worker's own trouble, told to the operators: once when it begins, once when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid5

import structlog

from worker.core.model import Delivery, Kind
from worker.core.plan import NAMESPACE

if TYPE_CHECKING:
    from worker.core.model import Pause
    from worker.core.ports import Clock, Store

log = structlog.get_logger(__name__)

EVERYWHERE = "*"
"""The channel of a pause that holds for every one."""


class Ops:
    """Owes messages to the operators' channel; says nothing where there is none."""

    def __init__(self, *, store: Store, clock: Clock, channel: str | None) -> None:
        """`channel` is None where the operators want no messages."""
        self._store = store
        self._clock = clock
        self._channel = channel

    def held(self, pause: Pause, error: str) -> None:
        """A destination cannot be posted to."""
        where = _where(pause)
        remedy = "Nothing is lost: what is owed there is kept and sent when it works again."
        self.tell(f"Posting to {where} fails: {error}. {remedy}", name=f"held/{pause.channel}/{pause.since}")

    def works_again(self, pause: Pause) -> None:
        """A destination can be posted to again."""
        where = _where(pause)
        text = f"Posting to {where} works again. It failed since {pause.since:%Y-%m-%d %H:%M} UTC ({pause.reason})."
        self.tell(text, name=f"works/{pause.channel}/{pause.since}")

    def dead(self, delivery: Delivery) -> None:
        """A delivery was given up."""
        text = (
            f"A notice ({delivery.kind}) for {delivery.channel} could not be delivered: {delivery.last_error}. "
            f"When the reason is mended, run `review-notifier retry {delivery.key}`."
        )
        if delivery.kind is not Kind.OPS:
            self.tell(text, name=f"dead/{delivery.key}/{delivery.attempts}")

    def tell(self, text: str, *, name: str) -> None:
        """Owe one message; `name` identifies the trouble, so that it is told once."""
        if self._channel is None:
            return
        now = self._clock.now()
        key = uuid5(NAMESPACE, f"ops/{name}")
        self._store.owe(Delivery(key=key, kind=Kind.OPS, channel=self._channel, created_at=now, due_at=now, text=text))


def _where(pause: Pause) -> str:
    return "Slack" if pause.channel == EVERYWHERE else pause.channel
