"""Renders what people can press in a message: a menu a run, and one row for the whole message. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.core.actions import Act
from worker.core.controls import MINE, ON_QUEUE, ON_RUN, Span, block_of, value_of
from worker.core.text import day_time
from worker.notifiers.slack import markup
from worker.notifiers.words import queue_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, tzinfo

    from worker.core.controls import Ends
    from worker.core.message import Line, Message
    from worker.core.model import Queue

_Block = dict[str, Any]

_TITLE_NAME = 80
_CONFIRM = (
    "Nothing new is posted about it to anybody until then. Messages are still edited, and escalations still come."
)


def run_menus(message: Message) -> list[_Block | None]:
    """What each line's section has besides its text: a menu, and the ids of the run."""
    ends = message.controls.lines if message.controls is not None else ()
    found = [_menu(line, line.queue or message.queue, each) for line, each in zip(message.lines, ends, strict=False)]
    found += [None] * (len(message.lines) - len(found))
    # Two blocks of one name would be refused, with the whole message.
    seen: set[str] = set()
    return [_first(menu, seen) for menu in found]


def below(message: Message) -> Iterator[_Block]:
    """The row below a message: the reader's own reviews, and the mute of its queue."""
    mute = _mute(message.queue, message.controls.queue if message.controls is not None else None)
    block_id = block_of(message.queue.queue_id) if message.queue is not None else ""
    mine = {"type": "button", "action_id": MINE, "text": _plain("My reviews"), "value": MINE}
    named = {"block_id": block_id} if block_id else {}
    yield {"type": "actions", **named, "elements": [mine, *([mute] if mute and block_id else [])]}


def _first(menu: _Block | None, seen: set[str]) -> _Block | None:
    if menu is None or menu["block_id"] in seen:
        return None
    seen.add(menu["block_id"])
    return menu


def _menu(line: Line, queue: Queue | None, ends: Ends | None) -> _Block | None:
    if ends is None or queue is None or line.queue_run_id is None:
        return None
    block_id = block_of(queue.queue_id, line.queue_run_id)
    taking = [] if line.reserved else [_item("I take it", value_of(Act.CLAIM))]
    items = [
        *([_item("Give it back", value_of(Act.GIVE_BACK))] if line.claimed_by else taking),
        _item("Snooze 1 h", value_of(Act.SNOOZE, Span.HOUR)),
        _until("Snooze", Act.SNOOZE, Span.OPENING, ends.opening_at, ends.zone),
        _item("Not mine", value_of(Act.NOT_MINE)),
    ]
    return {"block_id": block_id, "accessory": _overflow(ON_RUN, items)} if block_id else None


def _mute(queue: Queue | None, ends: Ends | None) -> _Block | None:
    if queue is None or ends is None:
        return None
    spans = {ends.opening_at: Span.OPENING, ends.monday_at: Span.MONDAY}
    items = [
        _item("Mute 1 h", value_of(Act.MUTE, Span.HOUR)),
        *(_until("Mute", Act.MUTE, span, at, ends.zone) for at, span in sorted(spans.items())),
    ]
    # Slack asks before each item of a menu, or before none: so what needs no question is a button of its own.
    confirm = {
        "title": _plain(f"Mute {markup.title(queue_name(queue), _TITLE_NAME)}?"),
        "text": _plain(_CONFIRM),
        "confirm": _plain("Mute"),
        "deny": _plain("Cancel"),
    }
    return {**_overflow(ON_QUEUE, items), "confirm": confirm}


def _until(word: str, act: Act, span: Span, at: datetime, zone: tzinfo) -> _Block:
    # On the queue's clock, whose name it gives: an item of a menu cannot show each reader's own time.
    return _item(f"{word} until {day_time(at, zone)} {at.astimezone(zone).tzname()}", value_of(act, span, at))


def _item(text: str, value: str) -> _Block:
    return {"text": _plain(text), "value": value}


def _overflow(action: str, items: Sequence[_Block]) -> _Block:
    return {"type": "overflow", "action_id": action, "options": list(items)}


def _plain(text: str) -> _Block:
    return {"type": "plain_text", "text": text, "emoji": False}
