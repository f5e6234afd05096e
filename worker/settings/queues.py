"""What can be set for one queue, and for all of them. Pure."""

import dataclasses
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainValidator

from worker.core.model import RemindIn, Show
from worker.settings import ids, values
from worker.settings.names import Name


class OnUnknown(StrEnum):
    """What happens to a delivery whose lost answer cannot be looked up."""

    RESEND = "resend"
    HOLD = "hold"


@dataclasses.dataclass(frozen=True, slots=True)
class QueueSettings:
    """What holds for one queue, everything filled in.

    `queue` is its id or name as given (empty in the defaults), `queue_id` its id where it was given by id. `channel`
    and `escalate_to` are empty only where no channel is set and the command needs none.
    """

    queue: str
    queue_id: UUID | None
    channel: str
    poll_interval: timedelta
    stale_after: timedelta | None
    remind_every: timedelta | None
    escalate_after: timedelta | None
    escalate_to: str
    escalate_mention: tuple[str, ...]
    remind_reserved: bool
    show: frozenset[Show]
    remind_in: RemindIn
    edit_for: timedelta | None
    on_unknown: OnUnknown


DurationOrNever = Annotated[timedelta | None, PlainValidator(values.duration_or_never)]
Interval = Annotated[timedelta, PlainValidator(values.poll_interval)]
Channel = Annotated[str, PlainValidator(ids.channel)]
Mentions = Annotated[tuple[str, ...], PlainValidator(ids.mentions)]
Flag = Annotated[bool, PlainValidator(values.boolean)]
Shown = Annotated[frozenset[Show], PlainValidator(values.set_of(Show))]
Place = Annotated[RemindIn, PlainValidator(values.one_of(RemindIn))]
Remedy = Annotated[OnUnknown, PlainValidator(values.one_of(OnUnknown))]


class PerQueue(BaseModel):
    """What may be said of one queue, or of all: the fields are the keys of `[[queues]]` and `[defaults]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    queue: Annotated[str, PlainValidator(ids.table_queue)] = ""
    channel: Annotated[Channel, Name("WORKER_CHANNEL")] = ""
    poll_interval: Annotated[Interval, Name("WORKER_POLL_INTERVAL")] = timedelta(seconds=60)
    stale_after: Annotated[DurationOrNever, Name("WORKER_STALE_AFTER")] = timedelta(hours=4)
    remind_every: Annotated[DurationOrNever, Name("WORKER_REMIND_EVERY")] = timedelta(days=1)
    escalate_after: Annotated[DurationOrNever, Name("WORKER_ESCALATE_AFTER")] = None
    escalate_to: Annotated[Channel, Name("WORKER_ESCALATE_TO")] = ""
    escalate_mention: Annotated[Mentions, Name("WORKER_ESCALATE_MENTION")] = ()
    remind_reserved: Annotated[Flag, Name("WORKER_REMIND_RESERVED")] = False
    show: Annotated[Shown, Name("WORKER_SHOW")] = frozenset({Show.NAME, Show.TYPE, Show.AGE, Show.TAGS})
    remind_in: Annotated[Place, Name("WORKER_REMIND_IN")] = RemindIn.CHANNEL
    edit_for: Annotated[DurationOrNever, Name("WORKER_EDIT_FOR")] = timedelta(days=7)
    on_unknown: Annotated[Remedy, Name("WORKER_ON_UNKNOWN")] = OnUnknown.RESEND

    def overridden_by(self, table: Self) -> Self:
        """These, but where the table of one queue says otherwise."""
        return self.model_copy(update={key: getattr(table, key) for key in table.model_fields_set})

    def filled_in(self) -> QueueSettings:
        """These with what follows from them: escalations go to the queue's channel unless told otherwise."""
        given = dict(self) | {"escalate_to": self.escalate_to or self.channel}
        return QueueSettings(queue_id=ids.queue_id(self.queue), **given)
