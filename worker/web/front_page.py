"""The first page: every queue with what waits in it, what is wrong, what is not delivered, the last messages, people.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec.structs import replace

from worker.web.charts import sparkline
from worker.web.html import Html, element, outward_link, pieces
from worker.web.layout import figure, from_now, part, waited, whole_page, with_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from worker.web.html import Content
    from worker.web.shown import Front, MessageRow, PauseRow, PersonRow, QueueRow, ReasonRow, TurnRow

_NAMED = 5
"""People that a queue's card names; the others are counted."""


def front_page(front: Front, *, can_sign_out: bool) -> bytes:
    """The whole page."""
    now = front.taken_at
    return whole_page(
        "",
        element("h1", _headline(front)),
        element("p", _running(front), class_="lead"),
        part("What is wrong", reasons_list(front.reasons, now), class_="wrong") if front.reasons else None,
        part("Queues", element("div", *(_card(each, now) for each in front.queues), class_="cards"))
        if front.queues
        else None,
        _undelivered(front),
        part("Last messages", messages_list(front.messages, now)),
        _people(front) if front.people or front.has_people else None,
        can_sign_out=can_sign_out,
    )


def _headline(front: Front) -> str:
    waiting, overdue = (sum(getattr(each, of) for each in front.queues) for of in ("waiting", "overdue"))
    if not front.queues:
        return "No queue has been polled yet"
    if not waiting:
        return "Nothing waits for review"
    place = f"in {len(front.queues)} queues" if len(front.queues) > 1 else f"in {front.queues[0].name}"
    verb = "run waits" if waiting == 1 else "runs wait"
    return f"{waiting:,} {verb} for review {place}" + (f", {overdue:,} overdue" if overdue else "")


def _running(front: Front) -> Content:
    if not front.services:
        return "No service is running."
    return [
        [
            f"Process {each.pid} on {each.host} has run for ",
            waited(each.since, front.taken_at),
            f" (version {each.version}). ",
        ]
        for each in front.services
    ]


def reasons_list(reasons: Sequence[ReasonRow], now: datetime) -> Html:
    """Everything that is wrong, with what to do about it."""
    return element("ul", *(element("li", _reason(each, now)) for each in reasons), class_="rows")


def _reason(reason: ReasonRow, now: datetime) -> Content:
    # Most texts say it themselves.
    is_dated = reason.since is not None and "since" not in reason.text
    return [
        element("p", element("strong", f"{reason.area}: "), reason.text, class_="what"),
        element("p", "Fix: ", with_code(reason.fix), class_="how"),
        element("p", "for ", waited(reason.since, now), class_="when") if reason.since and is_dated else None,
    ]


def queue_path(queue_id: str) -> str:
    """The path of a queue's own page; an id may be any text."""
    return f"/queues/{quote(queue_id, safe='')}"


def _card(queue: QueueRow, now: datetime) -> Html:
    return element(
        "article",
        element("h3", element("a", queue.name or queue.queue_id, href=queue_path(queue.queue_id))),
        figures(queue, now),
        sparkline(queue.days),
        element("ul", *(element("li", each) for each in queue_facts(queue, now)), class_="facts"),
        class_="card",
    )


def figures(queue: QueueRow, now: datetime) -> Html:
    """The three numbers of a queue that everybody asks for."""
    oldest = "-" if queue.oldest_since is None else waited(queue.oldest_since, now)
    return element(
        "dl",
        figure(queue.waiting, "waiting"),
        figure(queue.overdue, "overdue", class_="bad" if queue.overdue else ""),
        figure(oldest, "the oldest"),
        class_="figures",
    )


def queue_facts(queue: QueueRow, now: datetime) -> Iterator[Content]:
    """What else there is to say of a queue, a line each."""
    if queue.turns or queue.nobodys:
        yield _waits_for(queue.turns, queue.nobodys)
    if queue.expiring and queue.expires_at is not None:
        traces = "1 trace expires" if queue.expiring == 1 else f"{queue.expiring:,} traces expire, the first"
        yield element("span", f"{traces} ", from_now(queue.expires_at, now), class_="bad")
    if queue.left_out:
        yield f"{queue.left_out:,} more left out by filters"
    if queue.disagreed:
        yield f"reviewers disagree on {queue.disagreed:,}"
    if queue.reserved or queue.claimed or queue.snoozed:
        counts = ((queue.reserved, "reserved"), (queue.claimed, "claimed"), (queue.snoozed, "snoozed"))
        yield " · ".join(f"{count:,} {word}" for count, word in counts if count)
    if queue.muted_until and queue.muted_until > now:
        yield ["muted, ends ", from_now(queue.muted_until, now)]
    yield _held(queue, now)
    yield _polled(queue, now)


def _held(queue: QueueRow, now: datetime) -> Content:
    if queue.held_until is None:
        return queue.hours
    parts = ((queue.held_runs, "run"), (queue.held_messages, "message"))
    what = " and ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in parts if count)
    return [f"{queue.hours}; {what} held, goes out ", from_now(queue.held_until, now)]


def _polled(queue: QueueRow, now: datetime) -> Content:
    if queue.last_complete_poll_at is None:
        said: Content = "never polled completely"
    else:
        said = ["polled ", from_now(queue.last_complete_poll_at, now)]
    because = f": {queue.error}" if queue.error else ""
    return element("span", said, because, class_="bad") if queue.late else pieces([said, because])


def _waits_for(turns: Sequence[TurnRow], nobodys: int) -> str:
    named = [f"{person_label(each)} {each.runs:,}" for each in turns[:_NAMED]]
    named += [f"{len(turns) - _NAMED} more people"] if len(turns) > _NAMED else []
    named += [f"nobody in particular {nobodys:,}"] if nobodys else []
    return f"waits for {', '.join(named)}"


def person_label(person: TurnRow | PersonRow) -> str:
    """A person by the best that is known of them."""
    return person.name or person.email or person.slack or "somebody without a name"


def _undelivered(front: Front) -> Html | None:
    if not front.undelivered and not front.pauses:
        return None
    # Why a channel is refused stands there already.
    paused = {each.channel for each in front.pauses}
    undelivered = [replace(each, why="") if each.channel in paused else each for each in front.undelivered]
    return part(
        "Not delivered yet",
        element("ul", *(element("li", _pause(each, front.taken_at)) for each in front.pauses), class_="rows")
        if front.pauses
        else None,
        messages_list(undelivered, front.taken_at) if undelivered else None,
    )


def _pause(pause: PauseRow, now: datetime) -> Content:
    place = "Nothing is posted anywhere" if pause.channel == "*" else f"Nothing is posted to {pause.channel}"
    tried: Content = ["; tried again ", from_now(pause.until, now)] if pause.until > now else "; tried again now"
    return [
        element("p", f"{place}: {pause.why}", class_="what"),
        element("p", "for ", waited(pause.since, now), tried),
    ]


_KINDS = {"ops": "The worker's own problems", "direct": "Direct message"}
"""What messages are called whose kind is no word for people."""


def messages_list(messages: Sequence[MessageRow], now: datetime) -> Html:
    """Messages, the newest first."""
    if not messages:
        return element("p", "None yet.")
    return element("ul", *(element("li", _message(each, now)) for each in messages), class_="rows messages")


def _message(message: MessageRow, now: datetime) -> Content:
    what = f"{_KINDS.get(message.kind, message.kind.capitalize())}{f': {message.queue}' if message.queue else ''}"
    label = outward_link(message.url, what)
    edited: Content = (" · edited ", from_now(message.edited_at, now)) if message.edited_at else None
    when: Content = [from_now(message.settled_at or message.created_at, now), edited, _next(message, now)]
    return [
        element("span", label, class_="what"),
        element("span", message.channel, class_="where"),
        element("span", message.state, class_=f"state {message.state}"),
        element("span", when, class_="when"),
        element("span", message.why, class_="why") if message.why else None,
    ]


def _next(message: MessageRow, now: datetime) -> Content:
    if message.next_attempt_at is None:
        return None
    return [" · next attempt ", from_now(message.next_attempt_at, now) if message.next_attempt_at > now else "now"]


def _people(front: Front) -> Html:
    if not front.people:
        return part("People", element("p", "No reviewer is known yet."))
    names = ("Who", "Runs", "Called today", "Calls left")
    head = element("tr", *(element("th", each, scope="col") for each in names))
    rows = element("tbody", *(_person(each) for each in front.people))
    return part("People", element("table", element("thead", head), rows, class_="people"))


def _person(person: PersonRow) -> Html:
    known = " · ".join(each for each in (person.email, person.slack) if each and each != person_label(person))
    notes = (known, f"Not reached: {person.why_unresolved}" if person.why_unresolved else "")
    return element(
        "tr",
        element("th", person_label(person), *(element("small", each) for each in notes if each), scope="row"),
        *(element("td", each, class_="number") for each in (person.turns, person.called_today, person.budget_left)),
    )
