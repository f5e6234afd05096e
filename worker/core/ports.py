"""What the core asks of the world, and the errors that the world answers with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.leases import Assignment, Task
    from worker.core.message import Message
    from worker.core.model import Facts, Fate, Id, Queue, Show, Snapshot, Unchanged
    from worker.core.owed import Receipt
    from worker.core.status.process import Area
    from worker.core.status.seen import Unseen


class Trouble(StrEnum):
    """Why there is no complete snapshot; decides how to go on."""

    UNREACHABLE = "unreachable"  # refused, timed out, broken off, 5xx
    THROTTLED = "throttled"  # 429
    REFUSED = "refused"  # the key is wrong or may not: 401/403 that the source itself answered
    MISSING = "missing"  # there is no such queue (or no such route)
    UNLAWFUL = "unlawful"  # an answer that breaks the specification, or is too large


class SourceError(Exception):
    """No complete snapshot. `str()` says what happened and the remedy, without any secret or content of a run."""

    def __init__(self, text: str, trouble: Trouble, *, retry_after: timedelta | None = None) -> None:
        """Keep what the loop decides on; `retry_after` is the server's wish, as it was given."""
        super().__init__(text)
        self.trouble = trouble
        self.retry_after = retry_after


class Outcome(StrEnum):
    """What is known of a send, find or edit that did not succeed; each has a treatment of its own."""

    RETRY = "retry"  # surely not posted, worth another try
    THROTTLED = "throttled"  # surely not posted; holds for that method in the workspace
    UNKNOWN = "unknown"  # may be posted
    MESSAGE = "message"  # surely not posted; this content never will be
    DESTINATION = "destination"  # surely not posted; nothing can be posted there at present
    TOKEN = "token"  # surely not posted; nothing can be posted anywhere at present  # noqa: S105
    EDIT = "edit"  # this message cannot be edited any more
    BLIND = "blind"  # looking up is not possible here (scope missing, not a member)
    NOT_ASKED = "not_asked"  # the probe is not possible here: only a post can tell whether posts get through


class DeliveryError(Exception):
    """A send, find or edit without a receipt. `code` is the service's error or our own; `str()` has no secret."""

    def __init__(self, text: str, outcome: Outcome, *, code: str = "", retry_after: timedelta | None = None) -> None:
        """Keep what the loop decides on; `retry_after` is the service's wish, as it was given."""
        super().__init__(text)
        self.outcome = outcome
        self.code = code or outcome.value
        self.retry_after = retry_after


DATABASE_URL = "the database's URL"
"""The setting that names the database, as errors call it; whoever shows them puts in the name that people know."""


class StoreError(Exception):
    """The database cannot be used at present (locked, full, gone). The work is tried again at the next tick."""


class RefusedError(StoreError):
    """The database refuses what the program has to do, until somebody changes that there. `str()` says the remedy.

    At a start it is exit status 78; a service that runs already goes on trying, since it may be granted again.
    """


class Fenced(Exception):  # noqa: N818  it is no error: another worker goes on
    """An assignment is not ours any more. Nothing was written."""


class ConfigError(Exception):
    """A setting or the database makes the start impossible. `str()` names it and the remedy; exit status 78."""


class Clock(Protocol):
    """Time as the worker sees it."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...


class Incidents(Protocol):
    """Where a part of the worker announces what it notices to be wrong with the worker. Thread-safe, never raises.

    What stands here is logged, reported to the operators, and a reason for `status` to end with 1 and for `/readyz`
    not to be ready; its end is logged and reported too.
    """

    def begin(self, kind: str, area: Area, text: str, fix: str, *, subject: str = "") -> None:
        """Something is wrong; called again while it lasts, only the words are replaced.

        `kind` is a lower-case word that metrics count by; with the `subject` (a queue's id, a channel) it tells one
        from another. `text` says what is wrong and `fix` what to do, both without a full stop; names and errors in
        them stay raw. Let the words stay the same while nothing changes: each change is written to the database.
        """
        ...

    def end(self, kind: str, *, subject: str = "") -> None:
        """It does not hold, or no longer; cheap, to be called wherever that is seen, begun or not.

        After a restart this is what shows that an incident from before is over.
        """
        ...


class Source(Protocol):
    """Where queue runs come from. Thread-safe. Every method raises SourceError.

    An id that has the form of a UUID is one (`core.model.id_of`); any other is text.
    """

    @overload
    def snapshot(self, queue_id: Id, fields: frozenset[Show], concluded: None = None) -> Snapshot: ...
    @overload
    def snapshot(self, queue_id: Id, fields: frozenset[Show], concluded: object) -> Snapshot | Unchanged: ...
    def snapshot(self, queue_id: Id, fields: frozenset[Show], concluded: object = None) -> Snapshot | Unchanged:
        """Read one queue completely, with these fields of its runs, or raise: half a listing is no listing.

        `concluded` is the opaque value of the last listing of this queue that was written down, by this process; where
        the queue still looks like that the answer may be `Unchanged`. With None it is a Snapshot.
        """
        ...

    def fates(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:
        """How runs that left did so, the first ones first, within a budget of requests; UNKNOWN is an answer too.

        One that is left out could not be asked about now: it is worth asking again.
        """
        ...

    def queues(self) -> Sequence[Queue]:
        """Every queue that the key can see."""
        ...


class Descriptions(Protocol):
    """What a `bare` snapshot does not show of its runs; for sources that have such. Raises SourceError."""

    def facts(self, queue_id: Id, queue_run_ids: Collection[Id], *, show: frozenset[Show]) -> Mapping[Id, Facts]:
        """What may be shown of runs of the last snapshot, as far as it can be had within a budget of requests.

        One that is left out could not be asked about now: it is worth asking again.
        """
        ...


class Blindness(Protocol):
    """Whether the key sees what there is; for sources that can count what they do not show. Raises SourceError."""

    def blindness(self, queue_id: Id) -> Unseen | None:
        """Why nothing is seen of what is open in a queue whose listing is empty; None where nothing is open."""
        ...


def always() -> bool:
    """Say that it is never too late."""
    return True


@dataclass(frozen=True, slots=True)
class Limits:
    """How a notifier is called, and what it can take.

    `name` is the service as people write it. `pace` is the shortest time between two messages to one destination, from
    the end of one post to the beginning of the next; `edit_pace` that between two edits, whatever messages they are of.
    Where it cannot look up (`can_find`), a lost answer is treated as the settings say of what nobody can look up; where
    it cannot edit, no message is kept true; where it has no threads, every message stands in the channel itself.
    """

    name: str = "the notifier"
    pace: timedelta = timedelta(0)
    edit_pace: timedelta = timedelta(0)
    can_find: bool = True
    can_edit: bool = True
    can_thread: bool = True


class Notifier(Protocol):
    """Who gets told. Thread-safe. Every method raises DeliveryError.

    `in_time` is asked at the last moment before a request is written: where it says no, nothing is, and the outcome
    is RETRY. A process that stood still must not do what another may have done meanwhile.
    """

    @property
    def limits(self) -> Limits:
        """How it is called, and what it can take; always the same."""
        ...

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        """Post once; never re-sent by anything below this call."""
        ...

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Look for a post of ours that carries `message.key`, made at `since` or later. None: there is none now."""
        ...

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        """Replace what a post shows."""
        ...

    def probe(self) -> None:
        """Do nothing where the token is good; raise DeliveryError while it is not, or cannot be asked about."""
        ...

    def fingerprint(self, message: Message) -> str:
        """What the message shows, condensed: equal where an edit would change nothing. Ages do not count; no I/O."""
        ...


class Assignments(Protocol):
    """What this worker has to do at present. Thread-safe, and but for `renew` and `leave` without the database."""

    @property
    def is_shared(self) -> bool:
        """Whether there may be other workers beside this one."""
        ...

    @property
    def worker_id(self) -> UUID:
        """What tells this process from every other."""
        ...

    def of(self, queue_id: Id) -> Assignment | None:
        """The assignment under which a queue is polled, None where a worker is alone; Fenced where it is not ours."""
        ...

    def has(self, task: Task) -> bool:
        """Whether a task is ours."""
        ...

    def among(self, queue_ids: Collection[Id]) -> set[Id]:
        """Those of the queues that are ours to poll."""
        ...

    def renew(self, queue_ids: Collection[Id]) -> None:
        """Go on, where that is due, and share these queues, and every task, with the others. Raises StoreError."""
        ...

    def leave(self) -> None:
        """Give everything back, so that others go on at once. Raises StoreError."""
        ...
