"""What the app shows one person alone: answers where they pressed or wrote, worklists, and the app's own page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.rows import DETAILS, Detail, Pen, entries
from worker.notifiers.slack import markup
from worker.notifiers.slack.blocks import MRKDWN, TEXT, packed, size
from worker.notifiers.words import queue_name, worklist_context, worklist_headline, worklist_remarks, worklist_rest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from worker.core.worklist import Worklist
    from worker.notifiers.slack.notifier import Slack

_HEADER_LIMIT = 150
_LARGEST = 10_000
"""Characters of the blocks as ASCII JSON, well below what Slack has been seen to refuse."""

_LONGEST_TEXT = 2_900
"""Characters of an answer, below Slack's limit for one text."""

_Block = dict[str, Any]


def worklist_text(worklist: Worklist) -> str:
    """The whole worklist without blocks, for notifications and screen readers."""
    rows = ("\n".join(_rows(worklist, detail, TEXT)) for detail in DETAILS)
    return _first_within(rows, _LONGEST_TEXT)


def worklist_blocks(worklist: Worklist) -> list[_Block]:
    """The worklist as blocks."""
    found: list[_Block] = []
    for detail in DETAILS:
        found = _blocks(worklist, detail)
        if size(found) <= _LARGEST:
            break
    return found


def notice_blocks(text: str) -> list[_Block]:
    """A text of ours that may hold names from outside, as blocks in which nothing is markup."""
    lines = "\n".join(markup.title(line, _LONGEST_TEXT) for line in text[:_LONGEST_TEXT].split("\n"))
    return [{"type": "section", "text": {"type": "plain_text", "text": lines[:_LONGEST_TEXT], "emoji": False}}]


def _first_within(texts: Iterable[str], limit: int) -> str:
    """The first text that is short enough; of the last one as many whole lines as fit."""
    # Never within a line: half an entity would show, and half a date would be no date.
    text = ""
    for text in texts:
        if len(text) <= limit:
            return text
    kept, room = [], limit
    for line in text.split("\n"):
        room -= len(line) + 1
        if room >= 0:
            kept.append(line)
    return "\n".join(kept)


def _rows(worklist: Worklist, detail: Detail, pen: Pen) -> Iterator[str]:
    yield markup.bare(worklist_headline(worklist), _HEADER_LIMIT)
    yield worklist_context(worklist, pen)
    yield from entries(worklist.message, detail, pen)
    if rest := worklist_rest(worklist):
        yield rest
    yield from worklist_remarks(worklist, pen)


def _blocks(worklist: Worklist, detail: Detail) -> list[_Block]:
    rest = worklist_rest(worklist)
    rows = [*entries(worklist.message, detail, MRKDWN), *([rest] if rest else [])]
    url = worklist.queue.url if worklist.queue is not None else ""
    opened = [markup.link(url, f"Open {queue_name(worklist.queue)} in LangSmith")] if markup.target(url) else []
    small = [*worklist_remarks(worklist, MRKDWN), *opened]
    return [
        {"type": "header", "text": _title(worklist_headline(worklist))},
        _context([worklist_context(worklist, MRKDWN)]),
        *({"type": "section", "expand": True, "text": _mrkdwn(part)} for part in packed(rows)),
        *(_context([part]) for part in small),
    ]


def _title(line: str) -> _Block:
    return {"type": "plain_text", "text": markup.title(line, _HEADER_LIMIT), "emoji": False}


def _mrkdwn(text: str) -> _Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _context(parts: Sequence[str]) -> _Block:
    return {"type": "context", "elements": [_mrkdwn(part) for part in parts]}


class SlackAnswers:
    """The Answers of Slack. Thread-safe. Raises DeliveryError."""

    def __init__(self, slack: Slack) -> None:
        """`slack` has the bot's token."""
        self._slack = slack

    def ephemeral(self, place: str, user: str, text: str, *, thread: str = "") -> None:
        """See `Answers.ephemeral`. In a channel that the app is not in it is a direct message instead."""
        shown = "\n".join(markup.bare(line, _LONGEST_TEXT) for line in text[:_LONGEST_TEXT].split("\n"))
        self._answer(place, user, shown[:_LONGEST_TEXT], notice_blocks(text), thread)

    def show(self, place: str, user: str, worklist: Worklist, *, thread: str = "") -> None:
        """See `Answers.show`."""
        self._answer(place, user, worklist_text(worklist), worklist_blocks(worklist), thread)

    def publish(self, user: str, page: Worklist | str) -> None:
        """See `Answers.publish`."""
        blocks = notice_blocks(page) if isinstance(page, str) else worklist_blocks(page)
        self._slack.ask("views.publish", user_id=user, view=json.dumps({"type": "home", "blocks": blocks}))

    def _answer(self, place: str, user: str, text: str, blocks: Sequence[dict[str, Any]], thread: str) -> None:
        fields = {"text": text, "blocks": json.dumps(list(blocks))}
        try:
            reply = {"thread_ts": thread} if thread else {}
            self._slack.ask("chat.postEphemeral", channel=place, user=user, **fields, **reply)
        except DeliveryError as error:
            # A command can be written anywhere; without an answer it would seem to have failed.
            if error.outcome is not Outcome.DESTINATION:
                raise
            self._slack.ask("chat.postMessage", channel=user, **fields)
