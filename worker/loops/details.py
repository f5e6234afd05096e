"""Learns details that a listing lacks: the names of runs, and the fates of those that left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec import Struct, field
from msgspec.structs import replace

from worker.core.cooldown import Cooldown
from worker.core.diff import is_bare
from worker.core.model import Fate
from worker.core.ports import SourceError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from worker.core.history import Measure, Tally
    from worker.core.model import Difference, Facts, Field, Id, Queue, Snapshot
    from worker.core.overview import Meter
    from worker.core.ports import Clock, Descriptions, Source
    from worker.core.store_roles import Reviews
    from worker.rules import QueueRules

    ListedT = TypeVar("ListedT", bound=Snapshot | Difference)

log = structlog.get_logger(__name__)

MOST_NAMES = 1000
"""The number of runs in posted messages that one poll may ask about."""


class Naming:
    """Asks for the facts of runs that messages list, and of no others. Thread-safe for different queues."""

    def __init__(self, descriptions: Descriptions | None, *, clock: Clock) -> None:
        """Without `descriptions` nothing is asked, and nothing is named."""
        self._descriptions = descriptions
        self._clock = clock

    def described(self, seen: ListedT, queue_run_ids: Collection[Id], show: frozenset[Field]) -> ListedT:
        """The listing with the facts of these runs that can be had now. Never raises for a failure."""
        try:
            found = self._facts(seen.queue.queue_id, queue_run_ids, show)
        except SourceError as error:
            # Announced without names: an edit adds them, and a notice must not wait for them.
            log.debug("runs_not_described", queue=seen.queue.name, error=str(error))
            return seen
        if not found:
            return seen
        runs = [replace(run, facts=found[run.queue_run_id]) if run.queue_run_id in found else run for run in seen.runs]
        return replace(seen, runs=runs)

    def sifted(self, seen: ListedT, queue_run_ids: Collection[Id], fields: frozenset[Field]) -> ListedT:
        """The listing with what filters need of these runs, as far as it can be had now. Never raises for a failure."""
        if self._descriptions is None:
            return seen
        try:
            found = self._descriptions.traits(seen.queue.queue_id, queue_run_ids, fields=fields)
        except SourceError as error:
            # A run of which nothing is known is shown: no filter may lose one.
            log.debug("runs_not_sifted", queue=seen.queue.name, error=str(error))
            return seen
        runs = [replace(run, traits=found[run.queue_run_id]) if run.queue_run_id in found else run for run in seen.runs]
        return replace(seen, runs=runs)

    def __call__(
        self, queue: Queue, lacking: Collection[Id], doubts: Doubts, *, store: Reviews, rules: QueueRules
    ) -> Doubts:
        """Learn the names of runs that are `lacking` them in a message to come, and earlier ones where doubts are open.

        Never raises for a failure.
        """
        is_due = doubts.may_be_asked(self._clock.monotonic())
        if self._descriptions is None or not (lacking or is_due):
            return doubts
        try:
            wanted = {*lacking, *(self._lacking(queue, store) if is_due else ())}
            answered = self._learn(queue, wanted, doubts, store, rules.settings.show)
        except (SourceError, StoreError) as error:
            answered = None
            log.debug("runs_not_described", queue=queue.name, error=str(error))
        return answered or doubts.opened().unanswered(self._clock.monotonic(), rules.settings.poll_interval)

    def _lacking(self, queue: Queue, store: Reviews) -> Iterable[Id]:
        found = store.undescribed(queue.queue_id, self._clock.now(), MOST_NAMES)
        return (one for one, known in found.items() if is_bare(known))

    def _learn(
        self, queue: Queue, wanted: Collection[Id], doubts: Doubts, store: Reviews, show: frozenset[Field]
    ) -> Doubts | None:
        """The doubts after an answer; None where there was something to learn, and nothing was."""
        if not wanted:
            return doubts.answered(are_open=False)
        found = self._facts(queue.queue_id, wanted, show)
        if not found:
            return None
        is_news = store.describe(queue.queue_id, found, self._clock.now())
        return doubts.answered(are_open=not found.keys() >= set(wanted), is_news=is_news)

    def _facts(self, queue_id: Id, queue_run_ids: Collection[Id], show: frozenset[Field]) -> Mapping[Id, Facts]:
        return {} if self._descriptions is None else self._descriptions.facts(queue_id, queue_run_ids, show=show)


MOST_FATES = 20
"""The number of runs of earlier polls that one poll asks about."""

LONGEST_WAIT_FOR_FATES = timedelta(hours=1)


class Doubts(Struct, frozen=True):
    """The open questions about one queue's runs, and the wait before they are asked again; in memory only.

    `are_open` says whether the store may know of runs to ask about. `raised` is the number by which the answers have
    raised the queue's revision since the last transaction.
    """

    # Open at first: an earlier process may have ended between closing a review and asking for its fate.
    are_open: bool = True
    raised: int = 0
    cooldown: Cooldown = field(default_factory=Cooldown)

    def may_be_asked(self, at: float) -> bool:
        """Whether there may be something to ask, and the wait is over."""
        return self.are_open and self.cooldown.is_over(at)

    def opened(self, *, when: bool = True) -> Doubts:
        """The doubts with another question, `when` there is one."""
        return replace(self, are_open=self.are_open or when)

    def answered(self, *, are_open: bool, is_news: bool = False) -> Doubts:
        """The doubts after an answer: some may still be open."""
        # Our own writing has raised the revision: without this, the poll would take it for a change from outside.
        return Doubts(are_open, self.raised + is_news)

    def unanswered(self, at: float, first: timedelta) -> Doubts:
        """The doubts after an attempt without an answer: the wait begins with `first` and grows."""
        return replace(self, cooldown=self.cooldown.backed_off(at, first=first, longest=LONGEST_WAIT_FOR_FATES))


class Parting:
    """Asks for the fates of runs that left, and remembers them. Thread-safe for different queues.

    Only the wording of messages and the figures of the past depend on them.
    """

    def __init__(self, *, source: Source, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    def __call__(
        self, queue: Queue, gone: Collection[Id], doubts: Doubts, *, store: Reviews, rules: QueueRules
    ) -> tuple[Doubts, Mapping[Id, Fate]]:
        """Ask about runs that are `gone` since the last poll, and about earlier ones. Never raises for a failure.

        Returns the doubts that are left, and the fates that were learned.
        """
        if not gone and not doubts.may_be_asked(self._clock.monotonic()):
            return doubts, {}
        # Where all can be asked about and nothing was in doubt, the database has nothing to add.
        has_earlier = doubts.are_open or len(gone) > MOST_FATES
        # Before they are asked about: where that fails, they are asked about again.
        doubts = doubts.opened(when=bool(gone))
        try:
            earlier = store.unexplained(queue.queue_id, self._clock.now(), MOST_FATES) if has_earlier else ()
            answered, left = self._ask(queue, dict.fromkeys((*earlier, *gone)), doubts, store, rules.measure)
        except (SourceError, StoreError) as error:
            answered, left = None, {}
            log.debug("how_left_unknown", queue=queue.name, error=str(error))
        return answered or doubts.unanswered(self._clock.monotonic(), rules.settings.poll_interval), left

    def _ask(
        self, queue: Queue, wanted: Mapping[Id, None], doubts: Doubts, store: Reviews, measure: Measure
    ) -> tuple[Doubts | None, Mapping[Id, Fate]]:
        """The doubts after an answer, and the answer; None where there was something to learn, and nothing was."""
        if not wanted:
            return doubts.answered(are_open=False), {}
        left = self._source.fates(queue.queue_id, wanted.keys())
        if not left:
            return None, left
        is_news = store.learn(queue.queue_id, left, self._clock.now(), measure)
        return doubts.answered(are_open=not wanted.keys() <= left.keys(), is_news=is_news), left


def count_ended(meter: Meter, queue: Queue, tally: Tally, left: Mapping[Id, Fate]) -> None:
    """Count what has ended, by its fate as far as that is known at the end of the same poll."""
    for queue_run_id in tally.ended:
        meter.closed(queue, left.get(queue_run_id, Fate.UNKNOWN))
    for queue_run_id, wait in tally.first.items():
        # A run that was taken out of the queue got no review, so its wait is no time to a review.
        if left.get(queue_run_id) is not Fate.REMOVED:
            meter.waited(queue, wait)
