"""The messages whose rendering is kept as JSON. `python -m tests.golden_slack` writes the files anew."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from msgspec import structs

from worker.core.message import Line, Message
from worker.core.model import Facts, Fate, Kind, Queue, Show
from worker.core.owed import Receipt
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
    return replace(Line(facts=facts, run_id=run_id, since=AS_OF - wait), **changes)


def with_facts(told: Line, **changes: object) -> Line:
    return replace(told, facts=structs.replace(told.facts, **changes))


def message(kind: Kind = Kind.ANNOUNCEMENT, lines: tuple[Line, ...] = (), **changes: object) -> Message:
    return replace(
        Message(
            key=KEY,
            kind=kind,
            channel="C0SUPPORT00",
            as_of=AS_OF,
            queue=queue(),
            lines=lines,
            total=len(lines),
            waiting=sum(one.fate is None for one in lines),
        ),
        **changes,
    )


def _lines(count: int) -> tuple[Line, ...]:
    names = ("Refund flow", "Order status", "Cancel subscription", "Change address", "Missing parcel")
    return tuple(line(f"{names[n % 5]} #{4711 + n}", timedelta(minutes=7 * (count - n))) for n in range(count))


MIXED = (
    line("Refund flow", timedelta(days=3), fate=Fate.REVIEWED),
    line("Order status", timedelta(hours=26), fate=Fate.REMOVED),
    line("Cancel subscription", timedelta(hours=5), fate=Fate.UNKNOWN),
    line("Change address", timedelta(hours=4), reserved=True, done=1, of=2),
    line("Missing parcel", timedelta(minutes=12), back=True),
)
DONE = tuple(replace(one, fate=Fate.REVIEWED) for one in _lines(3))
EVERYTHING = with_facts(
    line("RAG answer"),
    error="TimeoutError: the retriever took longer than 30 s",
    inputs_preview='{"question": "Where is my parcel?"}',
    outputs_preview="It is on its way & arrives <tomorrow>",
    thread="conversation-19",
    tokens=1234,
    cost="$0.0123",
)

CASES: dict[str, Message] = {
    "baseline_many": message(Kind.BASELINE, _lines(10), total=5_000, waiting=5_000),
    "baseline_one": message(Kind.BASELINE, _lines(1)),
    "announcement": message(Kind.ANNOUNCEMENT, _lines(5)),
    "announcement_one": message(Kind.ANNOUNCEMENT, _lines(1)),
    "announcement_back": message(Kind.ANNOUNCEMENT, (line(back=True), line("Order status", back=True))),
    "announcement_mixed_back": message(Kind.ANNOUNCEMENT, (line(back=True), line("Order status"))),
    "announcement_bare": message(
        Kind.ANNOUNCEMENT, (Line(Facts(), UUID(int=7), AS_OF), Line(Facts(), None, AS_OF)), queue=queue(url="")
    ),
    "announcement_everything": message(Kind.ANNOUNCEMENT, (EVERYTHING, line("Order status")), show=frozenset(Show)),
    "announcement_nothing_shown": message(Kind.ANNOUNCEMENT, (EVERYTHING,), show=frozenset()),
    "announcement_partly_reviewed": message(Kind.ANNOUNCEMENT, MIXED),
    "announcement_reviewed": message(Kind.ANNOUNCEMENT, DONE),
    "announcement_reviewed_one": message(Kind.ANNOUNCEMENT, DONE[:1]),
    "announcement_gone": message(Kind.ANNOUNCEMENT, MIXED[:3]),
    "announcement_gone_one": message(Kind.ANNOUNCEMENT, MIXED[1:2]),
    "announcement_more_partly": message(Kind.ANNOUNCEMENT, (*DONE, *_lines(7)), total=25, waiting=12),
    "announcement_more_gone": message(Kind.ANNOUNCEMENT, (*DONE, *_lines(7)), total=25, waiting=7),
    "announcement_more_done": message(Kind.ANNOUNCEMENT, DONE * 3, total=25, waiting=0),
    "reminder": message(Kind.REMINDER, _lines(3)),
    "reminder_one": message(Kind.REMINDER, (line(),)),
    "reminder_ageless": message(Kind.REMINDER, _lines(3), show=frozenset({Show.NAME})),
    "reminder_succeeded": message(Kind.REMINDER, _lines(3), successor=Receipt("C0SUPPORT00", "1795425000.000200")),
    "escalation": message(
        Kind.ESCALATION,
        (line(wait=timedelta(days=2)), line("Order status")),
        mention=("U0LEAD00000", "S0ONCALL000", "<!channel>"),
    ),
    "escalation_one": message(Kind.ESCALATION, (line(wait=timedelta(days=2)),)),
    "ops": message(Kind.OPS, queue=None, text=f"The queue {HOSTILE} cannot be polled since 09:12 UTC."),
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
    "plain": message(Kind.ANNOUNCEMENT, MIXED, plain=True),
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
