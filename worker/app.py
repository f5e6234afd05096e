"""Composition root: the one place that names concrete classes; and the single pass."""

from __future__ import annotations

import os
import random
import socket
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote
from uuid import uuid4

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.clock import SharedClock
from worker.core.delivery import LOOK_AGAIN
from worker.core.direct_inbox import Allowance
from worker.core.leases import Task
from worker.core.model import Polled, Queue, id_of
from worker.core.overview import UNMETERED
from worker.core.owed import EVERYWHERE, State
from worker.core.ports import StoreError
from worker.loops.assignments import Alone, Shared
from worker.loops.deliver import Deliver
from worker.loops.direct import Direct
from worker.loops.edit import Edit
from worker.loops.housekeep import Housekeep, Presence
from worker.loops.incidents import Board, Complaint, Ops
from worker.loops.observe import Look, Observer
from worker.loops.people import KnownPersons, LookUps
from worker.loops.poll import Poll
from worker.loops.queue_reports import Reports
from worker.loops.roster import BlindCheck, Roster
from worker.rules import calendars_for, corrections, rules_for, wants_direct, wants_people
from worker.settings.names import ADVICE
from worker.stores.assignments import Member
from worker.version import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.core.model import Id
    from worker.core.overview import ApiInUse, Meter
    from worker.core.owed import Destination
    from worker.core.ports import Accounts, Assignments, Blindness, Clock, Descriptions, Members, Notifier, Source
    from worker.core.store_roles import Channels, Outbox, Store
    from worker.rules import RulesOf
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

log = structlog.get_logger(__name__)

TICK = timedelta(seconds=1)

RENEW_EVERY = timedelta(seconds=0.5)
"""The time between two checks whether the lease is to be renewed: every few seconds, and when another's ends."""

ROSTER = "roster"
"""The name under which the ids of the queues that are polled are remembered, for `status`."""

_CONTROLS = "controls"
"""The name under which it is remembered, as this word, that messages have something to press."""

PASS_PATIENCE = timedelta(seconds=60)
"""The time for which a single pass goes on with deliveries that are not settled at once."""

_SOON = timedelta(seconds=15)
"""Deliveries due within this time are part of the same pass, such as the look for a message whose answer was lost."""


_MOST_COUNTED = 10_000
"""The deliveries that a pass counts as held, at most."""


class Parts(Struct, frozen=True):
    """The parts of a process."""

    settings: Settings
    rules: RulesOf
    clock: Clock
    store: Store
    source: Source
    roster: Roster
    poll: Poll
    deliver: Deliver
    edit: Edit
    look: Look
    watch: Observer
    sight: BlindCheck
    look_ups: LookUps
    direct: Direct
    housekeep: Housekeep
    reports: Reports
    complaint: Complaint
    assignments: Assignments
    board: Board
    presence: Presence
    meter: Meter = UNMETERED


def build(  # noqa: PLR0913  (the parts that differ between a service, a single pass and a test, all by name)
    settings: Settings,
    *,
    clock: Clock,
    store: Store,
    source: Source,
    notifier: Notifier,
    descriptions: Descriptions | None = None,
    blindness: Blindness | None = None,
    accounts: Accounts | None = None,
    members: Members | None = None,
    meter: Meter = UNMETERED,
    api: Callable[[], ApiInUse | None] = lambda: None,
    assignments: Assignments | None = None,
    board: Board | None = None,
    looks: int = 2,
) -> Parts:
    """Put the parts together as the settings say.

    `descriptions`, `blindness` and `members` are further abilities of the source, `accounts` one of the notifier; None
    where it lacks them. `meter` counts the work; `api` gives LangSmith's listing in use. `assignments` are those of
    this worker (None: it is alone, and does everything). Parts announce incidents to `board`. The baselines of a
    channel wait for queues that cannot be polled until these have been tried `looks` times.
    """
    assignments = assignments or Alone()
    board = board or Board(clock)
    host = socket.gethostname()
    ops = Ops(store=store, notes=store, clock=clock, channel=settings.ops_channel, notifier=notifier, host=host)
    persons = KnownPersons(store, clock, corrections(settings))
    rules, calendars = rules_for(settings, clock, persons), calendars_for(settings, clock, persons)
    complaint = Complaint(board)
    deliver = Deliver(
        store=store,
        channels=store,
        polls=store,
        budgets=store,
        notifier=notifier,
        clock=clock,
        rules=rules,
        ops=ops,
        meter=meter,
        incidents=board,
        mentions_a_day=settings.nag_per_person_day,
        calendars=calendars,
        unreachable=persons.refused,
        unseen=lambda: _unseen((roster, poll, rules, assignments), clock.now(), looks),
        may_poll=lambda queue_id: roster.may_poll(queue_id),  # noqa: PLW0108  (it is made below)
        nameless=lambda queue_id: poll.known.nameless(queue_id),  # noqa: PLW0108  (it is made below)
    )
    poll = Poll(
        source=source,
        store=store,
        clock=clock,
        rules=rules,
        owed=deliver.wake,
        jitter=random.Random().random,  # noqa: S311  it spreads retries, and guards nothing
        meter=meter,
        complaint=complaint,
        assignments=assignments,
        incidents=board,
        descriptions=descriptions,
    )
    roster = roster_for(settings, clock=clock, source=source, last=_last(store))
    look = Look(
        store=store,
        channels=store,
        clock=clock,
        poll=poll.known,
        roster=roster,
        rules=rules,
        api=api,
        counting=settings.http_address is not None,
        assignments=assignments,
        board=board,
        asked=lambda: deliver.asked,
        advice=ADVICE,
    )
    return Parts(
        settings=settings,
        rules=rules,
        clock=clock,
        store=store,
        source=source,
        roster=roster,
        poll=poll,
        deliver=deliver,
        edit=Edit(
            store=store, polls=store, notifier=notifier, clock=clock, rules=rules, calendars=calendars, meter=meter
        ),
        look=look,
        watch=Observer(look=look, store=store, notes=store, ops=ops, assignments=assignments),
        sight=BlindCheck(source=blindness, clock=clock, poll=poll.known, incidents=board),
        direct=Direct(
            inboxes=store,
            polls=store,
            clock=clock,
            rules=rules,
            persons=persons,
            calendars=calendars,
            queues=lambda: {*roster.queues},
            budget=Allowance(settings.nag_per_person_day, settings.nag_per_run),
            scheme=notifier.limits.scheme,
            is_wanted=wants_direct(settings),
            owed=deliver.wake,
            ahead=poll.known.ahead,
        ),
        look_ups=LookUps(
            directory=store,
            polls=store,
            clock=clock,
            rules=rules,
            queues=lambda: {*roster.queues},
            accounts=accounts if wants_people(settings) else None,
            members=members,
            corrections=corrections(settings),
            found=persons.look,
        ),
        reports=Reports(
            outbox=store,
            history=store,
            polls=store,
            notes=store,
            clock=clock,
            rules=rules,
            queues=lambda: roster.queues,
            owed=deliver.wake,
        ),
        housekeep=Housekeep(
            store=store,
            history=store,
            clock=clock,
            keep_deliveries=settings.keep_deliveries,
            keep_reviews=settings.keep_reviews,
        ),
        complaint=complaint,
        assignments=assignments,
        board=board,
        presence=Presence(store, assignments.worker_id, host, os.getpid(), release()),
        meter=meter,
    )


def join(store: SqlStore, machine: Clock, pace: timedelta) -> tuple[SharedClock, SqlStore, Shared]:
    """The clock, the store and the assignments of one of several workers that share a PostgreSQL.

    `pace` is that of the notifier.
    """
    clock = SharedClock(machine)
    name = f"{socket.gethostname()}:{os.getpid()}"
    member = Member(uuid4(), name=name, pace=pace)
    store, leases = store.join(member)
    shared = Shared(name, worker_id=member.worker_id, store=leases, clock=clock, follow=clock.follow)
    return clock, store, shared


def roster_for(settings: Settings, *, clock: Clock, source: Source, last: Iterable[Queue] = ()) -> Roster:
    """The roster of the queues that the settings name; `last` are those that were polled last."""
    return Roster(
        source=source,
        clock=clock,
        ids=[queue.queue_id for queue in settings.queues if queue.queue_id],
        names={queue.queue for queue in settings.queues if not queue.queue_id},
        everything=settings.all_queues,
        last=last,
    )


def last_polls(store: Store) -> Sequence[Polled]:
    """The state of the polls of every queue of the last roster; where none was kept, of all that were ever polled.

    A queue of the roster that was never polled is among them, by its id.
    """
    roster = store.recall(ROSTER)
    active = None if roster is None else {unquote(written) for written in roster.split()}
    polls = [polled for polled in store.polls() if active is None or str(polled.queue.queue_id) in active]
    never = (active or set()) - {str(polled.queue.queue_id) for polled in polls}
    return [*polls, *(Polled(Queue(id_of(queue_id), queue_id)) for queue_id in sorted(never))]


def _unseen(parts: tuple[Roster, Poll, RulesOf, Assignments], now: datetime, looks: int) -> set[Destination]:
    """The destinations to which a queue goes that has not been looked at since it was opened."""
    roster, poll, rules, assignments = parts
    ours = assignments.among(roster.queues)
    policies = {queue_id: rules(queue).policy for queue_id, queue in roster.queues.items() if queue_id in ours}
    return {
        policy.destination
        for queue_id, policy in policies.items()
        if not poll.known.has_looked(queue_id, policy.calendar.posting_since(now), looks)
    }


def _last(store: Store) -> Sequence[Queue]:
    """The queues that were polled last; none where the database does not answer."""
    try:
        return [polled.queue for polled in last_polls(store)]
    except StoreError:
        # The list of queues will do instead: no reason not to start.
        return []


def try_again(channels: Channels, now: datetime) -> None:
    """Let every paused destination be tried at once."""
    # A start or a retry may mean that somebody has fixed the cause. The pause itself ends only with a post: until then
    # its incident lasts, and its failures count.
    for pause in channels.pauses():
        channels.pause(replace(pause, until=now))


def match_controls(store: Store, now: datetime, *, are_on: bool) -> None:
    """Let every message that is kept true have what can be pressed, or nothing, where that was otherwise before."""
    wanted = _CONTROLS if are_on else ""
    if (store.recall(_CONTROLS) or "") == wanted:
        return
    # In this order: after a crash in between it is done once more, which costs no edit that is not needed.
    messages = store.reshow(now)
    store.remember(_CONTROLS, wanted)
    log.info("controls_changed", are_on=are_on, messages=messages)


def take_over(outbox: Outbox, now: datetime) -> None:
    """Free the deliveries of a process that was killed, where no other process can be alive."""
    # A message that was just being sent may still arrive, as after any lost answer, so the look waits as long.
    left = outbox.lapse(now, now + LOOK_AGAIN)
    if left:
        log.warning("taken_over", deliveries=left)


def note_polls(parts: Parts, polled: Iterable[Polled]) -> Mapping[Id, int]:
    """Write how the polls stand, and once an hour what is overdue; see `Store.polled`."""
    return parts.store.polled(polled, lambda queue, at: parts.rules(queue).stale_before(at))


def remember_roster(parts: Parts) -> None:
    """Write down which queues are polled, for `status` in another process."""
    # Quoted, because ids that are no UUIDs may contain blanks.
    parts.store.remember(ROSTER, " ".join(sorted(quote(str(queue_id), safe="") for queue_id in parts.roster.queues)))


@contextmanager
def with_assignments(parts: Parts) -> Iterator[None]:
    """Hold all assignments within the context, where there can be other workers. Raises StoreError."""
    if not parts.assignments.is_shared:
        yield
        return
    parts.roster.refresh()
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_EVERY.total_seconds()):
            with suppress(StoreError):
                parts.assignments.renew(parts.roster.queues.keys())

    parts.assignments.renew(parts.roster.queues.keys())
    renewing = threading.Thread(target=renew, name="assignments", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
        with suppress(StoreError):  # the lease lapses by itself
            parts.assignments.leave()


def one_pass(parts: Parts, progress: Callable[[Queue], None] = lambda _queue: None) -> bool:
    """The `poll` command: poll every queue once and deliver what is due; returns whether all of it worked."""
    try_again(parts.store, parts.clock.now())
    match_controls(parts.store, parts.clock.now(), are_on=parts.settings.hears_people)
    parts.presence.begin("poll", parts.clock.now())
    parts.roster.refresh()
    remember_roster(parts)
    well = not parts.roster.is_failing and not parts.roster.unknown
    for queue in parts.roster.queues.values():
        progress(queue)
        well = parts.poll(queue) and well
    note_polls(parts, parts.poll.known.polled())
    if parts.assignments.has(Task.PEOPLE):
        # Before anything is posted, so that it reaches and names the right people.
        parts.look_ups.wake()
        parts.look_ups()
        parts.direct.wake()
        parts.direct()
    if parts.assignments.has(Task.HOUSE):
        parts.reports()
    well = _deliver_all(parts) and well
    parts.presence.passed(parts.look(), parts.clock.now())
    return well and not parts.board.standing


def is_full_cycle(parts: Parts) -> bool:
    """Whether a pass has polled every queue that it should, each completely."""
    polled = parts.poll.known.polled()
    missing = parts.roster.is_failing or parts.roster.unknown
    return bool(polled) and not missing and all(each.completed_at and not each.failing_since for each in polled)


def _deliver_all(parts: Parts) -> bool:
    """Deliver until nothing is due soon; returns whether every delivery is settled well."""
    pause = threading.Event()
    give_up_at = parts.clock.now() + PASS_PATIENCE
    while parts.clock.now() < give_up_at:
        parts.deliver.wake()
        steps = parts.deliver.run(lambda: False)
        while parts.edit.step():
            pass
        paced_for = parts.deliver.paced_for
        if not steps and not paced_for and not _due_soon(parts):
            break
        pause.wait(min(paced_for or TICK, TICK / 4).total_seconds())
    return not undelivered(parts) and not is_refused(parts)


def undelivered(parts: Parts) -> int:
    """How many deliveries a pass leaves undelivered: those that failed in it, and those that a refusal holds back."""
    # What a refused token or channel holds is not even tried, so that it is in no list of this pass.
    held = parts.store.deliveries(State.HELD, _MOST_COUNTED) if parts.store.pauses() else ()
    return len(parts.deliver.unsettled | {each.key for each in held})


def is_refused(parts: Parts) -> bool:
    """Whether the notifier refuses every destination, as it does with a token that is not valid: edits wait, too."""
    return any(pause.destination == EVERYWHERE for pause in parts.store.pauses())


def _due_soon(parts: Parts) -> bool:
    """Whether something comes due in a moment."""
    if timedelta(0) < parts.deliver.looks_wait <= _SOON:
        return True
    # Not what is due already: it was not taken, so it waits for a paused destination.
    now, due_at = parts.clock.now(), parts.store.next_due_at()
    return due_at is not None and now < due_at <= now + _SOON
