"""What names people, places and secrets: queues, channels, Slack ids, keys. Pure.

Functions raise ValueError as those of `worker.settings.values` do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import SecretStr

from worker.settings.values import text, words

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL_QUEUES = "all"

_ALMOST_UUID = re.compile(r"[0-9a-fA-F-]{30,40}", re.ASCII)
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]+", re.ASCII)
_PERSON = re.compile(r"[DUW][A-Z0-9]{8,}", re.ASCII)
_CHANNEL_NAME = re.compile(r"[^\sA-Z,;:.<>@/#]{1,80}")
_MENTION = re.compile(r"[UWS][A-Z0-9]+", re.ASCII)
_FLAWS = (
    (re.compile(r"[\r\n]"), "a line break"),
    (re.compile(r"\s"), "white space"),
    (re.compile(r"[\"'`]"), "a quotation mark"),
    (re.compile(r"[^!-~]"), "a character that no key has"),
)
_NOT_BOT_TOKENS = (
    ("xoxp-", "is a user token (xoxp-)"),
    ("xapp-", "is an app-level token (xapp-)"),
    ("xoxe", "is a token that expires (xoxe), because token rotation is on for the app"),
    ("lsv2_", "is a LangSmith key"),
)


def queue(value: object) -> str:
    """A queue's id or name, as it was given."""
    given = text(value)
    if "://" in given:
        raise ValueError("is an address; give the queue's id, the last part of that address, or its name")
    if _ALMOST_UUID.fullmatch(given) and queue_id(given) is None:
        raise ValueError("looks like a queue's id but is not a complete one; copy it again (8-4-4-4-12 hex digits)")
    return given


def queue_id(given: str) -> UUID | None:
    """The id, where a queue was given by id."""
    if not _ALMOST_UUID.fullmatch(given):
        return None
    try:
        return UUID(given)
    except ValueError:
        return None


def identity(queue: str) -> UUID | str:
    """What makes two ways to give a queue the same one, as far as they tell."""
    return queue_id(queue) or queue


def repeated(queues: Sequence[str]) -> str | None:
    """The first queue that was given before."""
    identities = [identity(queue) for queue in queues]
    return next((queue for place, queue in enumerate(queues) if identities[place] in identities[:place]), None)


def listed_queues(value: object) -> tuple[str, ...]:
    """Queues by id or name, each once; one of them may be `all`."""
    given = tuple(ALL_QUEUES if word.casefold() == ALL_QUEUES else queue(word) for word in words(value))
    if not given:
        raise ValueError("names no queue; write their ids or names, or all")
    if twice := repeated(given):
        raise ValueError(f"names {twice!r} twice; name each queue once")
    return given


def table_queue(value: object) -> str:
    """The queue that one table of `worker.toml` is about."""
    given = queue(value)
    if given.casefold() == ALL_QUEUES:
        raise ValueError("is no single queue; set WORKER_QUEUES=all and write what holds for all under [defaults]")
    return given


def channel(value: object) -> str:
    """A Slack channel's id, or its name without the `#`."""
    given = text(value).removeprefix("#")
    if _CHANNEL_ID.fullmatch(given) or _CHANNEL_NAME.fullmatch(given):
        return given
    if _PERSON.fullmatch(given):
        raise ValueError("is a person's id; name a channel, to which others can be invited, and mention people there")
    raise ValueError(
        "is neither a Slack channel's id nor its name; write the id (C0123456789, at the end of the channel's details) "
        "or the name as Slack shows it, in lower case"
    )


def mentions(value: object) -> tuple[str, ...]:
    """Slack ids of people (`U…`, `W…`) and user groups (`S…`), in the order given, each once."""
    given = words(value)
    if not all(_MENTION.fullmatch(word) for word in given):
        raise ValueError(
            "names someone by something else than a Slack id; write member ids (U… or W…, in the profile's menu) "
            "or user group ids (S…)"
        )
    return tuple(dict.fromkeys(given))


def header_value(value: object) -> str:
    """Text that may travel in an HTTP header."""
    given = text(value)
    if not given.isascii() or " " in given:
        raise ValueError("contains white space or a character outside ASCII; copy the id again")
    return given


def langsmith_key(value: object) -> SecretStr:
    """A LangSmith API key."""
    key = _secret(value)
    if key.startswith(("xox", "xapp-")):
        raise ValueError("is a Slack token; set LangSmith's API key here (Settings, API keys)")
    return SecretStr(key)


def slack_token(value: object) -> SecretStr:
    """A Slack bot token."""
    token = _secret(value)
    remedy = "set the Bot User OAuth Token of the Slack app (OAuth & Permissions), which begins with xoxb-"
    for prefix, what in _NOT_BOT_TOKENS:
        if token.startswith(prefix):
            raise ValueError(f"{what}; {remedy}")
    if not token.startswith("xoxb-"):
        raise ValueError(f"does not begin with xoxb-; {remedy}")
    return SecretStr(token)


def _secret(value: object) -> str:
    stripped = str(value).rstrip("\r\n")
    if not stripped:
        raise ValueError("is empty; write the secret into it")
    for pattern, flaw in _FLAWS:
        if pattern.search(stripped):
            raise ValueError(f"contains {flaw}; copy the secret again, alone and on one line")
    return stripped
