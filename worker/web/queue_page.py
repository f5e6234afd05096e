"""The page of one queue: its numbers, whose turn its runs are, the last 30 days, what waits, its messages. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.message import EXPIRES_WITHIN
from worker.core.text import age
from worker.web.charts import flow_chart, heat_map
from worker.web.front_page import figures, messages_list, person_label, queue_facts, queue_path
from worker.web.html import Html, element, outward_link
from worker.web.layout import from_now, part, waited, whole_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from worker.web.html import Content
    from worker.web.shown import Flow, QueuePage, QueueRow, RunRow

_LONGEST_TEXT = 200
"""Characters of a run's error or preview."""


def queue_page(shown: QueuePage, *, can_sign_out: bool) -> bytes:
    """The whole page."""
    queue, now = shown.queue, shown.taken_at
    name = queue.name or queue.queue_id
    return whole_page(
        name,
        element("h1", name),
        element("p", outward_link(queue.url, "Open the queue in LangSmith"), class_="lead") if queue.url else None,
        figures(queue, now),
        element("ul", *(element("li", each) for each in queue_facts(queue, now)), class_="facts"),
        _turns(queue),
        _flow(shown.flow),
        _runs(shown),
        part("Last messages", messages_list(shown.messages, now)),
        can_sign_out=can_sign_out,
    )


def _turns(queue: QueueRow) -> Html | None:
    if not queue.turns and not queue.nobodys:
        return None
    rows = [element("tr", element("th", person_label(each), scope="row"), _number(each.runs)) for each in queue.turns]
    if queue.nobodys:
        rows.append(element("tr", element("th", "nobody in particular", scope="row"), _number(queue.nobodys)))
    head = element("tr", element("th", "Who", scope="col"), element("th", "Runs", scope="col"))
    return part("Whose turn", element("table", element("thead", head), element("tbody", *rows), class_="people"))


def _number(number: int) -> Html:
    return element("td", number, class_="number")


def _flow(flow: Flow) -> Html:
    return part(
        "The last 30 days",
        element("p", " ".join(_said(flow))),
        flow_chart(flow.days),
        element("h3", "When runs come"),
        element("p", f"Hours of {flow.zone}."),
        heat_map(flow.week),
    )


def _said(flow: Flow) -> Iterator[str]:
    counts = ((flow.reviewed, "reviewed"), (flow.removed, "removed"), (flow.unknown, "gone, not known how"))
    left = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "none left"
    yield f"{flow.came:,} came; {left}."
    if flow.first_review_p50_seconds is not None and flow.first_review_p95_seconds is not None:
        half, most = (_duration(each) for each in (flow.first_review_p50_seconds, flow.first_review_p95_seconds))
        yield f"Half were first reviewed within {half}, 95 % within {most}."
    if flow.overdue_share is not None:
        yield f"{100 * flow.overdue_share:.0f} % were overdue by then."


def _duration(seconds: int) -> str:
    return age(timedelta(seconds=seconds))


def _runs(shown: QueuePage) -> Html:
    if not shown.queue.waiting:
        return part("Runs that wait", element("p", "None."))
    first, last = shown.offset + 1, shown.offset + len(shown.runs)
    # Where all of them wait for the same people, that stands above already.
    are_alike = len({tuple(each.waits_for) for each in shown.runs}) == 1
    rows = (_run(each, shown.taken_at, names_people=not are_alike) for each in shown.runs)
    listed = element("ol", *rows, class_="rows runs", start=first)
    said = f"{first:,} to {last:,} of {shown.queue.waiting:,}, oldest first." if shown.runs else "There are no more."
    return part("Runs that wait", element("p", said), listed if shown.runs else None, _pages(shown))


def _pages(shown: QueuePage) -> Html | None:
    path, before = queue_path(shown.queue.queue_id), max(shown.offset - shown.limit, 0)
    after = shown.offset + shown.limit
    links = [
        element("a", "Older", href=f"{path}?offset={before}" if before else path, rel="prev") if shown.offset else None,
        element("a", "Newer", href=f"{path}?offset={after}", rel="next") if after < shown.queue.waiting else None,
    ]
    return element("nav", *links, aria_label="More runs", class_="pages") if any(links) else None


def _run(run: RunRow, now: datetime, *, names_people: bool) -> Html:
    overdue = element("span", "overdue", class_="bad") if run.overdue else None
    return element(
        "li",
        element("span", outward_link(run.url, run.label), class_="what"),
        element("span", run.run_type, class_="type") if run.run_type else None,
        element("span", "for ", waited(run.since, now), " · " if overdue else None, overdue, class_="when"),
        element("span", *(element("code", tag) for tag in run.tags), class_="tags") if run.tags else None,
        element("p", *_dotted(_about(run, now, names_people=names_people)), class_="why"),
    )


def _expiry(at: datetime, now: datetime) -> Content:
    return "its trace has expired" if at <= now else ["its trace expires ", from_now(at, now)]


def _dotted(content: Iterator[Content]) -> Iterator[Content]:
    for number, each in enumerate(content):
        yield " · " if number else None
        yield each


def _about(run: RunRow, now: datetime, *, names_people: bool) -> Iterator[Content]:
    """What else there is to say of a run, a piece each."""
    if run.claimed_by:
        yield f"{run.claimed_by} has it"
    elif run.reserved:
        yield "reserved"
    if run.snoozed_until is not None:
        yield ["snoozed, ends ", from_now(run.snoozed_until, now)]
    if run.expires_at is not None and run.expires_at <= now + EXPIRES_WITHIN:
        yield element("span", _expiry(run.expires_at, now), class_="bad")
    if run.waits_for and names_people:
        yield f"waits for {', '.join(run.waits_for)}"
    texts = (("error", run.error), ("in", run.inputs_preview), ("out", run.outputs_preview), ("thread", run.thread))
    yield from (f"{word}: {text[:_LONGEST_TEXT]}" for word, text in texts if text)
    if run.tokens is not None:
        yield f"{run.tokens:,} tokens"
    if run.cost:
        yield run.cost
    if run.next_due_at is None:
        yield f"no further notice: {run.next_why}"
    else:
        when: Content = from_now(run.next_due_at, now) if run.next_due_at > now else "at the next poll"
        yield ["next notice ", when, f": {run.next_why}"]
