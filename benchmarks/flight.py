"""A worker under a clock that flies: everything of it takes part but LangSmith, Slack, the clock and the ticker."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from benchmarks.soak import Clock
from benchmarks.team import MINUTE, Accounts, Listings
from worker.app import build
from worker.core.message import fingerprint
from worker.core.model import Kind
from worker.core.owed import NEVER, Receipt
from worker.core.ports import DeliveryError, Outcome
from worker.loops.deliver import LOOK_INTO_STORE
from worker.notifiers.slack import blocks
from worker.notifiers.slack.notifier import LIMITS
from worker.service import KEEP_EVERY
from worker.settings import load
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from benchmarks.team import Scenario
    from worker.core.message import Message
    from worker.core.model import Id
    from worker.core.ports import Limits
    from worker.stores.sql import SqlStore

MENTION = re.compile(r"<@(\w+)>")

TICK = timedelta(seconds=2)
"""Between two edits, whose pace is a little more than a second."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message that was posted: when and where, what about, whom its text mentions, what each run is in it for."""

    at: datetime
    kind: Kind
    mentions: tuple[str, ...]
    runs: Mapping[Id, Kind]
    place: str = ""
    is_for_owner: bool = False

    @property
    def is_direct(self) -> bool:
        """Whether it was sent to one person."""
        return self.kind is Kind.DIRECT


class Board:
    """The Notifier: renders as Slack's and notes which run is shown when. While it is out the first answer is lost."""

    def __init__(self, clock: Clock, out: tuple[datetime, datetime]) -> None:
        """`members` gives the runs that a delivery speaks of; it is set once there is a store."""
        self.members: Callable[[UUID], Mapping[Id, Kind]] = lambda _key: {}
        self.posts: list[Post] = []
        self.edits = 0
        self.shown: dict[Id, datetime] = {}
        self._clock = clock
        self._out = out
        self._receipts: dict[UUID, Receipt] = {}
        self._spoken: dict[UUID, Mapping[Id, Kind]] = {}
        self._has_lost = False
        self._direct: list[tuple[UUID, dict[Id, Kind]]] = []

    @property
    def limits(self) -> Limits:
        """See Notifier."""
        return LIMITS

    def send(self, message: Message, in_time: object = None) -> Receipt:
        """Post a message, or lose the answer."""
        del in_time
        loses = self.is_out and not self._has_lost
        if not loses:
            self._answer()
        self._has_lost |= loses
        self._spoken.pop(message.key, None)
        mentions = tuple(MENTION.findall(blocks.render(message)["text"]))
        place, now = message.destination.place, self._clock.now()
        self.posts.append(Post(now, message.kind, mentions, self._show(message), place, message.is_for_owner))
        receipt = self._receipts[message.key] = Receipt(place, f"{len(self.posts)}.000000")
        if loses:
            raise DeliveryError("the answer is lost", Outcome.UNKNOWN)
        return receipt

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Look a post up by its key."""
        del since
        self._answer()
        return self._receipts.get(message.key)

    def edit(self, message: Message, receipt: Receipt, in_time: object = None) -> None:
        """Replace what a post shows."""
        del receipt, in_time
        self._answer()
        blocks.render(message)
        self._show(message)
        self.edits += 1

    def probe(self) -> None:
        """See whether Slack answers."""
        self._answer()

    def fingerprint(self, message: Message) -> str:
        """As Slack's."""
        return fingerprint(message)

    @property
    def is_out(self) -> bool:
        """Whether Slack does not answer at present."""
        return self._out[0] <= self._clock.now() < self._out[1]

    def settle(self) -> None:
        """Note the runs of direct messages: what is no more the reader's is left out when the outcome is written."""
        for key, runs in self._direct:
            runs.update(self.members(key))
            self._note(runs)
        self._direct.clear()

    def _answer(self) -> None:
        if self.is_out:
            raise DeliveryError("Slack does not answer", Outcome.RETRY)

    def _show(self, message: Message) -> Mapping[Id, Kind]:
        """Note that the runs of a message are shown. None leaves it once it is posted: as many are the same."""
        if message.kind is Kind.DIRECT:
            self._direct.append((message.key, later := {}))
            return later
        runs = self._spoken.get(message.key, {})
        if len(runs) != message.total:
            runs = self._spoken[message.key] = self.members(message.key)
        if len(runs) != message.total:
            raise RuntimeError(f"a {message.kind} counts {message.total} runs, the database {len(runs)}")
        self._note(runs)
        return runs

    def _note(self, runs: Iterable[Id]) -> None:
        for run in runs:
            self.shown.setdefault(run, self._clock.now())


_LOOKS = frozenset({"cards", "polls", "stirred"})
"""What is asked each minute and changes nothing."""


class Metered:
    """The store, which notices that it is used, and measures what decisions cost."""

    def __init__(self, store: SqlStore) -> None:
        """Nothing is decided yet."""
        self._store = store
        self.is_used = True
        self.plans = 0
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        self.is_used |= name not in _LOOKS
        return getattr(self._store, name)

    def update(self, queue: object, keys: object, decide: Callable[[Any], Any], *more: Any, **named: Any) -> object:  # noqa: ANN401
        """Measure the decision alone."""

        def measured(memory: object) -> object:
            began = time.process_time()
            decided = decide(memory)
            self.seconds += time.process_time() - began
            self.plans += 1
            return decided

        self.is_used = True
        return self._store.update(queue, keys, measured, *more, **named)  # type: ignore[arg-type]

    def members(self, key: UUID) -> Mapping[Id, Kind]:
        """The runs that a delivery speaks of, each with why; once it is posted, those too that were reviewed since."""
        posted = sa.or_(DELIVERIES.c.receipt_ts.is_not(None), REVIEWS.c.closed_at.is_(None))
        why = sa.func.coalesce(DELIVERY_REVIEWS.c.purpose, DELIVERIES.c.kind, type_=DELIVERIES.c.kind.type)
        query = sa.select(REVIEWS.c.queue_run_id, why).select_from(DELIVERIES).join(DELIVERY_REVIEWS).join(REVIEWS)
        spoken = query.where(DELIVERIES.c.key == key, DELIVERY_REVIEWS.c.left_out.is_(False), posted)
        rows = self._store.search(lambda connection: connection.execute(spoken).all())
        return {row[0]: row[1] for row in rows}


class Flight:
    """One process that works through a scenario by one policy."""

    def __init__(self, store: SqlStore, given: Scenario, directory: Path) -> None:
        """Put the worker together as its settings in `directory` say."""
        self.store = Metered(store)
        self.board = Board(clock := Clock(given.begin), given.slack_out)
        self.board.members = self.store.members
        self._clock, self._given = clock, given
        self._due_at = NEVER
        settings = load(frozenset(), environ={}, directory=directory, run_secrets=directory)
        self._parts = build(
            settings,
            clock=clock,
            store=self.store,
            source=Listings(given, clock),
            notifier=self.board,  # type: ignore[arg-type]
            accounts=Accounts(),
        )

    def play(self) -> None:
        """Poll each minute. What is owed is treated whenever it is due, to the second."""
        random.seed(0)  # what back-offs are spread by
        self._parts.roster.refresh()
        queues = list(self._parts.roster.queues.values())
        keep_at = minute = self._given.begin
        while minute < self._given.end:
            self._clock.advance(minute - self._clock.now())
            for queue in queues:
                self._parts.poll(queue)
            if keep_at <= minute:
                keep_at += KEEP_EVERY
                self._parts.housekeep()
                self._note_polls()
                self._parts.look_ups.wake()
                self._parts.look_ups()
            if self.store.is_used or (self._parts.direct.next_due_at or NEVER) <= self._clock.now():
                self._parts.direct()
            minute += MINUTE
            # A poll that finds nothing new does not touch the store: then nothing new is owed either.
            if self.store.is_used or self._due_at < minute:
                # As the service does each minute: what an opening decided on waits for a poll after it.
                self._note_polls()
                self._deliver(minute)

    def _note_polls(self) -> None:
        self._parts.poll.known.noticed(self.store.polled(self._parts.poll.known.polled()))

    def _deliver(self, until: datetime) -> None:
        """Work as the service does, but for the seconds in which nothing is due."""
        at, is_new = self._clock.now(), True
        while at < until:
            self._clock.advance(at - self._clock.now())
            # The outbox is looked into where an edit is not what was due.
            if not self._parts.edit.step() or is_new:
                self._parts.deliver.run(lambda: False)
            self.board.settle()
            is_new, self._due_at = False, self.store.next_due_at() or NEVER
            at = max(self._due_at, at + (LOOK_INTO_STORE if self.board.is_out else TICK))
        self.store.is_used = False
