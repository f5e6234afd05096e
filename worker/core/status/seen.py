"""Parts of a queue that cannot be seen: rows that cannot be used, or all of it where the key is blind to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from worker.core.model import Difference, Snapshot


class Unseen(NamedTuple):
    """The reason why nothing is seen of a queue's open runs, and the remedy."""

    text: str
    fix: str


def rows_text(seen: Snapshot | Difference) -> str:
    """The problem with the rows, and its effect."""
    # Without numbers, so that the words stay the same while it lasts: each change is written to the database.
    if seen.obscured:
        effect = (
            "what they are about is not known, so no run is taken for reviewed meanwhile, and new ones may be missing"
        )
    else:
        effect = "runs that are known already count as waiting, new ones are missing"
    return f"rows of its listing cannot be used: they have no queue_run_id, or are too large; {effect}"
