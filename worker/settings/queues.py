"""What can be set for one queue, and for all of them. Pure."""

from datetime import timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainValidator

from worker.core.delivery import OnUnknown
from worker.core.model import RemindIn, Show
from worker.settings import ids, values
from worker.settings.names import Name

DurationOrNever = Annotated[timedelta | None, PlainValidator(values.duration_or_never)]
Interval = Annotated[timedelta, PlainValidator(values.poll_interval)]
Channel = Annotated[str, PlainValidator(ids.channel)]
Mentions = Annotated[tuple[str, ...], PlainValidator(ids.mentions)]
Flag = Annotated[bool, PlainValidator(values.boolean)]
Shown = Annotated[frozenset[Show], PlainValidator(values.set_of(Show))]
Place = Annotated[RemindIn, PlainValidator(values.one_of(RemindIn))]
Remedy = Annotated[OnUnknown, PlainValidator(values.one_of(OnUnknown))]


class PerQueue(BaseModel):
    """The settings of one queue, or of all: the fields are the keys of `[[queues]]` and `[defaults]`.

    `queue` is the id or name of the queue, empty in what holds for all. `channel` is empty only where none is set and
    the command needs none.
    """

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

    def filled_in(self) -> Self:
        """These with what follows from them: escalations go to the queue's channel unless another one is set."""
        return self if self.escalate_to else self.model_copy(update={"escalate_to": self.channel})

    @property
    def queue_id(self) -> UUID | None:
        """The queue's id, where it is named by its id."""
        return ids.queue_id(self.queue)
