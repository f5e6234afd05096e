"""The words of worklists for every medium: headline, counts, what is nobody's turn, why one is empty. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.notifiers.words import QUEUE_NAME, counted, more, queue_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.core.worklist import Worklist
    from worker.notifiers.rows import Pen

_QUEUES_NAMED = 5


def worklist_headline(worklist: Worklist) -> str:
    """The first line, flat but not yet escaped."""
    total = worklist.message.total
    if worklist.queue is not None:
        place = queue_name(worklist.queue)
        return f"{counted(total)} {_wait(total)} in {place}" if total else f"Nothing waits in {place} ✓"
    return f"{counted(total)} {_wait(total)} for your review" if total else "Nothing waits for your review"


def worklist_context(worklist: Worklist, pen: Pen) -> str:
    """The counts, and what holds for the queue; empty where there is nothing to say."""
    return " · ".join(_context(worklist, pen))


def worklist_rest(worklist: Worklist) -> str:
    """The number of runs that are not listed; empty where all are."""
    return more(worklist.message)


def worklist_remarks(worklist: Worklist, pen: Pen) -> list[str]:
    """Sentences below the list: why it may lack something, and what else waits."""
    return [remark for remark in (_why_empty(worklist), _nobodys(worklist, pen), _outdated(worklist, pen)) if remark]


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _context(worklist: Worklist, pen: Pen) -> Iterator[str]:
    message = worklist.message
    if worklist.overdue:
        yield f"{worklist.overdue:,} overdue"
    if worklist.yours:
        yield f"{worklist.yours:,} taken by you"
    if worklist.snoozed:
        yield f"{worklist.snoozed:,} snoozed"
    if worklist.muted_until is not None:
        yield f"muted until {pen.day(worklist.muted_until, message)}"
    yield f"as of {pen.day(message.as_of, message)}"


def _why_empty(worklist: Worklist) -> str:
    if worklist.queue is not None or worklist.is_known:
        return ""
    if not worklist.has_people:
        return "No queue has reviewers in the settings of this app, so no run is anybody's turn in particular."
    return (
        "You are not known as a reviewer of these queues: none of their reviewers has the e-mail of your account here. "
        "The operator of this app can see with `review-notifier people` who is known, and by which e-mail."
    )


def _nobodys(worklist: Worklist, pen: Pen) -> str:
    """The queues whose runs are nobody's turn in particular."""
    # Names alone: five links may be longer than one text may be.
    named, others = worklist.nobodys[:_QUEUES_NAMED], worklist.nobodys[_QUEUES_NAMED:]
    if not named:
        return ""
    listed = [f"{pen.words(queue_name(queue), QUEUE_NAME)} ({waiting:,})" for queue, waiting in named]
    if others:
        listed.append(f"{counted(len(others), 'more queue')} ({sum(waiting for _, waiting in others):,})")
    total = sum(waiting for _, waiting in worklist.nobodys)
    if len(worklist.nobodys) == 1:
        return f"Nobody's turn in particular: {counted(total)} in {pen.words(queue_name(named[0][0]), QUEUE_NAME)}"
    return f"Nobody's turn in particular: {counted(total)} in {', '.join(listed)}"


def _outdated(worklist: Worklist, pen: Pen) -> str:
    if worklist.failing_since is None:
        return ""
    what = "This queue" if worklist.queue is not None else "One of the queues"
    since = pen.day(worklist.failing_since, worklist.message)
    return f"{what} could not be read since {since}, so this may be out of date."
