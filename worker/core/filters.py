"""Which runs of a queue people hear of, by what is known of the traced runs; and which are listed first. Pure.

What a filter needs is read apart from what a message may show, and is never shown.
"""

from __future__ import annotations

import operator
import struct
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.model import NO_TRAITS, Trait, Traits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from worker.core.model import Id, QueueRun, Review

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


class Order(StrEnum):
    """What a message lists first: the lowest score, what has failed, what has waited longest."""

    FEEDBACK = "feedback"
    ERROR = "error"
    AGE = "age"


class Score(Struct, frozen=True):
    """A score of a feedback key compared with a number, such as `user_score < 0.5`."""

    key: str
    comparison: str
    number: float

    def holds(self, traits: Traits) -> bool | None:
        """Whether it holds; None where the scores are not known. A run without this score has none that could."""
        if traits.scores is None:
            return None
        score = dict(traits.scores).get(self.key)
        return score is not None and COMPARISONS[self.comparison](score, self.number)


class Conditions(Struct, frozen=True):
    """What has to hold of a run: every condition that is given, each by one of its values."""

    tags: tuple[str, ...] = ()
    run_type: tuple[str, ...] = ()
    error: bool | None = None
    name: tuple[str, ...] = ()
    feedback: tuple[Score, ...] = ()

    def answers(self, traits: Traits) -> Iterator[tuple[str, bool | None]]:
        """Each condition that is given, and whether it holds; None where that is not known."""
        if self.tags:
            yield "tags", None if traits.tags is None else not {*self.tags}.isdisjoint(traits.tags)
        if self.run_type:
            yield "run_type", None if traits.run_type is None else traits.run_type in self.run_type
        if self.error is not None:
            yield "error", None if traits.failed is None else traits.failed is self.error
        if self.name:
            name = traits.name
            yield "name", None if name is None else any(fnmatchcase(name, pattern) for pattern in self.name)
        if self.feedback:
            held = [score.holds(traits) for score in self.feedback]
            yield "feedback", None if None in held else True in held

    @property
    def needs(self) -> frozenset[Trait]:
        """What has to be known of a run."""
        given = {
            Trait.TAGS: bool(self.tags),
            Trait.TYPE: bool(self.run_type),
            Trait.ERROR: self.error is not None,
            Trait.NAME: bool(self.name),
            Trait.FEEDBACK: bool(self.feedback),
        }
        return frozenset(trait for trait, is_given in given.items() if is_given)


class Filters(Struct, frozen=True):
    """The filters of one queue: `only` these runs, and `skip` those. `order` says what a message lists first."""

    only: Conditions = Conditions()
    skip: Conditions = Conditions()
    order: tuple[Order, ...] = ()

    @property
    def needs(self) -> frozenset[Trait]:
        """What has to be known of runs."""
        ordered = {Order.FEEDBACK: Trait.FEEDBACK, Order.ERROR: Trait.ERROR}
        return self.only.needs | self.skip.needs | {ordered[each] for each in self.order if each in ordered}

    def rule_against(self, traits: Traits) -> str:
        """The rule that leaves a run out, such as `only.tags` or `skip`; '' where it is shown.

        What is not known leaves no run out.
        """
        for name, holds in self.only.answers(traits):
            if holds is False:
                return f"only.{name}"
        skipped = dict(self.skip.answers(traits))
        if skipped and all(skipped.values()):
            return "skip." + "+".join(skipped)
        return ""

    def judged(self, review: Review) -> Review:
        """A review with its rank and the rule that leaves its run out now; the very same one where nothing changes."""
        if self is NO_FILTERS and not (review.left_out or review.rank):
            return review
        rule, rank = self.rule_against(review.traits), self.rank(review.traits)
        is_same = (rule, rank) == (review.left_out, review.rank)
        return review if is_same else replace(review, left_out=rule, rank=rank)

    def lacks(self, traits: Traits) -> bool:
        """Whether something that is needed of a run is not known."""
        known = (
            (Trait.NAME, traits.name),
            (Trait.TYPE, traits.run_type),
            (Trait.TAGS, traits.tags),
            (Trait.ERROR, traits.failed),
            (Trait.FEEDBACK, traits.scores),
        )
        return any(value is None for trait, value in known if trait in self.needs)

    def unknown(self, runs: Iterable[QueueRun], reviews: Iterable[Review]) -> list[Id]:
        """The runs of which something is needed and not known, neither by the listing nor by memory."""
        if not self.needs:
            return []
        known = {review.queue_run_id: review.traits for review in reviews if review.is_open}
        return [
            run.queue_run_id
            for run in runs
            if self.lacks(known_traits(run.traits, known.get(run.queue_run_id, NO_TRAITS)))
        ]

    def rank(self, traits: Traits) -> str:
        """The place of a run in messages, as a text that any database sorts the same way."""
        # What has waited longest comes first within a rank anyway, so nothing can count after the age.
        before_age = takewhile(lambda each: each is not Order.AGE, self.order)
        return "".join(_RANKS[each](traits) for each in before_age)


def _by_score(traits: Traits) -> str:
    """The lowest score as 16 digits that sort like it; without a score last."""
    lowest = min((score for _, score in traits.scores or ()), default=float("inf"))
    bits = int.from_bytes(struct.pack(">d", lowest))
    # As IEEE 754 has them, negative numbers sort the wrong way round, and after the others.
    return f"{bits ^ (_ALL if bits >> 63 else _SIGN):016x}"


_SIGN, _ALL = 1 << 63, (1 << 64) - 1
_RANKS: Mapping[Order, Callable[[Traits], str]] = {
    Order.FEEDBACK: _by_score,
    Order.ERROR: lambda traits: "0" if traits.failed else "1",
}

NO_FILTERS = Filters()
"""One value for all queues that have none: most do, and are known by it."""


def filters_of(only: Conditions | None, skip: Conditions | None, order: tuple[Order, ...]) -> Filters:
    """The filters that a queue's settings describe."""
    found = Filters(only or Conditions(), skip or Conditions(), order)
    return found if found != NO_FILTERS else NO_FILTERS


def known_traits(fresh: Traits, known: Traits) -> Traits:
    """The better of two descriptions: what is not known now is as it was."""
    if fresh is NO_TRAITS or fresh == known:
        return known
    news = {name: value for name in Traits.__struct_fields__ if (value := getattr(fresh, name)) is not None}
    return replace(known, **news)
