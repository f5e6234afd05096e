"""The words of messages and worklists for every medium: headline, counts, what is not listed, remarks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.model import TEXT_ONLY, Fate, Kind, Show
from worker.core.text import flat, unmarked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.core.message import Message
    from worker.core.model import Queue, QueueTotals
    from worker.core.worklist import Worklist
    from worker.notifiers.rows import Pen

QUEUE_NAME = 80
_BASELINE_NOTE = "These were waiting when this queue was first polled. From now on only new runs are announced."
_BASELINES_NOTE = "These were waiting when their queues were first polled. From now on only new runs are announced."


def counted(number: int, noun: str = "run") -> str:
    """`1 run`, `2 runs`, `5,000 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def queue_name(queue: Queue | None) -> str:
    """The queue's name, flat; its id, or a word, where it has none."""
    if queue is None:
        return "the queue"
    return flat(queue.name, QUEUE_NAME) or flat(str(queue.queue_id), QUEUE_NAME) or "the queue"


def headline(message: Message) -> str:
    """The first line of the message, flat but not yet escaped."""
    if message.kind in TEXT_ONLY:
        return flat(unmarked(text_lines(message)[0]), 2_500)
    total, waiting, place = _counted(message)
    if message.successor is not None:
        return f"{counted(total)} in {place}"
    if message.kind is Kind.DIRECT:
        return _direct(message, total, waiting, place)
    if waiting == 0 and total:
        return _done(message, total, place)
    if waiting < total:
        return f"{waiting:,} of {total:,} left to review in {place}"
    return _opening(message, total, place)


def text_lines(message: Message) -> list[str]:
    """The lines of a message that has a text of its own, raw: of a report there are several, of any other one."""
    return message.text.split("\n") if message.kind is Kind.REPORT else [message.text]


def note(message: Message) -> str:
    """The explanation of a baseline, true of each of its runs; empty for other messages, and once one has left."""
    total, waiting, _ = _counted(message)
    if message.kind is not Kind.BASELINE or waiting < total:
        return ""
    if later := message.standing.later:
        return f"{counted(later)} came since this queue was first polled, the others were waiting then."
    return _BASELINES_NOTE if len(message.queue_lines) > 1 else _BASELINE_NOTE


def context(message: Message, pen: Pen) -> str:
    """The counts of the whole queue; empty where they are not known, and once no run of the message waits."""
    if message.queue_lines or not message.waiting:
        return ""
    return " · ".join(part for part in _context(message, pen) if part)


def more(message: Message) -> str:
    """The number of runs that are not listed, and of those that still wait; empty where all are listed."""
    unlisted = message.total - len(message.lines)
    if unlisted <= 0 or message.queue_lines:
        return ""
    waiting = message.waiting - sum(line.is_waiting for line in message.lines)
    if waiting >= unlisted:
        return f"and {unlisted:,} more"
    if waiting <= 0:
        return f"and {unlisted:,} more, no longer waiting"
    return f"and {unlisted:,} more, {waiting:,} of them still waiting"


def _counted(message: Message) -> tuple[int, int, str]:
    """The number of runs in the message, the number of these that wait, and their place."""
    lines = message.queue_lines
    if not lines:
        return message.total, message.waiting, _place(message)
    place = queue_name(lines[0].queue) if len(lines) == 1 else counted(len(lines), "queue")
    return sum(line.total for line in lines), sum(line.waiting for line in lines), place


def _place(message: Message) -> str:
    """The queue of a message's runs; of a direct one there may be several."""
    if message.kind is not Kind.DIRECT or message.queue is not None:
        return queue_name(message.queue)
    places = message.standing.places
    return queue_name(places[0]) if len(places) == 1 else counted(len(places), "queue")


def _direct(message: Message, total: int, waiting: int, place: str) -> str:
    """The headline of a direct message: what its reader still has to review."""
    if message.is_for_owner:
        return _for_owner(total, waiting, place)
    if waiting == 0:
        return f"Nothing left for you to review in {place} ✓"
    if waiting < total:
        return f"{waiting:,} of {total:,} left for you to review in {place}"
    if new := message.standing.new:
        return f"{counted(new, 'new run')} for you to review in {place}"
    overdue = message.standing.overdue
    if not overdue:
        return f"{counted(total)} {'waits' if total == 1 else 'wait'} for your review in {place}"
    return f"{counted(overdue)} {'is' if overdue == 1 else 'are'} overdue for your review in {place}"


def _for_owner(total: int, waiting: int, place: str) -> str:
    if waiting == 0:
        whole = f"None of {total:,} runs in {place} is waiting any more ✓"
        return whole if total > 1 else f"No longer waiting in {place} ✓"
    of = f"{waiting:,} of {counted(total)}" if waiting < total else counted(total)
    return f"{of} in {place} {'needs' if waiting == 1 else 'need'} your attention"


def _opening(message: Message, total: int, place: str) -> str:
    """The headline while every run waits: the most urgent purpose of its runs."""
    match _subject(message):
        case Kind.BASELINE:
            return f"{counted(total)} {'is' if total == 1 else 'are'} waiting in {place}"
        case Kind.ESCALATION:
            escalated = message.standing.escalated
            return f"{_of_all(message, escalated)} {'needs' if escalated == 1 else 'need'} attention in {place}"
        case Kind.ANNOUNCEMENT:
            return _news(message, place)
        case _:
            return _overdue(message, total, place)


def _subject(message: Message) -> Kind:
    """The most urgent purpose of the runs that the message still holds."""
    if message.kind is Kind.BASELINE:
        return message.kind
    if message.standing.escalated:
        return Kind.ESCALATION
    return Kind.ANNOUNCEMENT if message.standing.new else Kind.REMINDER


def _overdue(message: Message, total: int, place: str) -> str:
    queue = message.standing.queue
    overdue = queue.stale if queue else message.standing.overdue
    if not overdue:
        # What was overdue is reviewed meanwhile, or its reminder comes again after the limit was raised.
        soon = "will soon be overdue" if message.standing.along else f"{'is' if total == 1 else 'are'} still waiting"
        return f"{counted(total)} {soon} in {place}"
    return f"{_of_all(message, overdue)} {'is' if overdue == 1 else 'are'} overdue in {place}"


def _of_all(message: Message, number: int) -> str:
    """`5 of 7 waiting runs`; `5 runs` where it is not known how many wait."""
    queue = message.standing.queue
    if queue is None or queue.waiting < number:
        return counted(number)
    return "1 waiting run" if queue.waiting == 1 else f"{number:,} of {queue.waiting:,} waiting runs"


def _news(message: Message, place: str) -> str:
    new, back = message.standing.new, sum(line.back for line in message.lines)
    if back == new:
        return f"{counted(back)} {'is' if back == 1 else 'are'} back in {place}"
    return f"{new:,} {'' if back else 'new '}{'run' if new == 1 else 'runs'} to review in {place}"


def _done(message: Message, total: int, place: str) -> str:
    """The headline when nothing waits any more."""
    # "All reviewed" only where that is known of each: a run may also have been removed, or have left unseen.
    fates = {line.fate for line in message.lines}
    known = len(message.lines) == total and fates == {Fate.REVIEWED}
    if total == 1:
        return f"Reviewed in {place} ✓" if known else f"No longer waiting in {place}"
    if known:
        return f"All {total:,} reviewed in {place} ✓"
    if Fate.REMOVED in fates:
        return f"None of {total:,} left to review in {place}"
    return f"All {total:,} reviewed or no longer waiting in {place} ✓"


def _context(message: Message, pen: Pen) -> Iterator[str]:
    standing, shows_age = message.standing, Show.AGE in message.show
    queue = standing.queue
    if queue is not None:
        yield f"{queue.waiting:,} waiting{_oldest(message, queue, pen) if shows_age else ''}"
        yield f"{queue.stale:,} overdue" if queue.stale else ""
        yield _expiring(queue.expiring)
    if any(line.unheard for line in message.lines):
        yield "too few of the reviewers can be notified"
    if message.kind is Kind.DIRECT and standing.new and standing.overdue:
        yield f"{standing.overdue:,} overdue"
    if standing.along:
        by = standing.along_by if shows_age else None
        more = "more due" if queue is not None and queue.stale else "due"
        yield f"{standing.along:,} {more} " + (f"by {pen.soon(by, message)}" if by else "soon")
    if queue is not None and queue.reserved:
        yield f"{queue.reserved:,} reserved"
    if message.queue is not None and message.queue.disagreed:
        yield f"reviewers disagree on {message.queue.disagreed:,}"
    if standing.new and message.waiting == message.total and _subject(message) is Kind.ESCALATION:
        yield f"{standing.new:,} new"
    if queue is not None and message.is_edit:
        yield f"as of {pen.day(message.as_of, message)}"


def _expiring(count: int) -> str:
    """How many can be reviewed for a few days only."""
    return f"{counted(count, 'trace')} {'expires' if count == 1 else 'expire'} within 3 days" if count else ""


def _oldest(message: Message, queue: QueueTotals, pen: Pen) -> str:
    if queue.oldest_since is None:
        return ""
    return f"{' since' if queue.waiting == 1 else ', the oldest since'} {pen.day(queue.oldest_since, message)}"


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
    return " · ".join(_worklist_context(worklist, pen))


def worklist_rest(worklist: Worklist) -> str:
    """The number of runs that are not listed; empty where all are."""
    return more(worklist.message)


def worklist_remarks(worklist: Worklist, pen: Pen) -> list[str]:
    """Sentences below the list: why it may lack something, and what else waits."""
    return [remark for remark in (_why_empty(worklist), _nobodys(worklist, pen), _outdated(worklist, pen)) if remark]


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _worklist_context(worklist: Worklist, pen: Pen) -> Iterator[str]:
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
