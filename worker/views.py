"""What the commands print: tables for people, JSON for programs. Pure but for the printing."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.core.model import NEVER, Left
from worker.notifiers.text import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from worker.core.model import Delivery, Finding, Polled, Standing, Story

LONGEST = 1000
"""Characters of a text from outside."""

WIDE = 200
"""Columns to lay a table out for where the output is not a terminal: a pipe cuts nothing off."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue's line in `status`. `late` tells that its last complete poll is too old.

    `worker` names the one of several workers that polls it at present (None: none does, or there is only one).
    """

    polled: Polled
    standing: Standing
    late: bool
    worker: str | None = None


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print JSON to stdout, with escapes where its encoding has not every character."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=plain) + "\n")


def print_table(columns: Iterable[str], rows: Iterable[Sequence[str | Text]], *, empty: str) -> None:
    """Print a table to stdout, or `empty` where it would have no rows. Cells are shown as they are, never as markup."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console.print(table if table.row_count else Text(empty))


def age_text(duration: timedelta) -> str:
    """A duration as people say it: `45 s`, `12 min`, `4 h`, `3 d`."""
    seconds = max(int(duration.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(instant: datetime | None, now: datetime) -> str:
    """How long ago, or `never`."""
    return "never" if instant is None else f"{age_text(now - instant)} ago"


def stamp(instant: datetime | None) -> str | None:
    """An instant for programs: ISO 8601, UTC."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def status_json(status: QueueStatus, now: datetime) -> dict[str, Any]:
    """One queue of `status --json`. Ages in whole seconds."""
    polled, standing = status.polled, status.standing
    oldest = standing.oldest_since
    return {
        "queue_id": str(polled.queue.queue_id),
        "name": polled.queue.name,
        "waiting": standing.waiting,
        "stale": standing.stale,
        "oldest_since": stamp(oldest),
        "oldest_age_seconds": None if oldest is None else max(int((now - oldest).total_seconds()), 0),
        "last_complete_poll_at": stamp(polled.completed_at),
        "late": status.late,
        "failing_since": stamp(polled.failing_since),
        "error": polled.error or None,
        "undelivered": standing.undelivered,
        "dead": standing.dead,
        "worker": status.worker,
    }


def print_status(statuses: Sequence[QueueStatus], now: datetime, *, dead: int = 0) -> None:
    """`status` for people; `dead` counts deliveries, those of no queue that is polled at present included."""
    columns = ["Queue", "Waiting", "Stale", "Oldest", "Last complete poll", "Not yet delivered", "Trouble"]
    rows = [_status_row(status, now) for status in statuses]
    if any(status.worker for status in statuses):
        columns.append("Polled by")
        rows = [[*row, status.worker or ""] for row, status in zip(rows, statuses, strict=True)]
    print_table(columns, rows, empty="No queue has been polled yet.")
    if elsewhere := dead - sum(status.standing.dead for status in statuses):
        sys.stdout.write(f"{elsewhere} dead of no queue above (see `review-notifier deliveries --state dead`)\n")


def _status_row(status: QueueStatus, now: datetime) -> list[str | Text]:
    polled, standing = status.polled, status.standing
    trouble = [polled.error] if polled.error else []
    if standing.dead:
        trouble.append(f"{standing.dead} dead (see `review-notifier deliveries --state dead`)")
    return [
        polled.queue.name,
        str(standing.waiting),
        str(standing.stale),
        "" if standing.oldest_since is None else age_text(now - standing.oldest_since),
        Text(ago(polled.completed_at, now), style="red" if status.late else ""),
        str(standing.undelivered or ""),
        Text("; ".join(trouble), style="red"),
    ]


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """One delivery of `deliveries --json`. `next_attempt_at` is null where none will be made by itself."""
    receipt = delivery.receipt
    return {
        "key": str(delivery.key),
        "state": delivery.state.value,
        "kind": delivery.kind.value,
        "queue_id": str(delivery.queue.queue_id) if delivery.queue else None,
        "queue": delivery.queue.name if delivery.queue else None,
        "channel": delivery.channel,
        "created_at": stamp(delivery.created_at),
        "attempts": delivery.attempts,
        "last_error": delivery.last_error or None,
        "next_attempt_at": stamp(_next_attempt_at(delivery)),
        "settled_at": stamp(delivery.settled_at),
        "ts": receipt.ts if receipt else None,
        "edits": delivery.edits,
        "edited_at": stamp(delivery.edited_at),
    }


def _next_attempt_at(delivery: Delivery) -> datetime | None:
    live = delivery.settled_at is None and delivery.due_at < NEVER
    return delivery.due_at if live else None


def print_deliveries(deliveries: Iterable[Delivery], now: datetime) -> None:
    """`deliveries` for people."""
    columns = ("Key", "State", "Kind", "Queue", "Channel", "Created", "Attempts", "Next attempt", "Last error")
    print_table(columns, [_delivery_row(delivery, now) for delivery in deliveries], empty="The outbox is empty.")


def _delivery_row(delivery: Delivery, now: datetime) -> list[str]:
    upcoming = _next_attempt_at(delivery)
    return [
        str(delivery.key),
        delivery.state.value,
        delivery.kind.value,
        delivery.queue.name if delivery.queue else "",
        delivery.channel,
        ago(delivery.created_at, now),
        str(delivery.attempts),
        "" if upcoming is None else "now" if upcoming <= now else f"in {age_text(upcoming - now)}",
        delivery.last_error,
    ]


def print_findings(findings: Iterable[Finding]) -> None:
    """`check` for people: one line a check, the remedy behind a finding."""
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        mark = Text("ok     ", style="green") if finding.ok else Text("FINDING", style="bold red")
        remedy = f". Remedy: {finding.remedy}" if finding.remedy else ""
        console.print(Text.assemble(mark, f"  {finding.name}: {finding.text}{remedy}"))


def finding_json(finding: Finding) -> dict[str, Any]:
    """One check of `check --json`."""
    return {"check": finding.name, "ok": finding.ok, "text": finding.text, "remedy": finding.remedy or None}


def story_lines(story: Story, now: datetime) -> list[str]:
    """All that is known of one stay of a run: first seen, each notice with its fate and its edits, closed."""
    review = story.review
    lines = [
        f"{_line(review.facts.name) or review.queue_run_id} in {_line(story.queue.name)}",
        f"  {stamp(review.first_seen_at)}  first seen; waits since {stamp(review.since)}"
        + (" (back in the queue)" if review.back else ""),
    ]
    for told in story.told:
        lines += [f"  {line}" for line in _delivery_story(told.delivery, left_out=told.left_out)]
    if review.closed_at is None:
        lines.append(f"  {stamp(now)}  still waiting" + (", reserved" if review.reserved else ""))
    else:
        left = review.left or Left.UNKNOWN
        how = "no longer waiting" if left is Left.UNKNOWN else left.value
        lines.append(f"  {stamp(review.closed_at)}  closed: {how}")
    return lines


def _delivery_story(delivery: Delivery, *, left_out: bool) -> list[str]:
    fate = delivery.state.value
    if left_out:
        fate = f"{fate} without this run: it was reviewed before"
    if delivery.receipt:
        fate += f" to {_line(delivery.receipt.channel)} as {_line(delivery.receipt.ts)}"
    attempts = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    lines = [f"{stamp(delivery.created_at)}  {delivery.kind.value} {delivery.key} for {delivery.channel}"]
    lines.append(f"{stamp(delivery.settled_at) or ' ' * 20}    {fate}, {attempts}" + _because(delivery))
    if delivery.edits:
        often = "once" if delivery.edits == 1 else f"{delivery.edits} times, last then"
        lines.append(f"{stamp(delivery.edited_at)}    edited {often}")
    return lines


def _because(delivery: Delivery) -> str:
    return f": {_line(delivery.last_error)}" if delivery.last_error else ""


def _line(text: str) -> str:
    """Text from outside, which must not look like a line of ours or move the cursor."""
    return flat(text, LONGEST)


def story_json(story: Story) -> dict[str, Any]:
    """One stay of `why --json`."""
    review = story.review
    return {
        "queue_run_id": str(review.queue_run_id),
        "queue_id": str(story.queue.queue_id),
        "queue": story.queue.name,
        "added_at": stamp(review.added_at),
        "first_seen_at": stamp(review.first_seen_at),
        "since": stamp(review.since),
        "back": review.back,
        "closed_at": stamp(review.closed_at),
        "left": review.left.value if review.left else None,
        "notices": [delivery_json(told.delivery) | {"left_out": told.left_out} for told in story.told],
    }
