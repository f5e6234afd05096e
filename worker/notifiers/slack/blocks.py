"""Renders a message for Slack: `text`, Block Kit `blocks` and `metadata`, within every limit. Pure."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from worker.core.model import TEXT_ONLY, Kind
from worker.core.text import clock_time, time_ago
from worker.notifiers.rows import DETAILS, Detail, Pen, entries, run_rows
from worker.notifiers.slack import controls, markup
from worker.notifiers.words import context, headline, more, note, queue_name, text_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from worker.core.message import Message
    from worker.core.owed import Receipt

HEADER_LIMIT = 150
SECTION_LIMIT = 2_900
"""Below Slack's 3,000 characters of a section."""

_BLOCKS_LIMIT = 11_000
"""Characters of the blocks as ASCII JSON; Slack has been seen to refuse them near 13,000."""

_TEXT_LIMIT = 3_000
"""Slack splits a longer text into several messages."""

EVENT_TYPE = "review_notice"

Block = dict[str, Any]


class Rendered(TypedDict):
    """The payload of a post. `blocks` is empty for a plain message, which has only `text`."""

    text: str
    blocks: list[Block]
    metadata: dict[str, Any]


MRKDWN = Pen(
    words=markup.words,
    code=markup.code,
    link=markup.link,
    ago=markup.ago,
    moment=markup.moment,
    strike=lambda name: f"~{name}~",
)
TEXT = Pen(
    words=markup.bare,
    code=markup.bare,
    link=lambda _url, label: markup.bare(label, len(label)),
    ago=time_ago,
    moment=clock_time,
    strike=lambda name: name,
)


def render(message: Message, *, team_url: str = "") -> Rendered:
    """Render a message; `team_url` (`https://team.slack.com/`) makes links to other messages possible."""
    return {
        "text": _text(message, team_url),
        "blocks": [] if message.plain else _blocks(message, team_url),
        "metadata": {
            "event_type": EVENT_TYPE,
            "event_payload": {"delivery_key": str(message.key), "kind": str(message.kind), "v": 1},
        },
    }


def permalink(team_url: str, receipt: Receipt) -> str:
    """The address of a message; empty where the team's is not known."""
    return f"{team_url.rstrip('/')}/archives/{receipt.channel}/p{receipt.ts.replace('.', '')}" if team_url else ""


def size(blocks: list[Block]) -> int:
    """The size of the blocks on the wire, in characters."""
    # As ASCII JSON, the longest spelling: it is not documented which one Slack counts.
    return len(json.dumps(blocks, separators=(",", ":")))


def _blocks(message: Message, team_url: str) -> list[Block]:
    if message.kind in TEXT_ONLY:
        return [_section(_own_text(message, _own(message, markup.words), SECTION_LIMIT))]
    if message.successor is not None:
        return [_context([_pointer(message, team_url, markup.words)])]
    return next(_fitting(_candidates(message)))


def _candidates(message: Message) -> Iterator[list[Block]]:
    """The message from all its parts to the least; what can be pressed goes before anything that can be read."""
    if message.controls is not None:
        yield _digest(message, DETAILS[0], menus=True, footer=True)
    for detail in DETAILS:
        if message.controls is not None:
            yield _digest(message, detail, footer=True)
        yield _digest(message, detail)


def _fitting(candidates: Iterable[list[Block]]) -> Iterator[list[Block]]:
    """The candidates that are small enough, and the last one in any case, which always fits."""
    blocks: list[Block] = []
    for blocks in candidates:
        if size(blocks) <= _BLOCKS_LIMIT:
            yield blocks
    yield blocks


def _digest(message: Message, detail: Detail, *, menus: bool = False, footer: bool = False) -> list[Block]:
    rest = _more(message, detail)
    mentions = _mentions(message)
    standing = context(message, MRKDWN)
    return [
        _header(headline(message)),
        *([_context([standing])] if standing else []),
        *([_section(f"{mentions} please have a look")] if mentions else []),
        *_body(message, detail, [rest] if rest else [], menus=menus),
        *_footer(message),
        *(controls.below(message) if footer else []),
    ]


def _body(message: Message, detail: Detail, rest: list[str], *, menus: bool) -> Iterator[Block]:
    """The runs in as few sections as possible; with `menus` each in one of its own."""
    found = controls.run_menus(message) if menus else []
    if not any(found):
        yield from (_section(part) for part in packed([*entries(message, detail, MRKDWN), *rest]))
        return
    plain: list[str] = []
    for rows, menu in zip(run_rows(message, detail, MRKDWN), found, strict=True):
        if menu is None:
            plain += rows
            continue
        yield from (_section(part) for part in packed(plain))
        plain = []
        # A section holds one menu: it stands beside the name, and what does not fit follows without it.
        first, *others = packed(rows)
        yield {**_section(first), **menu}
        yield from (_section(part) for part in others)
    yield from (_section(part) for part in packed([*plain, *rest]))


def _more(message: Message, detail: Detail) -> str:
    rest = more(message)
    url = message.queue.url if message.queue and detail.links else ""
    return f"{rest} in {markup.link(url, 'the queue')}" if rest else ""


def _footer(message: Message) -> list[Block]:
    url = message.queue.url if message.queue else ""
    opened = markup.link(url, f"Open {queue_name(message.queue)} in LangSmith") if markup.target(url) else ""
    elements = [part for part in (opened, note(message)) if part]
    return [_context(elements)] if elements else []


def _pointer(message: Message, team_url: str, written: Callable[[str, int], str]) -> str:
    """The one line in place of a reminder that a newer one repeats."""
    url = permalink(team_url, message.successor) if message.successor else ""
    newer = markup.link(url, "a newer reminder") if url else "a newer reminder below"
    # No colon: behind a name that ends in `:x` it would make an emoji of both.
    return f"↪ {written(headline(message), HEADER_LIMIT)}, see {newer}"


def _mentions(message: Message) -> str:
    """The mentions from the settings, the only ones that a message has; ids of an unknown form are left out."""
    return " ".join(mention for member in message.mention if (mention := _mention(member)))


def _mention(member: str) -> str:
    if re.fullmatch(r"[UW][A-Z0-9]+", member):
        return f"<@{member}>"
    return f"<!subteam^{member}>" if re.fullmatch(r"S[A-Z0-9]+", member) else ""


def packed(rows: Sequence[str]) -> Iterator[str]:
    """Rows in as few parts as the limit of a section allows, in order."""
    part = ""
    for row in rows:
        if part and len(part) + 1 + len(row) > SECTION_LIMIT:
            yield part
            part = row
        else:
            part = f"{part}\n{row}" if part else row
    if part:
        yield part


def _header(line: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": markup.title(line, HEADER_LIMIT), "emoji": False}}


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "expand": True, "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}}


def _context(elements: list[str]) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": part, "verbatim": True} for part in elements]}


def _text(message: Message, team_url: str) -> str:
    """The whole message without blocks, for notifications and screen readers."""
    if message.kind in TEXT_ONLY:
        return _own_text(message, _own(message, markup.bare), _TEXT_LIMIT)
    if message.successor is not None:
        return _pointer(message, team_url, markup.bare)
    texts = ("\n".join(_rows(message, detail)) for detail in DETAILS)
    text = ""
    for text in texts:
        if len(text) <= _TEXT_LIMIT:
            return text
    return _fitting_lines(text)


def _fitting_lines(text: str) -> str:
    """As many whole lines as fit."""
    # Names of ampersands alone are five times as long as they look: even the least detail may be too long then.
    first, *lines = text.split("\n")
    size, fitting = len(first), [first]
    for line in lines:
        size += 1 + len(line)
        if size <= _TEXT_LIMIT:
            fitting.append(line)
    return "\n".join(fitting)


def _own(message: Message, words: Callable[[str, int], str]) -> Callable[[str, int], str]:
    """The way in which a text of a message's own is written: of a report about the worker, some parts are set."""
    return partial(markup.own_report, words=words) if message.kind is Kind.OPS else words


def _own_text(message: Message, written: Callable[[str, int], str], limit: int) -> str:
    """The text of a message that has one of its own; the lines share the room."""
    lines = text_lines(message)
    return "\n".join(_cut(line, written, limit // len(lines) - 1) for line in lines)


def _cut(raw: str, written: Callable[[str, int], str], limit: int) -> str:
    """As much of a text as stays within `limit` when it is escaped."""
    # An ampersand becomes five characters, so the last cut always fits.
    cuts = (written(raw, cut) for cut in (limit, limit // 2, limit // 7))
    return next(text for text in cuts if len(text) <= limit) or "(no text)"


def _rows(message: Message, detail: Detail) -> Iterator[str]:
    mentions = _mentions(message)
    head = markup.bare(headline(message), HEADER_LIMIT)
    yield f"{mentions} {head}" if mentions else head
    standing = context(message, TEXT)
    if standing:
        yield standing
    yield from entries(message, detail, TEXT)
    rest = more(message)
    if rest:
        yield rest
    if message.queue and markup.target(message.queue.url):
        yield markup.link(message.queue.url, "Open the queue in LangSmith")
