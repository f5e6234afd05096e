"""Slack's limits on the text, blocks and metadata of a message, and the errors for them. Pure."""

from __future__ import annotations

import json
from typing import Any

_TEXT_LIMIT = 4_000
"""Slack splits a longer post into several messages and refuses a longer edit; here both are refused, to be seen."""

_BLOCKS_LIMIT = 50
PAYLOAD_LIMIT = 13_000
METADATA_LIMIT = 8_000

_TEXT_LIMITS = {"header": 150, "section": 3_000, "context": 3_000, "button": 75}
_ELEMENT_LIMITS = {"context": 10, "actions": 25}
_KNOWN = frozenset({"actions", "context", "divider", "header", "image", "rich_text", "section"})
_FIELDS, _FIELD_LIMIT = 10, 2_000


def text_error(text: object, blocks: object) -> str:
    """The error that a message's `text` earns; empty where it is fine."""
    if text is not None and not isinstance(text, str):
        return "invalid_arguments"
    if not blocks and not (text or "").strip():
        return "no_text"
    return "msg_too_long" if len(text or "") > _TEXT_LIMIT else ""


def block_errors(blocks: object) -> list[str]:
    """The errors of the blocks, each with a JSON pointer, as Slack words it."""
    if not isinstance(blocks, list):
        return ["must provide an array [json-pointer:/blocks]"]
    errors = (
        [f"no more than {_BLOCKS_LIMIT} items allowed [json-pointer:/blocks]"] if len(blocks) > _BLOCKS_LIMIT else []
    )
    for number, block in enumerate(blocks):
        errors += _block(block, f"/blocks/{number}")
    return errors


def is_too_large(blocks: object) -> bool:
    """Whether the whole of the blocks is more than Slack takes, however well-formed they are."""
    return len(json.dumps(blocks, ensure_ascii=False)) > PAYLOAD_LIMIT


def metadata_error(metadata: object) -> str:
    """The error that a message's metadata earns; empty where it is fine."""
    if not isinstance(metadata, dict):
        return "invalid_metadata_format"
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        return "invalid_metadata_schema"
    return "metadata_too_large" if len(json.dumps(metadata)) > METADATA_LIMIT else ""


def _block(block: object, at: str) -> list[str]:
    if not isinstance(block, dict):
        return [f"must be an object [json-pointer:{at}]"]
    kind = block.get("type")
    if kind not in _KNOWN:
        return [f"unsupported type: {kind} [json-pointer:{at}/type]"]
    match kind:
        case "header":
            return _text(block.get("text"), f"{at}/text", _TEXT_LIMITS["header"], kinds=("plain_text",))
        case "section":
            return _section(block, at)
        case "context" | "actions":
            return _elements(block, at, kind)
        case _:
            return []


def _section(block: dict[str, Any], at: str) -> list[str]:
    fields = block.get("fields")
    if block.get("text") is None and not fields:
        return [f"missing required field: text or fields [json-pointer:{at}]"]
    errors = _text(block["text"], f"{at}/text", _TEXT_LIMITS["section"]) if block.get("text") is not None else []
    listed = fields if isinstance(fields, list) else []
    if len(listed) > _FIELDS:
        errors.append(f"no more than {_FIELDS} items allowed [json-pointer:{at}/fields]")
    for number, field in enumerate(listed):
        errors += _text(field, f"{at}/fields/{number}", _FIELD_LIMIT)
    return errors


def _elements(block: dict[str, Any], at: str, kind: str) -> list[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not elements:
        return [f"must have at least 1 item [json-pointer:{at}/elements]"]
    limit = _ELEMENT_LIMITS[kind]
    errors = [f"no more than {limit} items allowed [json-pointer:{at}/elements]"] if len(elements) > limit else []
    for number, element in enumerate(elements):
        where = f"{at}/elements/{number}"
        if kind == "actions":
            text = element.get("text") if isinstance(element, dict) else None
            errors += _text(text, f"{where}/text", _TEXT_LIMITS["button"], kinds=("plain_text",))
        elif not (isinstance(element, dict) and element.get("type") == "image"):
            errors += _text(element, where, _TEXT_LIMITS["context"])
    return errors


def _text(value: object, at: str, limit: int, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> list[str]:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        return [f"must be a text object of type {' or '.join(kinds)} [json-pointer:{at}]"]
    text = value.get("text")
    if not isinstance(text, str) or not text:
        return [f"must be more than 0 characters [json-pointer:{at}/text]"]
    if len(text) > limit:
        return [f"must be less than {limit + 1} characters [json-pointer:{at}/text]"]
    if "verbatim" in value and value["type"] != "mrkdwn":
        return [f"verbatim is for mrkdwn only [json-pointer:{at}/verbatim]"]
    if "emoji" in value and value["type"] != "plain_text":
        return [f"emoji is for plain_text only [json-pointer:{at}/emoji]"]
    return []
