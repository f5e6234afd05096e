"""What of a queue cannot be seen: rows of its listing that cannot be used, and all of it to a blind key. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from worker.core.model import Snapshot


class Unseen(NamedTuple):
    """Why nothing is seen of what is open in a queue, and what helps."""

    text: str
    fix: str


def rows_text(snapshot: Snapshot) -> str:
    """What is wrong, and what follows: the same words for as long as it lasts."""
    if snapshot.obscured:
        effect = (
            "what they are about is not known, so no run is taken for reviewed meanwhile, and new ones may be missing"
        )
    else:
        effect = "runs that are known already count as waiting, new ones are missing"
    return f"rows of its listing cannot be used: they have no queue_run_id, or are too large; {effect}"
