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
_CONTROLS = {"button": 0, "overflow": 5, "static_select": 100}
"""What people press, and how many options each has at most."""

_ACTION_ID_LIMIT, _VALUE_LIMIT, _OPTION_LIMIT = 255, 2_000, 150
_CONFIRM_LIMITS = {"title": 100, "text": 300, "confirm": 30, "deny": 30}


def text_error(text: object, blocks: object) -> str:
    """The error that a message's `text` earns; empty where it is fine."""
    if text is not None and not isinstance(text, str):
        return "invalid_arguments"
    if not blocks and not (text or "").strip():
        return "no_text"
    return "msg_too_long" if len(text or "") > _TEXT_LIMIT else ""


def block_errors(blocks: object, *, most: int = _BLOCKS_LIMIT) -> list[str]:
    """The errors of the blocks, `most` of which are allowed, each with a JSON pointer, as Slack words it."""
    if not isinstance(blocks, list):
        return ["must provide an array [json-pointer:/blocks]"]
    errors = [f"no more than {most} items allowed [json-pointer:/blocks]"] if len(blocks) > most else []
    for number, block in enumerate(blocks):
        errors += _block(block, f"/blocks/{number}")
    return errors + _ids(blocks)


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
    accessory = block.get("accessory")
    return errors + (_control(accessory, f"{at}/accessory") if accessory is not None else [])


def _elements(block: dict[str, Any], at: str, kind: str) -> list[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not elements:
        return [f"must have at least 1 item [json-pointer:{at}/elements]"]
    limit = _ELEMENT_LIMITS[kind]
    errors = [f"no more than {limit} items allowed [json-pointer:{at}/elements]"] if len(elements) > limit else []
    for number, element in enumerate(elements):
        where = f"{at}/elements/{number}"
        if kind == "actions":
            errors += _control(element, where)
        elif not (isinstance(element, dict) and element.get("type") == "image"):
            errors += _text(element, where, _TEXT_LIMITS["context"])
    ids = [str(element["action_id"]) for element in elements if isinstance(element, dict) and "action_id" in element]
    return errors + ([f"action_id must be unique [json-pointer:{at}/elements]"] if len(set(ids)) < len(ids) else [])


def _control(control: object, at: str) -> list[str]:
    """The errors of something that people press."""
    if not isinstance(control, dict) or control.get("type") not in _CONTROLS:
        return [f"must be one of {', '.join(sorted(_CONTROLS))} [json-pointer:{at}/type]"]
    errors = _length(control.get("action_id", "-"), f"{at}/action_id", _ACTION_ID_LIMIT)
    errors += _confirm(control["confirm"], f"{at}/confirm") if "confirm" in control else []
    if control["type"] == "button":
        errors += _text(control.get("text"), f"{at}/text", _TEXT_LIMITS["button"], kinds=("plain_text",))
        return errors + _length(control.get("value", "-"), f"{at}/value", _VALUE_LIMIT)
    if control["type"] == "static_select":
        errors += _text(control.get("placeholder"), f"{at}/placeholder", _OPTION_LIMIT, kinds=("plain_text",))
    return errors + _options(control.get("options"), f"{at}/options", _CONTROLS[control["type"]])


def _options(options: object, at: str, most: int) -> list[str]:
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        return [f"must have 1 to {most} items [json-pointer:{at}]"]
    errors = []
    for number, option in enumerate(options):
        where = f"{at}/{number}"
        if not isinstance(option, dict):
            return [f"must be an object [json-pointer:{where}]"]
        errors += _text(option.get("text"), f"{where}/text", _OPTION_LIMIT)
        errors += _length(option.get("value"), f"{where}/value", _OPTION_LIMIT)
    return errors


def _confirm(confirm: object, at: str) -> list[str]:
    if not isinstance(confirm, dict):
        return [f"must be an object [json-pointer:{at}]"]
    errors = []
    for name, limit in _CONFIRM_LIMITS.items():
        kinds = ("plain_text", "mrkdwn") if name == "text" else ("plain_text",)
        errors += _text(confirm.get(name), f"{at}/{name}", limit, kinds=kinds)
    return errors


def _length(value: object, at: str, limit: int) -> list[str]:
    if isinstance(value, str) and 0 < len(value) <= limit:
        return []
    return [f"must be 1 to {limit} characters [json-pointer:{at}]"]


def _ids(blocks: list[Any]) -> list[str]:
    """The errors of ids that Slack would not know apart."""
    given = [str(block["block_id"]) for block in blocks if isinstance(block, dict) and "block_id" in block]
    errors = [error for block_id in given for error in _length(block_id, "/blocks/block_id", _ACTION_ID_LIMIT)]
    return errors + (["block_id must be unique [json-pointer:/blocks]"] if len(set(given)) < len(given) else [])


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
