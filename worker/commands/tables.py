"""Output of the commands: tables for people, JSON for programs. Pure but for the printing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.core.model import Kind
from worker.core.outbox import ready_at
from worker.core.owed import NEVER, State
from worker.core.text import day_time_in, json_safe, plain
from worker.notifiers.words import counted
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from worker.commands.status import ActsOfQueue, Status
    from worker.commands.upcoming import Unpolled
    from worker.core.calendar import Calendar
    from worker.core.message import Message
    from worker.core.model import Queue, QueueTotals
    from worker.core.overview import Finding, LinkState, Process, QueueView, Reason
    from worker.core.owed import Delivery
    from worker.core.status.upcoming import Held
    from worker.loops.preview import Preview

BEGINNINGS = frozenset({"Key", "Queue run"})
WHOLE = BEGINNINGS | {"Id"}
"""Columns of ids, which are never broken: people copy them."""

_TWO_LINES = frozenset({"Next due"})
"""Columns whose cells are broken after their first word where there is little room, and nowhere else."""

ROOMY = 120
"""The width of a terminal from which on an id of 36 characters leaves room for the rest."""

WIDE = 200
"""The width of a table where the output is not a terminal: a pipe cuts nothing off."""


def say(*lines: str) -> None:
    """Print lines to stdout for people; text from outside in them is made harmless."""
    sys.stdout.writelines(f"{_indented(line)}\n" for line in lines)


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" "))) + plain(line)


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object as JSON to stdout, with everything escaped that a terminal would obey.

    Its keys are those of docs/json.md: an object can be extended where a list at the top could not.
    """
    # In another encoding, such as that of LANG=C, some characters could not be written at all.
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only)
    sys.stdout.write(json_safe(text) + "\n")


def print_table(
    columns: Iterable[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    empty: str,
    console: Console | None = None,
    unbroken: frozenset[str] = frozenset(),
) -> None:
    """Print a table, or `empty` where it would have no rows. Cells are shown plain, never as markup.

    Columns of ids and those that are to stay `unbroken` are not folded.
    """
    console = console or _stdout()
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(columns)
    for column in names:
        table.add_column(
            column,
            overflow="fold",
            no_wrap=column in WHOLE | unbroken or (column in _TWO_LINES and console.width < ROOMY),
        )
    for row in rows:
        cells = zip(names, row, strict=True)
        table.add_row(*(_fitted(name, cell, console) for name, cell in cells))
    console.print(table if table.row_count else Text(empty))


def _stdout() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def _fitted(column: str, cell: str | Text, console: Console) -> Text:
    shown = _cell(_short(cell) if _is_cut(column, console) else cell)
    if column in _TWO_LINES and console.width < ROOMY:
        return Text(shown.plain.replace(" ", "\n", 1), style=shown.style)
    return shown


def _is_cut(column: str, console: Console) -> bool:
    """Whether a column shows only the beginnings of ids."""
    # Only of those by whose beginning `why` and `retry` find them, too.
    return column in BEGINNINGS and console.width < ROOMY


def _short(cell: str | Text) -> str:
    return str(cell)[:8]


def _cell(cell: str | Text) -> Text:
    return Text(plain(cell.plain), style=cell.style) if isinstance(cell, Text) else Text(plain(cell))


def age_text(duration: timedelta) -> str:
    """A duration as people say it: `45 s`, `12 min`, `4 h`, `3 d`."""
    seconds = max(int(duration.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago_text(instant: datetime | None, now: datetime) -> str:
    """The time since an instant, in words, or `never`."""
    return "never" if instant is None else f"{age_text(now - instant)} ago"


def stamp(instant: datetime | None) -> str | None:
    """An instant for programs: ISO 8601, UTC."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def queue_json(queue: Queue | None) -> dict[str, str | None]:
    """The queue that an object is about."""
    return {
        "queue_id": None if queue is None else str(queue.queue_id),
        "queue": None if queue is None else queue.name or None,
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """One delivery of `deliveries --json`. `next_attempt_at` is null where none will be made by itself."""
    receipt = delivery.receipt
    return {
        "key": str(delivery.key),
        "state": delivery.state.value,
        "kind": delivery.kind.value,
        **queue_json(delivery.queue),
        "channel": delivery.destination.place,
        "created_at": stamp(delivery.created_at),
        "attempts": delivery.attempts,
        "error": delivery.last_error or None,
        "next_attempt_at": stamp(_next_attempt_at(delivery)),
        "settled_at": stamp(delivery.settled_at),
        "ts": receipt.ts if receipt else None,
        "edits": delivery.edits,
        "edited_at": stamp(delivery.edited_at),
    }


def _next_attempt_at(delivery: Delivery) -> datetime | None:
    live = delivery.settled_at is None and delivery.due_at < NEVER
    return ready_at(delivery) if live else None


def print_deliveries(deliveries: Sequence[Delivery], now: datetime, console: Console | None = None) -> None:
    """`deliveries` for people. Where there is little room, the errors stand below, and no word is broken for them."""
    console = console or _stdout()
    has_room = console.width >= _ROOM_FOR_ERRORS
    shown = [_delivery_cells(delivery, now) for delivery in deliveries]
    columns = [name for name in _COLUMNS if has_room or name not in {"Attempts", "Last error"}]
    rows = [[cells[name] for name in columns] for cells in shown]
    unbroken = frozenset(name for name in _UNBROKEN if all(len(cells[name]) <= _SHORT for cells in shown))
    print_table(columns, rows, empty="The outbox is empty.", console=console, unbroken=unbroken)
    errors = [f"{cells['Key'][:8]}: {plain(cells['Last error'])}" for cells in shown if cells["Last error"]]
    if errors and not has_room:
        console.print("", "Last errors:", *errors, sep="\n", markup=False)


_COLUMNS = ("Key", "State", "Kind", "Queue", "Channel", "Created", "Attempts", "Next", "Last error")
_UNBROKEN, _SHORT = frozenset({"State", "Kind", "Channel", "Created", "Next"}), 12
_ROOM_FOR_ERRORS = 160
"""The width from which on the table of deliveries has room for a column of errors."""


def _delivery_cells(delivery: Delivery, now: datetime) -> dict[str, str]:
    upcoming = _next_attempt_at(delivery)
    return {
        "Key": str(delivery.key),
        "State": delivery.state.value,
        "Kind": delivery.kind.value,
        "Queue": delivery.queue.name if delivery.queue else "",
        "Channel": delivery.destination.place,
        "Created": ago_text(delivery.created_at, now),
        "Attempts": str(delivery.attempts),
        "Next": "" if upcoming is None else "now" if upcoming <= now else f"in {age_text(upcoming - now)}",
        "Last error": delivery.last_error,
    }


def print_findings(findings: Iterable[Finding]) -> None:
    """`check` for people: a line for each check, what is well first, each finding with its fix, and their number."""
    console = Console(highlight=False, soft_wrap=True)
    found = sorted(findings, key=lambda finding: not finding.ok)
    for finding in found:
        mark = Text("ok     ", style="green") if finding.ok else Text("FINDING", style="bold red")
        fix = f". Fix: {finding.fix}" if finding.fix else ""
        console.print(Text.assemble(mark, "  ", plain(f"{finding.name}: {finding.text}{fix}")))
    problems = sum(not finding.ok for finding in found)
    if found:
        console.print(f"{counted(problems, 'problem') if problems else 'No problem'} in {counted(len(found), 'check')}")


def findings_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """`check --json` and `test --json`, in the order of the checks."""
    return {
        "ok": all(finding.ok for finding in findings),
        "problems": sum(not finding.ok for finding in findings),
        "checks": [
            {"check": finding.name, "ok": finding.ok, "text": finding.text, "fix": finding.fix or None}
            for finding in findings
        ],
    }


def preview_text(queues: int, preview: Preview) -> str:
    """How many messages the next poll of so many queues posts where, and how many are held until when."""
    messages, held = preview.messages(), preview.held()
    parts = [_places(messages)] if messages else ["nothing to post now"] if held else []
    parts += [f"held until {day_time_in(each.until, each.zone)}: {_places(each.messages)}" for each in held]
    if preview.entering:
        parts.append(f"{counted(preview.entering, 'new run')} shown by an edit of a message that is posted already")
    return f"{counted(queues, 'queue')}: {'; '.join(parts) or 'nothing to post'}"


def unread_text(unread: int, queues: int, *, is_something: bool) -> str:
    """How many queues could not be read, and whether there is anything to post of the others."""
    other = "of the others:" if is_something else "nothing else to post"
    if not max(queues, unread):
        return "Could not read any queue; nothing to post"
    return f"Could not read {unread} of {counted(max(queues, unread), 'queue')}; {other}"


def _places(messages: Iterable[Message]) -> str:
    """`1 baseline to C0SUPPORT00, 2 escalations to C0LEADS0000`."""
    found = Counter((_KINDS.get(message.kind, message.kind.value), message.destination.place) for message in messages)
    return ", ".join(f"{counted(many, kind)} to {channel}" for (kind, channel), many in found.items())


_KINDS = {Kind.OPS: "report"}
"""What messages are called whose kind is no word of its own."""


def unpolled_json(each: Unpolled) -> dict[str, Any]:
    """The same of one queue for programs."""
    return {
        **queue_json(each.queue),
        "undelivered": each.deliveries,
        "withdrawn_at": stamp(each.withdrawn_at),
    }


def status_json(found: Status) -> dict[str, Any]:
    """Everything that `status` shows, for programs."""
    services = [_process_json(process) for process in found.services]
    queues = zip(
        found.overview.queues,
        found.standings,
        found.workers,
        found.calendars,
        found.held,
        found.acts,
        strict=True,
    )
    return {
        "running": bool(services),
        "service": services[0] if services else None,
        "services": services,
        "listing": _listing_json(found.listing),
        "queues": [_queue_json(*each, now=found.overview.taken_at) for each in queues],
        "dead": found.count(State.DEAD),
        "held": found.count(State.HELD),
        "unpolled": [unpolled_json(each) for each in found.unpolled],
        "reasons": [_reason_json(reason) for reason in found.reasons],
        "ok": not found.reasons,
    }


def _listing_json(listing: Mapping[str, str | None]) -> dict[str, Any] | None:
    """The listing of the source that is read, as the source has written it down."""
    if not listing:
        return None
    ends_at = listing.get("ends_at")
    return {
        "api": listing.get("name"),
        "ends_at": ends_at and stamp(datetime.fromisoformat(ends_at)),
        "meaning": listing.get("meaning"),
    }


def _process_json(process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "host": process.host,
        "since": stamp(process.started_at),
        "version": process.version,
        "link": None if process.link is None else link_json(process.link),
    }


def link_json(link: LinkState) -> dict[str, Any]:
    """The link by which people are heard, for programs."""
    return {
        "connected_at": stamp(link.connected_at),
        "links": link.links,
        "counted": link.counted,
        "last_pong_at": stamp(link.pong_at),
    }


def _reason_json(reason: Reason) -> dict[str, Any]:
    return {
        "kind": reason.kind,
        "area": ADVICE.area(reason.area),
        "subject": reason.subject or None,
        "text": reason.text,
        "fix": reason.fix,
        "since": stamp(reason.since),
    }


def _queue_json(  # noqa: PLR0913  (all that is known of a queue)
    queue: QueueView,
    standing: QueueTotals,
    worker: str | None,
    calendar: Calendar,
    held: Held,
    acted: ActsOfQueue,
    *,
    now: datetime,
) -> dict[str, Any]:
    """One queue. Ages in whole seconds."""
    polled, oldest = queue.polled, standing.oldest_since
    return {
        **queue_json(polled.queue),
        "waiting": standing.waiting,
        "stale": standing.stale,
        "left_out": standing.left_out,
        "expiring": standing.expiring,
        "expires_at": stamp(standing.expires_at),
        "disagreed": polled.queue.disagreed,
        "oldest_since": stamp(oldest),
        "oldest_age_seconds": None if oldest is None else max(int((now - oldest).total_seconds()), 0),
        "last_complete_poll_at": stamp(polled.completed_at),
        "late": queue.is_late(now),
        "failing_since": stamp(polled.failing_since),
        "error": polled.error or None,
        "undelivered": standing.undelivered,
        "dead": standing.dead,
        "worker": worker,
        "open": calendar.is_open(now),
        "held_until": stamp(held.until),
        "claimed": acted.claimed,
        "snoozed": acted.snoozed,
        "muted_until": stamp(acted.muted_until),
    }
