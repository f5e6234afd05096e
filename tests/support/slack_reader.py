"""Reads a rendered message as Slack would: what it limits, what it would call, link and format. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN = re.compile(r"<([^<>\n]*)>")
MENTION = re.compile(r"@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+")
DATE = re.compile(
    r"!date\^[0-9]+\^(\{ago\}\|([0-9]+ (s|min|h|d) ago|just now)"
    r"|(\{date_short_pretty\} )?\{time(_secs)?\}\|([0-9]+ [A-Z][a-z]{2} )?[0-9]{2}:[0-9]{2}(:[0-9]{2})? [A-Z]{3,4})"
)
CHANNEL = re.compile(r"#[CG][A-Z0-9]+")
LINK = re.compile(r"(?i:https?)://[^|\s<>]+\|[^|<>\n]+")
CLOCK = re.compile(r"\b[0-9]{2}:[0-9]{2}:[0-9]{2} [A-Z]{3,4}\b")
SHORTCODE = re.compile(r":[\w+'-]+:")
ADDRESS = re.compile(
    r"(https?|ftp|mailto|slack)://|\bwww\.\w|\w@\w+\.\w|@(everyone|here|channel)|\w\.[a-z]{2,}\b", re.IGNORECASE
)


def mrkdwn(rendered: Mapping[str, Any]) -> Iterator[str]:
    """The text of every mrkdwn object of the blocks."""
    for thing in _text_objects(rendered["blocks"]):
        if thing["type"] == "mrkdwn":
            yield thing["text"]


def limits_broken(rendered: Mapping[str, Any]) -> list[str]:
    """Each limit of Slack's (and each of ours below it) that the message breaks."""
    blocks = rendered["blocks"]
    broken = [f"{len(blocks)} blocks"] if len(blocks) > 50 else []
    if (size := len(json.dumps(blocks, separators=(",", ":")))) > 11_000:
        broken.append(f"{size} characters of blocks")
    if not 0 < len(rendered["text"].strip()) <= len(rendered["text"]) <= 3_000:
        broken.append(f"{len(rendered['text'])} characters of text")
    for block in blocks:
        broken += _block_limits(block)
    broken += [f"not verbatim: {t}" for t in _text_objects(blocks) if t["type"] == "mrkdwn" and not t.get("verbatim")]
    return broken + [
        f"unclean: {s!r}" for s in (rendered["text"], *(t["text"] for t in _text_objects(blocks))) if not is_clean(s)
    ]


def is_clean(text: str) -> bool:
    """Whether nothing in the text is hidden, reorders it, or breaks a line in an unusual way."""
    allowed = "\n\u200c\u200d\u2060"
    return all(
        char in allowed or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"} for char in text
    )


def tokens(text: str) -> list[str]:
    """Everything between angle brackets; AssertionError where a bracket or ampersand stands that is no markup."""
    rest = TOKEN.sub("", text)
    assert "<" not in rest, rest
    assert ">" not in rest, rest
    assert not re.search(r"&(?!(amp|lt|gt);)", text), text
    return TOKEN.findall(text)


def mentions(text: str) -> list[str]:
    """Who is called; AssertionError for a token that is neither a call, nor a date, nor a link, nor a channel."""
    found = [token for token in tokens(text) if not any(each.fullmatch(token) for each in (DATE, LINK, CHANNEL))]
    assert all(MENTION.fullmatch(token) for token in found), found
    return found


def targets(text: str) -> list[str]:
    """Where its links lead."""
    return [token.split("|", 1)[0] for token in tokens(text) if LINK.fullmatch(token)]


def formatting(text: str) -> list[str]:
    """Characters outside code that could open or close bold, italics or a picture; strikes are counted apart."""
    plain = TOKEN.sub(lambda token: token[1].split("|", 1)[-1], re.sub(r"`[^`\n]*`", "", text))
    assert "`" not in plain, plain
    loose = re.findall(r"\*|(?<![^\W_])_|_(?![^\W_])", plain)
    # A clock with seconds, which tells runs of one name apart, is no picture.
    return loose + SHORTCODE.findall(CLOCK.sub("", plain))


def struck(text: str) -> list[str]:
    """What stands between tildes; AssertionError for a tilde too many."""
    spans = re.findall(r"(?<=[ ])~(\S[^~\n]*\S|\S)~(?=[ ])", text)
    assert text.count("~") == 2 * len(spans), text
    return spans


def autolinked(text: str) -> list[str]:
    """What Slack would take for an address or a call in a text that is not verbatim."""
    return [match.group() for match in ADDRESS.finditer(TOKEN.sub(" ", text))]


def _block_limits(block: Mapping[str, Any]) -> list[str]:
    if block["type"] == "header":
        text = block["text"]
        ok = text["type"] == "plain_text" and 0 < len(text["text"]) <= 150
        return [] if ok else [f"header {text}"]
    if block["type"] == "section":
        return [] if 0 < len(block["text"]["text"]) <= 3_000 else [f"section of {len(block['text']['text'])}"]
    if block["type"] == "actions":
        return [] if 0 < len(block["elements"]) <= 25 else [f"actions of {len(block['elements'])}"]
    assert block["type"] == "context", block
    if not 0 < len(block["elements"]) <= 10:
        return [f"context of {len(block['elements'])}"]
    return [f"element of {len(e['text'])}" for e in block["elements"] if not 0 < len(e["text"]) <= 3_000]


def _text_objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every text in the blocks, at any depth."""
    if isinstance(part, dict) and part.get("type") in {"plain_text", "mrkdwn"}:
        yield part
    elif isinstance(part, dict | list):
        for each in part.values() if isinstance(part, dict) else part:
            yield from _text_objects(each)
