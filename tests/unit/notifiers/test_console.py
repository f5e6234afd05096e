"""What a dry run prints."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from rich.console import Console as Screen

from tests import golden_slack as golden
from tests.support.builders import to
from worker.notifiers.console import Console

if TYPE_CHECKING:
    from worker.core.message import Message


def printed(message: Message, *, colours: bool = False) -> str:
    out = io.StringIO()
    Console(Screen(file=out, force_terminal=colours, width=60, highlight=False, emoji=False)).send(message)
    return out.getvalue()


def test_a_message_reads_like_its_post() -> None:
    assert printed(golden.CASES["announcement_partly_reviewed"]).split("\n") == [
        "announcement to C0SUPPORT00",
        "2 of 5 left to review in Support QA",
        "9 waiting, the oldest since 20 Nov 11:30 UTC · 3 overdue · 1 reserved · as of 23 Nov 09:30 UTC",
        "✓ Refund flow · reviewed",
        "– Order status · removed from the queue",  # noqa: RUF001
        "✓ Cancel subscription · no longer waiting",
        "• Change address · chain · 4 h ago · prod eu-west · 1 of 2 reviews done · reserved",
        "• Missing parcel · chain · 12 min ago · prod eu-west · back in the queue",
        golden.queue().url,
        "",
        "",
    ]


def test_disagreements_are_counted_and_named() -> None:
    of = replace(golden.queue(), disagreed=1200)
    told = dataclasses.replace(golden.line("Refund flow"), done=2, of=2, disagreed=True)
    shown = printed(golden.message(lines=(told,), queue=of))
    assert "reviewers disagree on 1,200" in shown.split("\n")[2]
    assert "· 2 of 2 reviews done, reviewers disagree" in shown
    assert "disagree" not in printed(golden.message(queue=replace(of, disagreed=0)))


def test_the_rest_is_counted() -> None:
    assert "\nand 4,990 more\n" in printed(golden.CASES["baseline_many"])


def test_a_baseline_of_several_queues_has_a_line_a_queue() -> None:
    assert printed(golden.CASES["baseline_queues_partly"]).split("\n")[1:] == [
        "8 of 21 left to review in 3 queues",
        "• Support QA · 3 of 12 left to review · the oldest since 21 Nov 09:30 UTC",
        "• RAG bot · 5 waiting · the oldest since 21 Nov 09:30 UTC",
        "✓ Billing · none of 4 left to review",
        "",
        "",
    ]


def test_who_is_called_is_named() -> None:
    assert "escalation to C0SUPPORT00, calls U0LEAD00000, S0ONCALL000" in printed(golden.CASES["escalation"])


def test_the_workers_own_trouble_is_told() -> None:
    assert "has failed since 09:12 UTC." in printed(golden.CASES["ops"])


@pytest.mark.parametrize("name", ["[red]x[/red]", "[link=x]", "[/]", "\\[bold]", "a\\", ":tada:"])
def test_names_are_no_markup(name: str) -> None:
    assert f"• {name} · chain" in printed(golden.message(lines=(golden.line(name),)))


def test_types_tags_and_queues_are_no_markup() -> None:
    told = golden.with_facts(golden.line("x"), run_type="[red]t[/]", tags=("[b]g[/b]",))
    shown = printed(golden.message(lines=(told,), queue=golden.queue("[i]q[/i]")))
    assert "· [red]t[/] · " in shown
    assert "· [b]g[/b]\n" in shown
    assert "in [i]q[/i]\n" in shown


def test_names_cannot_steer_the_terminal() -> None:
    shown = printed(golden.message(lines=(golden.line("a\x1b[2Jb\x07\u202e"),), destination=to("#x\x1b]0;y\x07")))
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("url", ["https://x/[link=y]", "https://x/ y", "javascript:x", "https://x/\x1b"])
def test_odd_addresses_are_not_linked(url: str) -> None:
    told = dataclasses.replace(golden.line("x"), facts=replace(golden.line("x").facts, url=url))
    assert "\x1b]8" not in printed(golden.message(lines=(told,), queue=golden.queue(url="")), colours=True)


def test_names_are_links_where_the_terminal_can() -> None:
    assert "\x1b]8;" in printed(golden.message(lines=(golden.line("x"),)), colours=True)


def test_nothing_is_kept() -> None:
    console = Console(Screen(file=io.StringIO()))
    message = golden.message(lines=(golden.line(),))
    console.edit(message, console.send(message))
    console.probe()
    assert console.find(message, golden.AS_OF) is None
    assert console.fingerprint(message)
