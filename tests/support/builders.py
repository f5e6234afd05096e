"""Values of the domain with sensible contents, of which a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, UUID, uuid5

from worker.core.model import NO_ONE, Facts, Fate, Kind, Queue, QueueRun, RemindIn, Review, ReviewKey, Snapshot, Who
from worker.core.owed import Delivery, Destination, Notice, Pause, Receipt, State
from worker.core.plan import Plan
from worker.rules import QueueRules, rules_of
from worker.settings import PerQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.core.model import Memory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEASE = timedelta(seconds=60)
EDIT_EVERY = timedelta(seconds=30)


def to(place: Destination | str) -> Destination:
    """The destination of a place in Slack."""
    return place if isinstance(place, Destination) else Destination("slack", place)


CHANNEL, LEADS = to("C0SUPPORT"), to("C0LEADS")


def rules_with(**settings: Any) -> QueueRules:
    """The rules of a queue of which the settings say this; the rest has its default, but each poll announces."""
    usual = {"channel": CHANNEL, "announce_every": timedelta(0)}
    places = {key: to(settings[key]) for key in ("channel", "escalate_to") if key in settings}
    return rules_of(PerQueue().model_copy(update=usual | settings | places))


@cache
def ident(name: str | int) -> UUID:
    """The id that belongs to a name."""
    return UUID(int=name) if isinstance(name, int) else uuid5(NAMESPACE_OID, name)


def queue(
    name: str = "Support QA", *, queue_id: UUID | None = None, url: str = "", reviewers_per_run: int = 1, **more: Any
) -> Queue:
    """A queue; its id follows from its name."""
    return Queue(queue_id or ident(name), name, url, reviewers_per_run, **more)


def queue_run(
    name: str | int = "run",
    *,
    added_at: datetime | None = NOON,
    effective_added_at: datetime | None = None,
    reserved: bool = False,
    done: int = 0,
    facts: Facts | None = None,
    who: Who = NO_ONE,
    shows_assigned: bool = True,
    expires_at: datetime | None = None,
) -> QueueRun:
    """A run's place in a queue; both its ids follow from its name."""
    return QueueRun(
        queue_run_id=ident(name),
        run_id=ident(f"run of {name}"),
        added_at=added_at,
        effective_added_at=effective_added_at,
        reserved=reserved,
        done=done,
        facts=facts or Facts(name=str(name), run_type="chain"),
        who=who,
        shows_assigned=shows_assigned,
        expires_at=expires_at,
    )


def snapshot(
    *runs: QueueRun, of: Queue | None = None, taken_at: datetime = NOON, one_page: bool = True, **more: Any
) -> Snapshot:
    """A complete listing."""
    return Snapshot(of or queue(), runs, taken_at, one_page=one_page, **more)


def review(
    name: str | int = "run",
    *,
    added_at: datetime | None = NOON,
    since: datetime | None = None,
    first_seen_at: datetime = NOON,
    told_at: datetime | None = None,
    generation: int = 0,
    back: bool = False,
    reserved: bool = False,
    done: int = 0,
    facts: Facts | None = None,
    absent_at: datetime | None = None,
    closed_at: datetime | None = None,
    fate: Fate | None = None,
    who: Who = NO_ONE,
    reminded: int = 0,
    expires_at: datetime | None = None,
) -> Review:
    """Our memory of one stay; its wait began when it was added."""
    return Review(
        queue_run_id=ident(name),
        added_at=added_at,
        run_id=ident(f"run of {name}"),
        since=since or added_at or first_seen_at,
        first_seen_at=first_seen_at,
        told_at=told_at,
        generation=generation,
        back=back,
        reserved=reserved,
        done=done,
        facts=facts or Facts(name=str(name), run_type="chain"),
        absent_at=absent_at,
        closed_at=closed_at,
        fate=fate,
        who=who,
        reminded=reminded,
        expires_at=expires_at,
    )


def notice(
    *reviews: Review | ReviewKey,
    name: str = "notice",
    kind: Kind = Kind.ANNOUNCEMENT,
    channel: Destination | str = CHANNEL,
    mention: Iterable[str] = (),
    remind_in: RemindIn = RemindIn.CHANNEL,
) -> Notice:
    """A decision to tell of reviews; its key follows from its name."""
    keys = tuple(each.key if isinstance(each, Review) else each for each in reviews)
    return Notice(ident(name), kind, to(channel), keys, tuple(mention), remind_in)


def plan(*reviews: Review, notices: Iterable[Notice] = (), next_due_at: datetime | None = None) -> Plan:
    """What one poll decided."""
    return Plan(reviews, tuple(notices), next_due_at)


def deciding(*reviews: Review, notices: Iterable[Notice] = ()) -> Callable[[Memory], Plan]:
    """A decision that is the same whatever is remembered."""
    return lambda _: plan(*reviews, notices=notices)


def delivery(
    name: str = "notice",
    *,
    kind: Kind = Kind.ANNOUNCEMENT,
    channel: Destination | str = CHANNEL,
    of: Queue | None = None,
    created_at: datetime = NOON,
    due_at: datetime | None = None,
    held_until: datetime | None = None,
    mention: Iterable[str] = (),
    remind_in: RemindIn = RemindIn.CHANNEL,
    text: str = "",
    state: State = State.PENDING,
    attempts: int = 0,
    attempted_at: datetime | None = None,
    lease_until: datetime | None = None,
    looks: int = 0,
    plain: bool = False,
    last_error: str = "",
    receipt: Receipt | None = None,
    settled_at: datetime | None = None,
    edit_at: datetime | None = None,
    edited_at: datetime | None = None,
    edit_held_until: datetime | None = None,
    edits: int = 0,
    edit_until: datetime | None = None,
    digest: str = "",
    successor: UUID | None = None,
) -> Delivery:
    """One row of the outbox, due when it was made; about the usual queue unless it is `ops`."""
    return Delivery(
        key=ident(name),
        kind=kind,
        destination=to(channel),
        created_at=created_at,
        due_at=due_at or created_at,
        held_until=held_until,
        queue=of or (None if kind is Kind.OPS else queue()),
        mention=tuple(mention),
        remind_in=remind_in,
        text=text,
        state=state,
        attempts=attempts,
        attempted_at=attempted_at,
        lease_until=lease_until,
        looks=looks,
        plain=plain,
        last_error=last_error,
        receipt=receipt,
        settled_at=settled_at,
        edit_at=edit_at,
        edited_at=edited_at,
        edit_held_until=edit_held_until,
        edits=edits,
        edit_until=edit_until,
        digest=digest,
        successor=successor,
    )


def receipt(ts: str = "1.000001", *, channel: Destination | str = CHANNEL) -> Receipt:
    """What a notifier gave back."""
    return Receipt(to(channel).place, ts)


def pause(
    channel: Destination | str = CHANNEL,
    *,
    since: datetime = NOON,
    until: datetime = NOON + HOUR,
    reason: str = "not_in_channel",
    failures: int = 1,
    error: str = "Slack answered not_in_channel: invite the app to the channel",
) -> Pause:
    """A destination that is not posted to for a while."""
    return Pause(to(channel), since, until, reason, failures, error)
