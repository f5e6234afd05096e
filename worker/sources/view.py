"""Whose view of the queues it is that the key gives, and what it may hide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.sources.counts import DONE, MINE, OTHERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from worker.sources.counts import Counts


class Whose(StrEnum):
    """Who the key speaks for; decides what "needs my review" means."""

    SERVICE = "service"
    PERSONAL = "personal"
    UNKNOWN = "unknown"


PREFIXES = {"lsv2_sk_": Whose.SERVICE, "lsv2_pt_": Whose.PERSONAL}

SENTENCES = {
    Whose.SERVICE: "the key is a service key: it reviews nothing itself, so it sees every run that is still open",
    Whose.PERSONAL: "the key is a personal key: runs that its owner has reviewed count as done, also while others owe "
    "their review",
    Whose.UNKNOWN: "the key's kind cannot be told: what waits is what waits for whoever it belongs to",
}


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

    def remarks(self, queue_id: UUID) -> Sequence[Remark]:
        """What the key does not see or hides. Raises SourceError."""
        mine = self._counts.count(queue_id, MINE)
        others = self._counts.count(queue_id, OTHERS)
        if mine is None or others is None:
            return ()
        if mine + others == 0:
            return self._blindness(queue_id)
        return self._hidden(others)

    def _blindness(self, queue_id: UUID) -> Sequence[Remark]:
        everything = self._counts.total(queue_id)
        done = self._counts.count(queue_id, DONE)
        if everything is None or done is None or everything <= done:
            return ()
        text = f"the key sees none of the {everything - done} runs that are open in this queue"
        return (Remark(text, "make the key's owner a reviewer of the queue, or use a service key (lsv2_sk_…)"),)

    def _hidden(self, others: int) -> Sequence[Remark]:
        if not others or OTHERS in self._statuses or self._whose is Whose.SERVICE:
            return ()
        text = f"{others} runs wait for other reviewers and are not told of"
        return (Remark(text, "use a service key (lsv2_sk_…), or add needs_others_review to WORKER_STATUSES"),)
