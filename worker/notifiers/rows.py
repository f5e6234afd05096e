"""The rows of a message for every medium: one for each run, or queue, that it lists. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from worker.core.audience import Problem
from worker.core.model import FIRST_SIGHT, Fate, Kind, Show, shortened
from worker.core.text import flat
from worker.notifiers.words import counted, queue_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, tzinfo

    from worker.core.message import Line, Message
    from worker.core.model import Id
    from worker.core.owed import QueueShare

_TYPE_NAME = 20
_TAG_NAME = 24
_PERSON_NAME = 40
_PEOPLE = 3
"""The number of people whom a line names; the others are counted."""

_PREVIEW = 40
"""Characters of a preview that makes a name distinct."""

_QUEUES_LISTED = 20
_NEAR = timedelta(hours=12)
"""A time so near needs no day."""

_SEPARATOR = " · "
_FATES = {
    Fate.REVIEWED: "reviewed",
    Fate.REMOVED: "removed from the queue",
    Fate.UNKNOWN: "no longer waiting",
}


_UNHEARD = {
    Problem.NONE: "notified often enough",
    Problem.NOT_ASKED: "could not be looked up so far",
    Problem.NO_EMAIL: "has no known e-mail",
    Problem.UNKNOWN: "has no Slack user",
    Problem.LEFT: "has left",
    Problem.BOT: "is a bot",
    Problem.GUEST: "is a guest",
    Problem.REFUSED: "takes no direct messages",
    Problem.NO_SCOPE: "cannot be looked up",
    Problem.FORGOTTEN: "was deleted on request",
}
"""Why a person was not notified directly."""


class Detail(Struct, frozen=True):
    """The amount of text for each run, in characters; less of it where a message grows too large."""

    name: int
    extra: int = 0
    tags: int = 0
    links: bool = True
    facts: bool = True


DETAILS = (
    Detail(name=80, extra=150, tags=5),
    Detail(name=80, extra=60, tags=3),
    Detail(name=80, tags=2),
    Detail(name=50),
    Detail(name=24),
    Detail(name=24, links=False),
    Detail(name=24, links=False, facts=False),
)
"""From all details to those that always fit: optional parts go first, then the ends of names, then the links."""


class _Moment(Protocol):
    """The spelling of an instant on the clock of a zone, with its day and its seconds where they are wanted."""

    def __call__(self, at: datetime, zone: tzinfo, *, day: bool = False, seconds: bool = False) -> str:
        """As this medium shows it."""
        ...


class Pen(Struct, frozen=True):
    """The spelling of one medium: outside text and code of limited length, links, ages, times, struck names."""

    words: Callable[[str, int], str]
    code: Callable[[str, int], str]
    link: Callable[[str, str], str]
    ago: Callable[[datetime, datetime], str]
    moment: _Moment
    strike: Callable[[str], str]

    def day(self, at: datetime, message: Message) -> str:
        """An instant with its day."""
        return self.moment(at, message.zone, day=True)

    def soon(self, at: datetime, message: Message) -> str:
        """An instant to come, with its day where that is not plain."""
        return self.moment(at, message.zone, day=at - message.as_of > _NEAR)


class _Label(Struct, frozen=True):
    """The name of a run, distinct in its message by itself or by what is `added`. It may hold a `preview`."""

    name: str
    added: str = ""
    preview: str = ""


def entries(message: Message, detail: Detail, pen: Pen) -> list[str]:
    """The rows of every run, or queue, that the message lists."""
    if message.queue_lines:
        return list(_queues(message, detail, pen))
    return [row for rows in run_rows(message, detail, pen) for row in rows]


def run_rows(message: Message, detail: Detail, pen: Pen) -> list[list[str]]:
    """The rows of each run that the message lists."""
    labels = _labels(message, detail, pen)
    return [_entry(message, *each, detail, pen) for each in zip(message.lines, labels, strict=True)]


def _entry(message: Message, line: Line, label: _Label, detail: Detail, pen: Pen) -> list[str]:
    """The rows of one run: a line about it, then its previews."""
    # A run that no longer waits keeps only its name and its fate, so that the others stand out.
    name = pen.link(line.facts.url if detail.links else "", label.name)
    place = f"in {pen.words(queue_name(line.queue), detail.name)}" if line.queue is not None else ""
    if not line.is_waiting:
        mark = "–" if line.fate is Fate.REMOVED or line.is_others else "✓"  # noqa: RUF001 - a dash is meant
        parts = [f"{mark} {pen.strike(name)}", label.added, place, _end(line)]
        return [_SEPARATOR.join(part for part in parts if part)]
    facts = _facts(message, line, detail, pen) if detail.facts else []
    run_type = pen.words(line.facts.run_type, _TYPE_NAME) if detail.facts and Show.TYPE in message.show else ""
    parts = [name, label.added, place, run_type, *_times(message, line, pen), *facts, *_marks(message, line, pen)]
    previews = _previews(message, line, label, detail, pen) if detail.extra else []
    return ["• " + _SEPARATOR.join(part for part in parts if part), *previews]


def _end(line: Line) -> str:
    """Why a run waits no more, or not for the reader."""
    if line.fate is not None:
        return _FATES[line.fate]
    return "reviewed by you" if line.is_done else "no longer your turn"


def _labels(message: Message, detail: Detail, pen: Pen) -> list[_Label]:
    names = [_name(message, line, detail) for line in message.lines]
    labels = [_Label(name) for name in names]
    for alike in _alike(names):
        lines = [message.lines[place] for place in alike]
        for place, label in zip(alike, _distinct(message, names[alike[0]], lines, detail, pen), strict=True):
            labels[place] = label
    return labels


def _alike(names: Sequence[str]) -> list[list[int]]:
    """The places of every name that comes more than once."""
    counts = Counter(names) if len(set(names)) < len(names) else {}
    several = [name for name, number in counts.items() if number > 1]
    return [[place for place, each in enumerate(names) if each == name] for name in several]


def _name(message: Message, line: Line, detail: Detail) -> str:
    shown = flat(line.facts.name, detail.name) if Show.NAME in message.show else ""
    return shown or (f"run {flat(shortened(line.run_id), detail.name)}" if line.run_id else "unnamed run")


def _distinct(message: Message, name: str, lines: Sequence[Line], detail: Detail, pen: Pen) -> list[_Label]:
    """Distinct labels for runs of one name: by their inputs, else by the time they were added, else by their ids."""
    if Show.INPUTS_PREVIEW in message.show:
        previews = [flat(line.facts.inputs_preview, min(_PREVIEW, detail.name)) for line in lines]
        if _differ(previews):
            return [_Label(f"{name} “{preview}”" if preview else name, preview=preview) for preview in previews]
    if Show.AGE in message.show:
        for seconds in (False, True):
            added = [pen.moment(line.since, message.zone, day=True, seconds=seconds) for line in lines]
            if _differ(added):
                return [_Label(name, f"added {moment}") for moment in added]
    return [_Label(each) for each in _by_ids(name, [line.run_id for line in lines])]


def _by_ids(name: str, ids: Sequence[Id | None]) -> list[str]:
    """The name with the end of each id: those of runs begin with a time, which several have in common."""
    for length in (6, 12, 36):
        ends = [flat(str(one or ""), 200)[-length:] for one in ids]
        if _differ(ends):
            return [f"{name} …{end}" if end else name for end in ends]
    return [f"{name} ({number})" for number in range(1, len(ids) + 1)]


def _differ(texts: Sequence[str]) -> bool:
    return len(set(texts)) == len(texts)


def _times(message: Message, line: Line, pen: Pen) -> list[str]:
    if Show.AGE not in message.show:
        return []
    due = f"due {pen.soon(line.due_at, message)}" if line.due_at else ""
    return [pen.ago(line.since, message.as_of), "overdue" if line.overdue else due]


def _facts(message: Message, line: Line, detail: Detail, pen: Pen) -> list[str]:
    """The facts beside the name, in a fixed order; the caller leaves out empty ones."""
    facts, show = line.facts, message.show
    return [
        _tags(facts.tags, detail.tags, pen) if Show.TAGS in show else "",
        f"{facts.tokens:,} tokens" if Show.TOKENS in show and facts.tokens is not None else "",
        pen.words(facts.cost, _TYPE_NAME) if Show.COST in show else "",
        # A thread of blanks alone would show as the word and nothing behind it.
        f"thread {pen.code(facts.thread, _TAG_NAME)}" if Show.THREAD in show and flat(facts.thread, 1) else "",
    ]


def _tags(tags: tuple[str, ...], limit: int, pen: Pen) -> str:
    if not limit or not tags:
        return ""
    shown = [written for tag in tags if (written := pen.code(tag, _TAG_NAME))]
    return " ".join(shown[:limit]) + (f" +{len(shown) - limit}" if len(shown) > limit else "")


def _marks(message: Message, line: Line, pen: Pen) -> list[str]:
    is_news = line.purpose in FIRST_SIGHT and not line.back
    return [
        _progress(line, pen),
        _expiry(message, line, pen),
        "back in the queue" if line.back else "",
        "new" if is_news else _escalated(message) if line.purpose is Kind.ESCALATION else "",
        f"its channel was reminded {counted(line.reminded, 'time')}" if line.reminded else "",
        _reserved(line, pen),
        f"{pen.words(line.claimed_by, _PERSON_NAME)} has it" if line.claimed_by else "",
        f"{pen.words(line.had_by, _PERSON_NAME)} had it" if line.had_by else "",
        f"snoozed until {pen.soon(line.snoozed_until, message)}" if line.snoozed_until else "",
    ]


def _expiry(message: Message, line: Line, pen: Pen) -> str:
    """When its trace expires, or that it has."""
    if line.expires_at is None:
        return ""
    is_over = line.expires_at <= message.as_of
    return "its trace has expired" if is_over else f"its trace expires {pen.soon(line.expires_at, message)}"


def _escalated(message: Message) -> str:
    # To an owner only what could not call anybody is passed on.
    return "escalated without a mention, as the day's limit is reached" if message.is_for_owner else "escalated"


def _progress(line: Line, pen: Pen) -> str:
    """How many reviews are done, whether they agree, and whose are not."""
    done = f"{line.done:,} of {counted(line.of, 'review')} done" if line.of > 1 and line.done else ""
    awaited = _people(line.waiting_for, pen)
    disagreed = "reviewers disagree" if line.disagreed else ""
    waiting = f"waiting for {awaited}" if awaited else ""
    why = _unheard(line, pen)
    said = ", ".join(part for part in (done, disagreed, waiting) if part)
    return f"{said} ({why})" if said and why else said or why


def _unheard(line: Line, pen: Pen) -> str:
    """Why too few of those whose turn a run is hear of it: each without a message, and that no more are called."""
    if len(line.unheard) == 1 and line.waiting_for == (line.unheard[0][0],):
        return _UNHEARD[line.unheard[0][1]]
    nameless = "one more" if line.waiting_for else "a reviewer"
    missed = [(pen.words(name, _PERSON_NAME) or nameless, problem) for name, problem in line.unheard if problem]
    said = [f"{name} {_UNHEARD[problem]}" for name, problem in missed[:_PEOPLE]]
    if len(missed) > _PEOPLE:
        said.append(f"{len(missed) - _PEOPLE:,} more cannot be messaged")
    if len(missed) < len(line.unheard):
        said.append("the others were notified often enough" if missed else "notified often enough")
    return ", ".join(said)


def _reserved(line: Line, pen: Pen) -> str:
    if not line.reserved:
        return ""
    by = _people(line.reserved_by, pen)
    return f"reserved by {by}" if by else "reserved"


def _people(names: Sequence[str], pen: Pen) -> str:
    """A few names, and how many there are besides."""
    shown = [written for name in names if (written := pen.words(name, _PERSON_NAME))]
    listed, others = shown[:_PEOPLE], len(shown) - _PEOPLE
    if others > 0:
        return f"{', '.join(listed)} and {others:,} more"
    return " and ".join(part for part in (", ".join(listed[:-1]), *listed[-1:]) if part)


def _previews(message: Message, line: Line, label: _Label, detail: Detail, pen: Pen) -> list[str]:
    facts = line.facts
    shown = (
        ("error", facts.error, Show.ERROR),
        ("in", facts.inputs_preview, Show.INPUTS_PREVIEW),
        ("out", facts.outputs_preview, Show.OUTPUTS_PREVIEW),
    )
    written = [
        (title, pen.words(raw, detail.extra)) for title, raw, allowed in shown if raw and allowed in message.show
    ]
    # What is in the name already is not repeated below it.
    named = pen.words(label.preview, _PREVIEW) if label.preview else None
    return [f"\u2003↳ {title}: {text}" for title, text in written if text and not (title == "in" and text == named)]


def _queues(message: Message, detail: Detail, pen: Pen) -> Iterator[str]:
    listed, unlisted = message.queue_lines[:_QUEUES_LISTED], message.queue_lines[_QUEUES_LISTED:]
    names = [flat(queue_name(line.queue), detail.name) for line in listed]
    for alike in _alike(names):
        ids = [listed[place].queue.queue_id for place in alike]
        for place, label in zip(alike, _by_ids(names[alike[0]], ids), strict=True):
            names[place] = label
    for line, label in zip(listed, names, strict=True):
        yield _queue(message, line, pen.link(line.queue.url if detail.links else "", label), pen)
    if unlisted:
        yield f"and {counted(len(unlisted), 'more queue')} with {counted(sum(line.waiting for line in unlisted))}"


def _queue(message: Message, line: QueueShare, name: str, pen: Pen) -> str:
    if not line.waiting:
        return f"✓ {pen.strike(name)}{_SEPARATOR}none of {line.total:,} left to review"
    waiting = "waiting" if line.waiting == line.total else f"of {line.total:,} left to review"
    if line.oldest_since is None or Show.AGE not in message.show:
        return f"• {name}{_SEPARATOR}{line.waiting:,} {waiting}"
    oldest = "since" if line.waiting == 1 else "the oldest since"
    return f"• {name}{_SEPARATOR}{line.waiting:,} {waiting}{_SEPARATOR}{oldest} {pen.day(line.oldest_since, message)}"
