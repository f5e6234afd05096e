"""The messages whose rendering is kept as JSON. `python -m tests.golden_slack` writes the files anew."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from worker.core.audience import Problem
from worker.core.controls import Controls, Ends
from worker.core.message import Line, Message, Shares
from worker.core.model import FIRST_SIGHT, Facts, Fate, Kind, Queue, QueueTotals, Show
from worker.core.owed import Destination, QueueShare, Receipt
from worker.core.text import marked_place
from worker.notifiers.slack import blocks

FOLDER = Path(__file__).parent / "data" / "slack"
TEAM_URL = "https://acme.slack.com/"
AS_OF = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
KEY = UUID("6f1c2a52-7d0b-5d3f-9a77-3d1f2f6f0a11")
WEB = "https://smith.langchain.com/o/5b1f"

HOSTILE = (
    "<!channel> *urgent* _see_ ~now~ `x` <https://evil.example|here> https://evil.example @everyone\n• fake \u202egnp"
)


def queue(name: str = "Support QA", **changes: object) -> Queue:
    return replace(
        Queue(
            queue_id=UUID("11111111-2222-4333-8444-555555555555"),
            name=name,
            url=f"{WEB}/annotation-queues/11111111-2222-4333-8444-555555555555",
        ),
        **changes,
    )


def line(name: str = "Refund flow", wait: timedelta = timedelta(hours=4), **changes: object) -> Line:
    run_id = UUID(int=0x1A2B3C4D << 96 | len(name))
    facts = Facts(
        name=name, run_type="chain", url=f"{WEB}/projects/p/77aa/r/{run_id}?poll=true", tags=("prod", "eu-west")
    )
    return dataclasses.replace(Line(facts=facts, run_id=run_id, since=AS_OF - wait), **changes)


def with_facts(told: Line, **changes: object) -> Line:
    return dataclasses.replace(told, facts=replace(told.facts, **changes))


def message(kind: Kind = Kind.ANNOUNCEMENT, lines: tuple[Line, ...] = (), **changes: object) -> Message:
    """One whose runs are all there for its kind; nothing is known of the rest of its queue unless `queue_has` says."""
    total = changes.get("total", len(lines))
    made = Message(
        key=KEY,
        kind=kind,
        destination=Destination("slack", "C0SUPPORT00"),
        as_of=AS_OF,
        queue=queue(),
        lines=lines,
        total=total,
        waiting=sum(one.fate is None for one in lines),
        standing=Shares(
            new=total if kind in FIRST_SIGHT else 0,
            escalated=total if kind is Kind.ESCALATION else 0,
            overdue=total if kind in {Kind.REMINDER, Kind.ESCALATION} else 0,
        ),
    )
    return replace(made, **changes)


def standing(made: Message, **changes: object) -> Message:
    """The same message with other counts of its runs."""
    return replace(made, standing=replace(made.standing, **changes))


def queue_has(made: Message, waiting: int, stale: int = 0, reserved: int = 0, hours: float = 70) -> Message:
    """The same message while so many runs wait in its queue."""
    totals = QueueTotals(waiting, stale, reserved, AS_OF - timedelta(hours=hours))
    return standing(made, queue=totals)


def late(made: Line) -> Line:
    return dataclasses.replace(made, overdue=True)


def due(made: Line, wait: timedelta) -> Line:
    return dataclasses.replace(made, due_at=AS_OF + wait)


def queue_line(name: str, waiting: int, total: int | None = None, days: int = 2, **changes: object) -> QueueShare:
    # Each has an id of its own, as far as its name does.
    return QueueShare(
        queue(name, **{"queue_id": uuid5(KEY, name)} | changes), waiting, total or waiting, AS_OF - timedelta(days=days)
    )


def _lines(count: int, first: int = 4711) -> tuple[Line, ...]:
    names = ("Refund flow", "Order status", "Cancel subscription", "Change address", "Missing parcel")
    return tuple(line(f"{names[n % 5]} #{first + n}", timedelta(minutes=7 * (count - n))) for n in range(count))


MIXED = (
    line("Refund flow", timedelta(days=3), fate=Fate.REVIEWED),
    line("Order status", timedelta(hours=26), fate=Fate.REMOVED),
    line("Cancel subscription", timedelta(hours=5), fate=Fate.UNKNOWN),
    line("Change address", timedelta(hours=4), reserved=True, done=1, of=2),
    line("Missing parcel", timedelta(minutes=12), back=True),
)
MANY_DONE = tuple(dataclasses.replace(one, fate=Fate.REVIEWED) for one in _lines(9, 4801))
DONE = MANY_DONE[:3]
EVERYTHING = with_facts(
    line("RAG answer"),
    error="TimeoutError: the retriever took longer than 30 s",
    inputs_preview='{"question": "Where is my parcel?"}',
    outputs_preview="It is on its way & arrives <tomorrow>",
    thread="conversation-19",
    tokens=1234,
    cost="$0.0123",
)

SOON = tuple(due(one, timedelta(hours=4) - (AS_OF - one.since)) for one in _lines(5))
"""They are stale after four hours."""

LATE = (late(line(wait=timedelta(days=2))), late(line("Order status", timedelta(hours=5))))
MANY_LATE = tuple(late(with_facts(one, name=f"support assistant: order {n} 🚚")) for n, one in enumerate(_lines(10)))
ALONG = (
    due(line("Cancel subscription", timedelta(hours=3, minutes=10)), timedelta(minutes=50)),
    due(line("Change address", timedelta(hours=3)), timedelta(hours=1)),
)
PURPOSES = (
    dataclasses.replace(late(line(wait=timedelta(days=2))), purpose=Kind.ESCALATION),
    dataclasses.replace(late(line("Order status", timedelta(hours=5))), purpose=Kind.REMINDER),
    dataclasses.replace(SOON[3], purpose=Kind.ANNOUNCEMENT),
    dataclasses.replace(SOON[4], purpose=Kind.ANNOUNCEMENT),
)
ALIKE = tuple(
    with_facts(line("LangGraph", timedelta(minutes=minutes)), inputs_preview=question)
    for minutes, question in (
        (50, "Where is my parcel?"),
        (50, "Can I pay by invoice?"),
        (20, "Please cancel order 4711 & refund me, the parcel never came and nobody answers my mail"),
        (20, ""),
    )
)
NUMBERED = tuple(dataclasses.replace(one, run_id=UUID(int=0x1A2B3C4D << 96 | n)) for n, one in enumerate(ALIKE))
QUEUES = tuple(queue_line(f"Team {n:02} support", 4 + n, days=n) for n in range(1, 16))

OWED = (
    line("Refund flow", done=1, of=2, waiting_for=("Ada Lovelace",)),
    line("Order status", waiting_for=("Ada", "<!channel> *Ben* & Co"), reserved=True, reserved_by=("Eve",)),
    line("Missing parcel", waiting_for=("Ada", "Ben", "Eve", "Zoe", "Max"), done=1, of=6),
    line("Change address", reserved=True, reserved_by=("Ada", "Ben")),
)
"""Runs of which it is known whose turn they are."""


MINE = (
    line("Refund flow", done=1, of=2, waiting_for=("Ben",)),
    line("Order status"),
    line("Missing parcel", timedelta(hours=2), reserved=True, reserved_by=("Ada",)),
)
OF_QUEUES = (
    dataclasses.replace(MINE[0], queue=queue()),
    dataclasses.replace(MINE[1], queue=queue("Billing", queue_id=UUID(int=2))),
    dataclasses.replace(MINE[2], queue=queue(), overdue=True),
)
ENDED = (
    line("Change address", is_done=True, done=1, of=2),
    line("Late parcel", is_others=True),
    line("Old ticket", fate=Fate.REVIEWED),
    line("Spam", fate=Fate.REMOVED),
)
BEYOND = (
    line("Refund flow", overdue=True, reminded=3),
    line("Order status", waiting_for=("Ben",), reminded=1),
    line("Missing parcel", purpose=Kind.ESCALATION, waiting_for=("Ada",)),
)
UNHEARD = (
    line("Refund flow", waiting_for=("Ada",), unheard=(("Ada", Problem.LEFT),)),
    line("Order status", waiting_for=("Ben",), unheard=(("Ben", Problem.NONE),)),
    line("Missing parcel", unheard=(("", Problem.NO_EMAIL),)),
    line("Slow answer", waiting_for=("Ben", "Zoe"), unheard=(("Zoe", Problem.UNKNOWN),)),
    line("Wrong answer", waiting_for=("Ben",), unheard=(("", Problem.FORGOTTEN),)),
    line("Late parcel", waiting_for=("Ben", "Zoe"), unheard=(("Zoe", Problem.UNKNOWN), ("Ben", Problem.NONE))),
    line("Old ticket", waiting_for=("Ben", "Eve"), unheard=(("Ben", Problem.NONE), ("Eve", Problem.NONE))),
    line(
        "Change address",
        done=1,
        of=2,
        waiting_for=("Ada", "Ben", "Eve", "Zoe"),
        unheard=(("Ada", Problem.LEFT), ("Zoe", Problem.UNKNOWN), ("", Problem.NO_EMAIL), (HOSTILE, Problem.BOT)),
    ),
)


def direct(lines: tuple[Line, ...], **changes: object) -> Message:
    """A direct message whose new runs are all its runs that wait."""
    waiting = sum(one.is_waiting for one in lines)
    places = tuple({one.queue.queue_id: one.queue for one in lines if one.queue is not None}.values())
    usual = {"waiting": waiting, "standing": Shares(new=waiting, places=places), "queue": None if places else queue()}
    return message(Kind.DIRECT, lines, destination=Destination("slack", "U0ADA00001"), **(usual | changes))


BERLIN = ZoneInfo("Europe/Berlin")
ENDS = Ends(AS_OF.replace(day=24, hour=8, minute=0), AS_OF.replace(day=30, hour=8, minute=0), BERLIN)


def pressable(made: Message, queue_ends: Ends | None = ENDS) -> Message:
    """The same message with what can be pressed in it, each of its runs by an id of its own."""
    lines = tuple(dataclasses.replace(one, queue_run_id=UUID(int=number)) for number, one in enumerate(made.lines))
    return replace(
        made, lines=lines, controls=Controls(tuple(ENDS if one.is_waiting else None for one in lines), queue_ends)
    )


CASES: dict[str, Message] = {
    "baseline_many": queue_has(message(Kind.BASELINE, _lines(10), total=5_000, waiting=5_000), 5_000, 312, 8),
    "baseline_one": queue_has(message(Kind.BASELINE, _lines(1)), 1, hours=0.1),
    "baseline_queues": message(Kind.BASELINE, queue=None, queue_lines=QUEUES),
    "baseline_queues_many": message(
        Kind.BASELINE,
        queue=None,
        queue_lines=(
            *QUEUES,
            *(queue_line(f"Sales {n}", n + 1) for n in range(15)),
            queue_line("One run", 1),
            queue_line("Empty", 0, 7),
        ),
    ),
    "baseline_queues_partly": message(
        Kind.BASELINE,
        queue=None,
        queue_lines=(queue_line("Support QA", 3, 12), queue_line("RAG bot", 5), queue_line("Billing", 0, 4)),
        is_edit=True,
    ),
    "baseline_queues_done": message(
        Kind.BASELINE, queue=None, queue_lines=(queue_line("Support QA", 0, 12), queue_line("RAG bot", 0, 5))
    ),
    "baseline_queues_alike": message(
        Kind.BASELINE,
        queue=None,
        queue_lines=(queue_line("Support QA", 2), queue_line("Support QA", 3, queue_id=UUID(int=7)), queue_line("", 1)),
    ),
    "announcement": queue_has(message(Kind.ANNOUNCEMENT, SOON), 7, 2, 1),
    "announcement_alone": message(Kind.ANNOUNCEMENT, SOON),
    "announcement_one": queue_has(message(Kind.ANNOUNCEMENT, SOON[4:]), 1, hours=0.12),
    "announcement_back": queue_has(
        message(Kind.ANNOUNCEMENT, (line(back=True), line("Order status", back=True))), 2, hours=4
    ),
    "announcement_mixed_back": message(Kind.ANNOUNCEMENT, (line(back=True), line("Order status"))),
    "announcement_bare": message(
        Kind.ANNOUNCEMENT, (Line(Facts(), UUID(int=7), AS_OF), Line(Facts(), None, AS_OF)), queue=queue(url="")
    ),
    "announcement_everything": message(Kind.ANNOUNCEMENT, (EVERYTHING, line("Order status")), show=frozenset(Show)),
    "announcement_nothing_shown": queue_has(
        message(Kind.ANNOUNCEMENT, (late(EVERYTHING), SOON[0]), show=frozenset()), 5, 3, 1
    ),
    "announcement_alike_previews": message(Kind.ANNOUNCEMENT, ALIKE, show=frozenset(Show)),
    "announcement_alike_times": message(
        Kind.ANNOUNCEMENT, (ALIKE[0], ALIKE[2], dataclasses.replace(MIXED[0], facts=ALIKE[0].facts))
    ),
    "announcement_alike_ids": message(Kind.ANNOUNCEMENT, NUMBERED),
    "announcement_alike_numbers": message(
        Kind.ANNOUNCEMENT, tuple(dataclasses.replace(one, run_id=None) for one in ALIKE)
    ),
    "announcement_partly_reviewed": replace(queue_has(message(Kind.ANNOUNCEMENT, MIXED), 9, 3, 1), is_edit=True),
    "announcement_reviewed": replace(queue_has(message(Kind.ANNOUNCEMENT, DONE), 4), is_edit=True),
    "announcement_reviewed_one": message(Kind.ANNOUNCEMENT, DONE[:1]),
    "announcement_gone": message(Kind.ANNOUNCEMENT, MIXED[:3]),
    "announcement_gone_one": message(Kind.ANNOUNCEMENT, MIXED[1:2]),
    "announcement_more_partly": message(Kind.ANNOUNCEMENT, (*_lines(7), *DONE), total=25, waiting=12),
    "announcement_more_gone": message(Kind.ANNOUNCEMENT, (*_lines(7), *DONE), total=25, waiting=7),
    "announcement_more_done": message(Kind.ANNOUNCEMENT, MANY_DONE, total=25, waiting=0),
    "announcement_of_all_purposes": queue_has(
        standing(message(Kind.ANNOUNCEMENT, PURPOSES[1:]), new=2, overdue=1), 6, 2
    ),
    "announcement_people": queue_has(message(Kind.ANNOUNCEMENT, OWED), 4, reserved=2, hours=4),
    "announcement_in_berlin": queue_has(message(Kind.ANNOUNCEMENT, SOON, zone=ZoneInfo("Europe/Berlin")), 5, hours=0.6),
    "reminder": queue_has(message(Kind.REMINDER, LATE), 7, 2, 1, hours=48),
    "reminder_one": queue_has(message(Kind.REMINDER, LATE[:1]), 1, 1, hours=48),
    "reminder_along": queue_has(
        standing(message(Kind.REMINDER, (*LATE, *ALONG)), along=2, along_by=ALONG[1].due_at, overdue=2),
        7,
        2,
        1,
        hours=48,
    ),
    "reminder_along_tomorrow": queue_has(
        standing(
            message(Kind.REMINDER, (*LATE, due(ALONG[0], timedelta(hours=30)))),
            along=1,
            overdue=2,
            along_by=AS_OF + timedelta(hours=30),
        ),
        3,
        2,
        hours=48,
    ),
    "reminder_along_alone": queue_has(
        standing(message(Kind.REMINDER, ALONG), along=2, along_by=ALONG[1].due_at, overdue=0), 2, hours=3.2
    ),
    "reminder_ageless": queue_has(
        standing(
            message(Kind.REMINDER, (*LATE, *ALONG), show=frozenset({Show.NAME})), along=2, along_by=ALONG[1].due_at
        ),
        7,
        2,
        1,
    ),
    "reminder_alone": message(Kind.REMINDER, LATE),
    "reminder_succeeded": message(Kind.REMINDER, _lines(3), successor=Receipt("C0SUPPORT00", "1795425000.000200")),
    "escalation": queue_has(
        message(Kind.ESCALATION, LATE, mention=("U0LEAD00000", "S0ONCALL000", "<!channel>")), 9, 4, hours=48
    ),
    "escalation_one": queue_has(message(Kind.ESCALATION, LATE[:1]), 1, 1, hours=48),
    "escalation_of_all_purposes": queue_has(
        standing(message(Kind.ESCALATION, PURPOSES), new=2, escalated=1, overdue=2), 6, 2, 1, hours=48
    ),
    "direct_new": direct(MINE[:2]),
    "direct_of_queues": standing(direct(OF_QUEUES), overdue=1),
    "direct_new_of_one_queue": standing(direct(OF_QUEUES[1:]), new=1, overdue=1, places=(queue("Billing"),)),
    "direct_overdue": standing(direct(LATE), new=0, overdue=2),
    "direct_partly": replace(direct((*MINE[:1], *ENDED)), is_edit=True),
    "direct_done": replace(direct(ENDED[:3]), is_edit=True),
    "direct_hostile": direct((dataclasses.replace(line(HOSTILE, waiting_for=(HOSTILE,)), queue=queue(HOSTILE)),)),
    "owner": direct(UNHEARD, is_for_owner=True),
    "owner_of_channel": direct(BEYOND, is_for_owner=True),
    "owner_partly": direct((*UNHEARD[:1], *ENDED[2:3]), is_for_owner=True, is_edit=True),
    "owner_done": direct((*ENDED[2:3], *ENDED[2:3]), is_for_owner=True, is_edit=True),
    "ops_held": message(
        Kind.OPS,
        queue=None,
        text=f"Posting to {marked_place('C0SUPPORT00')} fails: {HOSTILE} since 2026-11-23 09:12 UTC. An announcement "
        f"of 3 runs in {HOSTILE} waits; `review-notifier deliveries` lists it, `rm -rf /` does not. Host: worker-1.",
    ),
    "ops_dead": message(
        Kind.OPS,
        queue=None,
        text=f"A reminder of 4 runs in Support QA for {marked_place('support-qa')} could not be delivered: too long. "
        f"When the cause is fixed, run `review-notifier retry {UUID(int=7)}`.",
    ),
    "ops": message(Kind.OPS, queue=None, text=f"Polling {HOSTILE} has failed since 09:12 UTC."),
    "hostile": message(
        Kind.ANNOUNCEMENT,
        (
            with_facts(
                line(HOSTILE),
                run_type=HOSTILE,
                tags=(HOSTILE, "", "\u200b", *"abcdef"),
                error=HOSTILE * 9,
                url="javascript:alert(1)",
                inputs_preview=HOSTILE,
            ),
            with_facts(line("a|b>c<d&e"), url="https://smith.langchain.com/r/a|b>c<d e?x=1&y=~*`\n"),
            with_facts(line("x" * 5_000, timedelta(days=-400)), url="https://user@evil.example/"),
            with_facts(line("\u202e\x00\u2028"), cost=HOSTILE, thread="`|`", tokens=3),
            line(HOSTILE, fate=Fate.REVIEWED),
            line("~", timedelta(days=739_000), fate=Fate.REMOVED),
        ),
        queue=queue(HOSTILE),
        show=frozenset(Show),
    ),
    "hostile_queues": message(
        Kind.BASELINE,
        queue=None,
        queue_lines=(
            queue_line(HOSTILE, 3, url="javascript:alert(1)"),
            queue_line(HOSTILE, 0, 4, url="https://x.example/a|b>c<d", queue_id=HOSTILE),
            queue_line("a|b>c<d&e ~x~", 2, queue_id=HOSTILE),
        ),
    ),
    "controls": pressable(
        queue_has(
            message(
                Kind.ANNOUNCEMENT,
                (
                    SOON[0],
                    *DONE[:2],
                    dataclasses.replace(SOON[1], claimed_by="Ada"),
                    dataclasses.replace(SOON[2], reserved=True),
                ),
                zone=BERLIN,
                is_edit=True,
            ),
            3,
        )
    ),
    "controls_of_queues": pressable(standing(direct(OF_QUEUES), overdue=1), None),
    "controls_of_ten": pressable(queue_has(message(Kind.REMINDER, MANY_LATE), 5_000, 312, 8)),
    "controls_of_ten_with_previews": pressable(
        message(
            Kind.ANNOUNCEMENT,
            tuple(dataclasses.replace(EVERYTHING, run_id=UUID(int=n)) for n in range(10)),
            show=frozenset(Show),
        )
    ),
    "plain": replace(queue_has(message(Kind.ANNOUNCEMENT, MIXED, plain=True), 9, 3, 1), is_edit=True),
}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def written(name: str) -> str:
    rendered = blocks.render(CASES[name], team_url=TEAM_URL)
    return json.dumps(rendered, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in {*FOLDER.glob("*.json")} - {path_of(name) for name in CASES}:
        stale.unlink()
    for name in CASES:
        path_of(name).write_text(written(name), encoding="utf-8")
    sys.stdout.write(f"wrote {len(CASES)} files\n")


if __name__ == "__main__":
    main()
