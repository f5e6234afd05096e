"""Whose view of the queues it is that the key gives, and what it may hide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.sources.counts import DONE, MINE, OTHERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from worker.core.model import Id
    from worker.sources.counts import Counts


class Whose(StrEnum):
    """Who the key speaks for; decides what "needs my review" means."""

    SERVICE = "service"
    PERSONAL = "personal"
    UNKNOWN = "unknown"


PREFIXES = {"lsv2_sk_": Whose.SERVICE, "lsv2_pt_": Whose.PERSONAL}

SENTENCES = {
    Whose.SERVICE: "the key is a service key: LangSmith decides which runs need the review of a service account",
    Whose.PERSONAL: "the key is a personal key: runs that its owner has reviewed count as done, also while others owe "
    "their review",
    Whose.UNKNOWN: "the key's kind cannot be told: what waits is what waits for whoever it belongs to",
}

SOMEBODY = {
    Whose.SERVICE: "use the personal key (lsv2_pt_…) of somebody who reviews this queue",
    Whose.PERSONAL: "make the key's owner a reviewer of this queue, or use the key of somebody who is",
    Whose.UNKNOWN: "use the key of somebody who reviews this queue",
}
"""What helps where the key is shown nothing, by its kind."""

READ_THEIRS = "add needs_others_review to WORKER_STATUSES"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a person should know of a queue; `remedy` is '' where nothing has to be done."""

    text: str
    remedy: str = ""


def whose(key: str) -> Whose:
    """Who a key speaks for, by its beginning."""
    return next((kind for prefix, kind in PREFIXES.items() if key.startswith(prefix)), Whose.UNKNOWN)


class View:
    """What the key sees of a queue, against what there is."""

    def __init__(self, counts: Counts, *, whose: Whose, statuses: Collection[str]) -> None:
        """`statuses` are the sections that are read."""
        self._counts = counts
        self._whose = whose
        self._statuses = statuses

    def remarks(self, queue_id: Id) -> Sequence[Remark]:
        """What the key does not see or hides. Raises SourceError."""
        sections = self._sections(queue_id)
        if sections is None:
            return ()
        mine, others = sections
        if mine + others == 0:
            return self._shown_nothing(queue_id)
        if not others or OTHERS in self._statuses:
            return ()
        return (self._left_to_others(mine, others),)

    def blindness(self, queue_id: Id, *, has_seen: bool) -> Remark | None:
        """Why nothing is seen of what is open in a queue of which nothing is listed; None where nothing is open.

        Where only others have still to review, that is so for a person who is done: `has_seen` tells that there was
        something to be done before. Raises SourceError.
        """
        sections = self._sections(queue_id)
        if sections is None:
            return None
        mine, others = sections
        if mine + others == 0:
            return next(iter(self._shown_nothing(queue_id)), None)
        if mine or OTHERS in self._statuses or (has_seen and self._whose is not Whose.SERVICE):
            return None
        return self._left_to_others(mine, others)

    def _sections(self, queue_id: Id) -> tuple[int, int] | None:
        """How many runs are open in the key's own section and in that of others; None where nobody counts."""
        mine = self._counts.count(queue_id, MINE)
        others = self._counts.count(queue_id, OTHERS)
        return None if mine is None or others is None else (mine, others)

    def _shown_nothing(self, queue_id: Id) -> Sequence[Remark]:
        everything = self._counts.total(queue_id)
        done = self._counts.count(queue_id, DONE)
        if everything is None or done is None or everything <= done:
            return ()
        text = f"the key is shown none of the {_runs(everything - done)} that are open in this queue"
        return (Remark(text, SOMEBODY[self._whose]),)

    def _left_to_others(self, mine: int, others: int) -> Remark:
        none = "" if mine else "the key is shown none of the open runs of this queue as its own review: "
        text = f"{none}{_runs(others)} {'waits' if others == 1 else 'wait'} for the review of others, unannounced"
        return Remark(text, f"{READ_THEIRS}, or {SOMEBODY[self._whose]}")


def _runs(count: int) -> str:
    return f"{count} {'run' if count == 1 else 'runs'}"
