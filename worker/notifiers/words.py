"""The words of a message for every medium: its headline, its lines, and the number of runs not listed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.core.model import Fate, Kind, Show, shortened
from worker.core.text import age, flat

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.core.message import Line, Message

QUEUE_NAME = 80
TYPE_NAME = 20
TAG_NAME = 24
SEPARATOR = " · "

FATES = {
    Fate.REVIEWED: "reviewed",
    Fate.REMOVED: "removed from the queue",
    Fate.UNKNOWN: "no longer waiting",
}
BASELINE_NOTE = "These were waiting when this queue was first polled. From now on only new runs are announced."


@dataclass(frozen=True, slots=True)
class Detail:
    """The amount of text for each run, in characters; less of it where a message grows too large."""

    name: int
    extra: int
    tags: int
    links: bool = True


DETAILS = (
    Detail(name=80, extra=150, tags=5),
    Detail(name=80, extra=60, tags=3),
    Detail(name=80, extra=0, tags=2),
    Detail(name=50, extra=0, tags=0),
    Detail(name=24, extra=0, tags=0),
    Detail(name=24, extra=0, tags=0, links=False),
)
"""From all details to those that always fit: optional parts go first, then the ends of names, then the links."""


@dataclass(frozen=True, slots=True)
class Pen:
    """The spelling of one medium: outside text and code of at most so many characters, links, ages, struck names."""

    words: Callable[[str, int], str]
    code: Callable[[str, int], str]
    link: Callable[[str, str], str]
    ago: Callable[[datetime, datetime], str]
    strike: Callable[[str], str]


def _count(number: int, noun: str = "run") -> str:
    """`1 run`, `2 runs`, `5,000 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def queue_name(message: Message) -> str:
    """The queue's name, flat; its id, or a word, where it has none."""
    if message.queue is None:
        return "the queue"
    return flat(message.queue.name, QUEUE_NAME) or str(message.queue.queue_id)


def headline(message: Message) -> str:
    """The first line of the message, flat but not yet escaped."""
    if message.kind is Kind.OPS:
        return flat(message.text, 2_500)
    place = queue_name(message)
    if message.successor is not None:
        return f"{_count(message.total)} in {place}"
    if message.waiting == 0 and message.total:
        return _done(message, place)
    if message.waiting < message.total:
        return f"{message.waiting:,} of {message.total:,} left to review in {place}"
    return _opening(message, place)


def entry(message: Message, line: Line, detail: Detail, pen: Pen) -> list[str]:
    """The rows of one run: a line about it, then its previews."""
    # A run that no longer waits keeps only its name and its fate, so that the others stand out.
    if line.fate is not None:
        mark = "–" if line.fate is Fate.REMOVED else "✓"  # noqa: RUF001 - a dash is meant
        return [f"{mark} {pen.strike(_name(message, line, detail, pen))}{SEPARATOR}{FATES[line.fate]}"]
    parts = [_name(message, line, detail, pen), *_facts(message, line, detail, pen), *_marks(line)]
    return ["• " + SEPARATOR.join(part for part in parts if part), *_previews(message, line, detail, pen)]


def more(message: Message) -> str:
    """The number of runs that are not listed, and of those that still wait; empty where all are listed."""
    unlisted = message.total - len(message.lines)
    if unlisted <= 0:
        return ""
    waiting = message.waiting - sum(line.fate is None for line in message.lines)
    if waiting >= unlisted:
        return f"and {unlisted:,} more"
    if waiting <= 0:
        return f"and {unlisted:,} more, no longer waiting"
    return f"and {unlisted:,} more, {waiting:,} of them still waiting"


def _opening(message: Message, place: str) -> str:
    """The headline while every run waits."""
    one = message.total == 1
    runs = _count(message.total)
    match message.kind:
        case Kind.BASELINE:
            return f"{runs} {'is' if one else 'are'} waiting in {place}"
        case Kind.REMINDER:
            oldest = _oldest(message, ", for" if one else ", the oldest for")
            return f"{runs} still {'waits' if one else 'wait'} in {place}{oldest}"
        case Kind.ESCALATION:
            oldest = _oldest(message, ", waiting for" if one else ", the oldest waiting for")
            return f"{runs} {'needs' if one else 'need'} attention in {place}{oldest}"
        case _:
            return _news(message, place)


def _news(message: Message, place: str) -> str:
    back = sum(line.back for line in message.lines)
    if back and back == message.total:
        return f"{_count(back)} {'is' if back == 1 else 'are'} back in {place}"
    return f"{message.total:,} {'' if back else 'new '}{'run' if message.total == 1 else 'runs'} to review in {place}"


def _done(message: Message, place: str) -> str:
    """The headline when nothing waits any more."""
    # "All reviewed" only where that is known of each: a run may also have been removed, or have left unseen.
    fates = {line.fate for line in message.lines}
    known = len(message.lines) == message.total and fates == {Fate.REVIEWED}
    if message.total == 1:
        return f"Reviewed in {place} ✓" if known else f"No longer waiting in {place}"
    if known:
        return f"All {message.total:,} reviewed in {place} ✓"
    if Fate.REMOVED in fates:
        return f"None of {message.total:,} left to review in {place}"
    return f"All {message.total:,} reviewed or no longer waiting in {place} ✓"


def _oldest(message: Message, words: str) -> str:
    if not message.lines or Show.AGE not in message.show:
        return ""
    return f"{words} {age(message.as_of - min(line.since for line in message.lines))}"


def _name(message: Message, line: Line, detail: Detail, pen: Pen) -> str:
    shown = flat(line.facts.name, detail.name) if Show.NAME in message.show else ""
    label = shown or _short_id(line)
    return pen.link(line.facts.url if detail.links else "", label)


def _short_id(line: Line) -> str:
    return f"run {shortened(line.run_id)}" if line.run_id else "unnamed run"


def _facts(message: Message, line: Line, detail: Detail, pen: Pen) -> list[str]:
    """The facts beside the name, in a fixed order; the caller leaves out empty ones."""
    facts, show = line.facts, message.show
    return [
        pen.words(facts.run_type, TYPE_NAME) if Show.TYPE in show else "",
        pen.ago(line.since, message.as_of) if Show.AGE in show else "",
        _tags(facts.tags, detail.tags, pen) if Show.TAGS in show else "",
        f"{facts.tokens:,} tokens" if Show.TOKENS in show and facts.tokens is not None else "",
        pen.words(facts.cost, TYPE_NAME) if Show.COST in show else "",
        f"thread {pen.code(facts.thread, TAG_NAME)}" if Show.THREAD in show and flat(facts.thread, 1) else "",
    ]


def _tags(tags: tuple[str, ...], limit: int, pen: Pen) -> str:
    shown = [written for tag in tags if (written := pen.code(tag, TAG_NAME))]
    rest = f" +{len(shown) - limit}" if len(shown) > limit else ""
    return " ".join(shown[:limit]) + rest if limit else ""


def _marks(line: Line) -> list[str]:
    return [
        f"{line.done:,} of {_count(line.of, 'review')} done" if line.of > 1 and line.done else "",
        "back in the queue" if line.back else "",
        "reserved" if line.reserved else "",
    ]


def _previews(message: Message, line: Line, detail: Detail, pen: Pen) -> list[str]:
    facts = line.facts
    shown = (
        ("error", facts.error, Show.ERROR),
        ("in", facts.inputs_preview, Show.INPUTS_PREVIEW),
        ("out", facts.outputs_preview, Show.OUTPUTS_PREVIEW),
    )
    return [
        f"\u2003↳ {label}: {pen.words(raw, detail.extra)}"
        for label, raw, allowed in shown
        if detail.extra and allowed in message.show and flat(raw, 1)
    ]
