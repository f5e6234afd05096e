"""The ports: what the core needs from the world, and the errors that it gets from there. Pure."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, overload

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.directory import Account
    from worker.core.leases import Assignment, Renewal, Task
    from worker.core.message import Message
    from worker.core.model import Difference, Facts, Fate, Field, Id, Queue, Reviewer, Snapshot, Traits, Unchanged
    from worker.core.overview import Area, LinkState
    from worker.core.owed import Receipt
    from worker.core.worklist import Worklist


class Trouble(StrEnum):
    """The reason why there is no complete snapshot; it decides how to go on."""

    UNREACHABLE = "unreachable"  # refused, timed out, broken off, 5xx
    THROTTLED = "throttled"  # 429
    REFUSED = "refused"  # the key is wrong or lacks a right: 401/403 from the source itself, not from a proxy
    MISSING = "missing"  # there is no such queue (or no such route)
    UNLAWFUL = "unlawful"  # an answer that breaks the specification, or is too large


class SourceError(Exception):
    """No complete snapshot. `str()` says what happened and the fix, without any secret or content of a run."""

    def __init__(self, text: str, trouble: Trouble, *, retry_after: timedelta | None = None) -> None:
        """Keep the values that the loop decides by; `retry_after` is the server's wish, as it was given."""
        super().__init__(text)
        self.trouble = trouble
        self.retry_after = retry_after


class StoppingError(SourceError):
    """A question that was broken off, or not asked, because the program stops: no failure of the source."""


class Outcome(StrEnum):
    """The outcome of a send, find or edit that did not succeed; each has a treatment of its own."""

    RETRY = "retry"  # surely not posted, worth another attempt
    THROTTLED = "throttled"  # surely not posted; holds for that method in the workspace
    UNKNOWN = "unknown"  # may be posted
    MESSAGE = "message"  # surely not posted; this content never will be
    DESTINATION = "destination"  # surely not posted; nothing can be posted there at present
    TOKEN = "token"  # surely not posted; nothing can be posted anywhere at present  # noqa: S105
    EDIT = "edit"  # this message cannot be edited any more
    BLIND = "blind"  # looking up is not possible here (scope missing, not a member)
    NOT_ASKED = "not_asked"  # the probe is not possible here: only a post can show whether posts get through


class DeliveryError(Exception):
    """A send, find or edit without a receipt. `code` is the service's error or our own; `str()` has no secret."""

    def __init__(self, text: str, outcome: Outcome, *, code: str = "", retry_after: timedelta | None = None) -> None:
        """Keep the values that the loop decides by; `retry_after` is the service's wish, as it was given."""
        super().__init__(text)
        self.outcome = outcome
        self.code = code or outcome.value
        self.retry_after = retry_after


DATABASE_URL = "the database's URL"
"""The words by which errors call the setting of the database; commands replace them by the name of that setting."""


class StoreError(Exception):
    """The database cannot be used at present (locked, full, gone). The work is done again at the next tick."""


class RefusedError(StoreError):
    """The database refuses the program a right, until somebody grants it there. `str()` says the fix.

    At a start it leads to exit status 78; a service that runs already tries again, since the right may be granted.
    """


class Fenced(Exception):  # noqa: N818  it is no error: another worker goes on
    """An assignment is not ours any more. Nothing was written."""


class ConfigError(Exception):
    """A setting or the database makes the start impossible. `str()` names it and the fix; exit status 78."""


class Clock(Protocol):
    """Time as the worker sees it."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...


class Incidents(Protocol):
    """The place where a part of the worker announces a problem that it notices. Thread-safe, never raises.

    A problem is logged and reported to the operators, and so is its end. While it lasts, `status` ends with 1 and
    `/readyz` is not ready.
    """

    def begin(self, kind: str, area: Area, text: str, fix: str, *, subject: str = "") -> None:
        """Announce a problem; a second call while it lasts only replaces the words.

        `kind` is a lower-case word that metrics count by; with the `subject` (a queue's id, a channel) it identifies
        the problem. `text` says what is wrong and `fix` what to do, both without a full stop; names and errors in them
        stay raw. Keep the words the same while nothing changes: each change is written to the database.
        """
        ...

    def end(self, kind: str, *, subject: str = "") -> None:
        """Announce that there is no such problem, or no longer. Cheap: call it wherever that is seen, begun or not.

        After a restart only this shows that an incident from before is over.
        """
        ...


class Source(Protocol):
    """The service that queue runs come from. Thread-safe. Every method raises SourceError.

    An id in the form of a UUID is one (`core.model.id_of`); any other is text.
    """

    @overload
    def snapshot(self, queue_id: Id, fields: frozenset[Field], concluded: None = None) -> Snapshot: ...
    @overload
    def snapshot(
        self, queue_id: Id, fields: frozenset[Field], concluded: object
    ) -> Snapshot | Unchanged | Difference: ...
    def snapshot(
        self, queue_id: Id, fields: frozenset[Field], concluded: object = None
    ) -> Snapshot | Unchanged | Difference:
        """Read one queue completely, with these fields of its runs, or raise: half a listing is no listing.

        `concluded` is the opaque value of this queue's last listing that was written down by this process. Where the
        queue still looks the same, the answer may be `Unchanged`, else the `Difference` alone; for None it is always a
        Snapshot.
        """
        ...

    def fates(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:
        """The fates of runs that left, the first ones first, within a budget of requests; UNKNOWN is an answer, too.

        A run that is missing in the answer could not be asked about now: ask again later.
        """
        ...

    def queues(self) -> Sequence[Queue]:
        """Every queue that the key can see."""
        ...


class Descriptions(Protocol):
    """The facts that a `bare` snapshot lacks; for sources that have such snapshots. Raises SourceError."""

    def facts(self, queue_id: Id, queue_run_ids: Collection[Id], *, show: frozenset[Field]) -> Mapping[Id, Facts]:
        """The facts of runs of the last snapshot, as many as a budget of requests allows.

        A run that is missing in the answer could not be asked about now: ask again later.
        """
        ...

    def traits(self, queue_id: Id, queue_run_ids: Collection[Id], *, fields: frozenset[Field]) -> Mapping[Id, Traits]:
        """What filters need of runs of the last snapshot, in the same way."""
        ...


class Unseen(NamedTuple):
    """The reason why nothing is seen of a queue's open runs, and the fix."""

    text: str
    fix: str


class Blindness(Protocol):
    """Finds out whether the key sees all runs; for sources that can count those they hide. Raises SourceError."""

    def blindness(self, queue_id: Id) -> Unseen | None:
        """The reason why a queue with an empty listing has open runs all the same; None where it has none."""
        ...


class Members(Protocol):
    """The people whose identities runs name; for sources that know them. Thread-safe. Raises SourceError."""

    def members(self, sought: Collection[str]) -> Mapping[str, Reviewer] | None:
        """The active members whose ids or e-mails are sought (in any case), by what was sought; missing: no member.

        None where they cannot be asked for at present, for want of a right or of a server that knows them: that is no
        failure, and is found out again once a day.
        """
        ...


class Accounts(Protocol):
    """Finds people among the users of a notifier. Thread-safe. Raises DeliveryError, whose text names no e-mail."""

    def by_email(self, email: str) -> Account | None:
        """The user with an e-mail; None where there is none, or none any more."""
        ...

    def by_id(self, user: str) -> Account | None:
        """The user with an id, also one who has left; None where there is none."""
        ...


def always() -> bool:
    """Say that it is never too late."""
    return True


class Limits(Struct, frozen=True):
    """The name of a notifier, the destinations that are its own, its pace and its abilities.

    `name` is the service as people write it; its destinations have the `scheme`. `pace` is the shortest time between
    two messages to one destination, from the end of one post to the start of the next; `edit_pace` is the time between
    any two edits, of which `edit_burst` may follow each other at once after a pause; `edit_every` is the shortest time
    between two edits of one message, of which the last state always arrives.
    Without `can_find` a lost answer cannot be looked up, and `on_unknown` decides; without `can_edit` no message is
    kept true; without `can_thread` every message stands in the channel itself.
    """

    name: str = "the notifier"
    scheme: str = ""
    pace: timedelta = timedelta(0)
    edit_pace: timedelta = timedelta(0)
    edit_burst: int = 1
    edit_every: timedelta = timedelta(0)
    can_find: bool = True
    can_edit: bool = True
    can_thread: bool = True


class Notifier(Protocol):
    """The service that notifies people. Thread-safe. Every method raises DeliveryError.

    `in_time` is asked at the last moment before a request is written: where it answers False, nothing is written, and
    the outcome is RETRY. So a process that stood still does not repeat what another has done meanwhile.
    """

    @property
    def limits(self) -> Limits:
        """Its name, pace and abilities; always the same."""
        ...

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        """Post once: nothing below this call may send the request a second time."""
        ...

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Look for a post of ours that carries `message.key`, made at `since` or later; None where there is none."""
        ...

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        """Replace what a post shows."""
        ...

    def probe(self) -> None:
        """Do nothing where the token is good; raise DeliveryError where it is not, or cannot be asked about."""
        ...

    def fingerprint(self, message: Message) -> str:
        """A digest of what the message shows: equal where an edit would change nothing, ages aside. No I/O."""
        ...


class Press(Struct, frozen=True):
    """A press of a control of ours by a person, as the notifier's service reports it.

    `envelope_id` is the same where the service reports one press twice. `team` is the person's own one, which need not
    be ours. `on` is the message; None where the control stood on a page. `thread` is the first message of its thread,
    empty outside of one. `block`, `action` and `value` are what we put into the control, or what somebody made up.
    """

    envelope_id: str
    user: str
    team: str
    on: Receipt | None
    thread: str
    block: str
    action: str
    value: str


class Command(Struct, frozen=True):
    """A command that a person wrote: its `name` with the slash, the `text` after it, and the channel as `place`."""

    envelope_id: str
    user: str
    team: str
    place: str
    name: str
    text: str


class HomeOpened(Struct, frozen=True):
    """A person opened our own page in the notifier's service."""

    envelope_id: str
    user: str
    team: str


Heard = Press | Command | HomeOpened
"""Everything that people do in the notifier's service and that reaches us. All text in it is hostile."""


class Answers(Protocol):
    """Answers one person, so that nobody else sees it. Thread-safe. Raises DeliveryError."""

    def ephemeral(self, place: str, user: str, text: str, *, thread: str = "") -> None:
        """Show a text to a person in a channel; in a `thread` by its first message.

        The text is escaped here. Its line breaks stay, so names in it are to be flat.
        """
        ...

    def show(self, place: str, user: str, worklist: Worklist, *, thread: str = "") -> None:
        """Show a worklist to a person in a channel."""
        ...

    def publish(self, user: str, page: Worklist | str) -> None:
        """Replace our own page as a person sees it: by a worklist, or by a text, which is escaped here."""
        ...


class Listener(Protocol):
    """Hears what people do in the notifier's service. Thread-safe."""

    def start(self) -> None:
        """Begin to listen, unless that has begun."""
        ...

    def hold(self) -> None:
        """Keep what is heard for whoever hears it next, once what is being treated is done."""
        ...

    @property
    def state(self) -> LinkState:
        """The link as it is at present."""
        ...

    def stop(self, seconds: float = 5.0) -> None:
        """Say goodbye to the service, and wait for what was heard to be treated, twice so many seconds at most."""
        ...


class Assignments(Protocol):
    """The queues and tasks of this worker at present. Thread-safe; only `renew` and `leave` use the database."""

    @property
    def is_shared(self) -> bool:
        """Whether there may be other workers beside this one."""
        ...

    @property
    def worker_id(self) -> UUID:
        """The id of this process, which no other one has."""
        ...

    @property
    def workers(self) -> int:
        """The number of workers that live, with this one, as far as it knows."""
        ...

    def of(self, queue_id: Id) -> Assignment | None:
        """The assignment under which a queue is polled, None where a worker is alone. Raises Fenced: not our queue."""
        ...

    def has(self, task: Task) -> bool:
        """Whether a task is ours."""
        ...

    def among(self, queue_ids: Collection[Id]) -> set[Id]:
        """The queues, of these, that are ours to poll."""
        ...

    def renew(self, queue_ids: Collection[Id]) -> None:
        """Renew our lease where due, and share these queues and all tasks with the others. Raises StoreError."""
        ...

    def leave(self) -> None:
        """Give everything back, so that others go on at once. Raises StoreError."""
        ...


class AssignmentStore(Protocol):
    """The assignments of several workers, in the database that they share. Every method may raise StoreError.

    A worker lives while it renews its lease, by the clock of the database alone. Each takes an even share of the
    queues and every task that is free, and gives back the queues that it has too many of.
    """

    def renew(self, queues: Collection[Id]) -> Renewal:
        """Renew our lease, and take our share of the `queues` that are polled and of all tasks."""
        ...

    def leave(self) -> None:
        """Give everything back at once, and stop counting as a worker."""
        ...


STORE = "store"
"""The trouble of a poll that failed in the database; the others are those of `Trouble`."""
