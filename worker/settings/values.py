"""Parsers of single settings: text (or a TOML value) in, a typed value out. Pure.

Every function raises ValueError with the rest of a sentence that begins with the value: the mistake, then the fix.
The value itself is never part of it, because only the caller knows whether it may be shown.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar
from uuid import UUID

from pydantic import SecretStr

from worker.core.owed import Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import StrEnum

_NEVER = "never"
_AT_ONCE = "0s"
_DAY = timedelta(days=1)
LONGEST_DURATION = timedelta(days=3650)
LONGEST_POLL_INTERVAL = timedelta(days=7)
LEAST_REQUESTS_PER_SECOND, MOST_REQUESTS_PER_SECOND = 0.1, 1000
"""With less than the least a single poll, of a handful of requests, would take minutes or hours."""

MOST_MESSAGES = 1000
STATUSES = ("needs_my_review", "needs_others_review", "disagreed")

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_UNDECODED = re.compile(r"[\ud800-\udfff]")
"""The characters that Python puts in place of bytes of the environment that are no text."""

_DIGITS = 8  # more of them cannot be meant, and would overflow a timedelta
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})

E = TypeVar("E", bound="StrEnum")


def one_line(value: object) -> str:
    """Text on one line, without the white space around it."""
    if not isinstance(value, str):
        raise ValueError("is not text; put it in quotation marks")  # noqa: TRY004  pydantic collects ValueError alone
    stripped = value.strip()
    if not stripped:
        raise ValueError("is empty; write a value, or leave the setting out")
    if _UNDECODED.search(stripped):
        raise ValueError("is not UTF-8 text, or the locale is not one of UTF-8; write UTF-8, and set LC_ALL=C.UTF-8")
    if not stripped.isprintable():
        raise ValueError("contains a line break or a control character; write it on one line")
    return stripped


def one_line_list(value: object) -> tuple[str, ...]:
    """A list: comma-separated text, or a TOML array of text."""
    parts = value if isinstance(value, list) else one_line(value).split(",")
    # A comma at the end of a list is no mistake.
    return tuple(one_line(part) for part in parts if part != "")


def boolean(value: object) -> bool:
    """`true` or `false`, also as yes/no, on/off, 1/0."""
    if isinstance(value, bool):
        return value
    word = value.strip().casefold() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError("is neither true nor false; write one of them")
    return word in _TRUE


def one_of(kind: type[E]) -> Callable[[object], E]:
    """A parser of one word out of an enumeration, in any case."""

    def parse(value: object) -> E:
        word = one_line(value).casefold()
        if word not in list(kind):
            raise ValueError(f"is not one of {', '.join(kind)}; write one of them")
        return kind(word)

    return parse


def set_of(kind: type[E]) -> Callable[[object], frozenset[E]]:
    """A parser of several words out of an enumeration, in any case."""

    def parse(value: object) -> frozenset[E]:
        given = [word.casefold() for word in one_line_list(value)]
        unknown = [word for word in given if word not in list(kind)]
        if unknown:
            raise ValueError(f"names something that is not one of {', '.join(kind)}; write some of them")
        return frozenset(kind(word) for word in given)

    return parse


class WrittenDuration(timedelta):
    """A duration with the days that were written in it: they have 24 hours, or as many as a calendar's usual open day.

    As a timedelta it has days of 24 hours.
    """

    __slots__ = ("days_written", "rest")
    days_written: int
    rest: timedelta

    def __new__(cls, days: int, rest: timedelta = timedelta(0)) -> Self:  # noqa: D102 - a constructor
        made = super().__new__(cls, days + rest.days, rest.seconds)
        made.days_written, made.rest = days, rest
        return made

    def with_days_of(self, day: timedelta) -> timedelta:
        """How long it is where one day of it is so long."""
        return self.days_written * day + self.rest


def duration(value: object) -> timedelta:
    """A length of time such as `90s`, `15m`, `4h`, `2d` or `1d12h`; more than zero, at most ten years."""
    return _duration(value, longest=LONGEST_DURATION)


def poll_interval(value: object) -> timedelta:
    """The time between two polls: at least a second, at most a week."""
    return _duration(value, longest=LONGEST_POLL_INTERVAL)


def duration_or_never(value: object) -> timedelta | None:
    """A duration, or `never` as None."""
    written = open_time_or_never(value)
    return None if written is None else written.with_days_of(_DAY)


def open_time_or_never(value: object) -> WrittenDuration | None:
    """A duration of which a calendar says what its days are, or `never` as None."""
    if isinstance(value, str) and value.strip().casefold() == _NEVER:
        return None
    return _written(value, longest=LONGEST_DURATION, otherwise=", or never")


def open_time(value: object) -> WrittenDuration:
    """A duration of which a calendar says what its days are."""
    return _written(value, longest=LONGEST_DURATION)


def open_time_or_none(value: object) -> WrittenDuration:
    """A duration of which a calendar says what its days are, or `0s` for none at all."""
    if isinstance(value, str) and value.strip().casefold() == _AT_ONCE:
        return WrittenDuration(0)
    return _written(value, longest=LONGEST_DURATION, otherwise=", or 0s")


def _duration(value: object, *, longest: timedelta) -> timedelta:
    return _written(value, longest=longest).with_days_of(_DAY)


def _written(value: object, *, longest: timedelta, otherwise: str = "") -> WrittenDuration:
    examples = f"such as 90s, 15m, 4h, 2d, 1d12h{otherwise}"
    match = _DURATION.fullmatch(value.strip().casefold()) if isinstance(value, str) else None
    if match is None or match.lastindex is None:
        raise ValueError(f"is not a duration with its unit; write one {examples}")
    if max(len(part or "") for part in match.groups()) > _DIGITS:
        raise ValueError(f"is longer than {longest.days}d; write a duration {examples}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = WrittenDuration(days, timedelta(hours=hours, minutes=minutes, seconds=seconds))
    if not length:
        raise ValueError(f"is zero; write a duration of a second or more, {examples}")
    if length > longest:
        raise ValueError(f"is longer than {longest.days}d; write a duration {examples}")
    return length


def requests_per_second(value: object) -> float:
    """A budget from 0.1 to 1000; fractions are fine."""
    rate = _number(value)
    least, most = LEAST_REQUESTS_PER_SECOND, MOST_REQUESTS_PER_SECOND
    if not least <= rate <= most:
        raise ValueError(f"is not a number from {least} to {most}; write one such as 20 or 0.5")
    return rate


def budget(value: object) -> int:
    """A whole number of messages, from 0 to 1000."""
    number = _number(value)
    if not 0 <= number <= MOST_MESSAGES or number != int(number):
        raise ValueError(f"is not a whole number from 0 to {MOST_MESSAGES}; write one such as 3")
    return int(number)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def statuses(value: object) -> tuple[str, ...]:
    """The statuses of runs that count as waiting; `needs_my_review` comes first, and is always among them."""
    given = {word.casefold() for word in one_line_list(value)}
    if not given <= set(STATUSES):
        raise ValueError(f"names a status that cannot be watched; write {STATUSES[0]}, or {','.join(STATUSES)}")
    if STATUSES[0] not in given:
        raise ValueError(f"leaves out {STATUSES[0]}, which is always watched; write {','.join(STATUSES)}")
    return tuple(status for status in STATUSES if status in given)


ALL_QUEUES = "all"

_ALMOST_UUID = re.compile(r"[0-9a-fA-F-]{30,40}", re.ASCII)
SLACK = "slack"
"""The scheme of destinations in Slack."""

NO_CHANNEL = Destination(SLACK, "")
"""Stands where no channel is set."""

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
    ("https://hooks.slack.com/", "is the address of an incoming webhook, which can neither edit nor look up a message"),
)
_NOT_APP_TOKENS = (("xoxb-", "is a bot token (xoxb-)"), *(one for one in _NOT_BOT_TOKENS if one[0] != "xapp-"))


def queue_value(value: object) -> str:
    """A queue's id or name, as it was given."""
    given = one_line(value)
    if "://" in given:
        raise ValueError("is an address; give the queue's id, the last part of that address, or its name")
    if _ALMOST_UUID.fullmatch(given) and queue_id(given) is None:
        raise ValueError("looks like a queue's id but is not a complete one; copy it again (8-4-4-4-12 hex digits)")
    return given


def queue_id(given: str) -> UUID | None:
    """The id, where a queue was given by id."""
    # UUID() also reads braces and `urn:uuid:`, which may begin a name.
    if not _ALMOST_UUID.fullmatch(given):
        return None
    try:
        return UUID(given)
    except ValueError:
        return None


def queue_identity(queue: str) -> UUID | str:
    """A value that is equal for two spellings of the same queue, as far as they show it."""
    return queue_id(queue) or queue


def repeated(queues: Sequence[str]) -> str | None:
    """The first queue that was given before."""
    identities = [queue_identity(queue) for queue in queues]
    return next((queue for place, queue in enumerate(queues) if identities[place] in identities[:place]), None)


def listed_queues(value: object) -> tuple[str, ...]:
    """Queues by id or name, each once; one of them may be `all`."""
    given = tuple(ALL_QUEUES if word.casefold() == ALL_QUEUES else queue_value(word) for word in one_line_list(value))
    if not given:
        raise ValueError("names no queue; write their ids or names, or all")
    if twice := repeated(given):
        raise ValueError(f"names {twice!r} twice; name each queue once")
    return given


def table_queue(value: object) -> str:
    """The queue that one table of `worker.toml` is about."""
    given = queue_value(value)
    if given.casefold() == ALL_QUEUES:
        raise ValueError("is not a single queue; set WORKER_QUEUES=all and write what holds for all under [defaults]")
    return given


def channel_value(value: object) -> Destination:
    """A channel by its id in Slack, or by its name without the `#`."""
    given = unicodedata.normalize("NFC", one_line(value)).removeprefix("#")
    if _CHANNEL_ID.fullmatch(given) or _CHANNEL_NAME.fullmatch(given):
        return Destination(SLACK, given)
    if _PERSON.fullmatch(given):
        raise ValueError("is a person's id; name a channel, to which others can be invited, and mention people there")
    raise ValueError(
        "is neither a Slack channel's id nor its name; write the id (C0123456789, at the end of the channel's details) "
        "or the name as Slack shows it, in lower case and with dashes in place of blanks"
    )


def mentions(value: object) -> tuple[str, ...]:
    """Slack ids of people (`U…`, `W…`) and user groups (`S…`), in the order given, each once."""
    given = one_line_list(value)
    if not all(_MENTION.fullmatch(word) for word in given):
        raise ValueError(
            "has a name that is not a Slack id; write member ids (U… or W…, in the profile's menu) "
            "or user group ids (S…)"
        )
    return tuple(dict.fromkeys(given))


def header_value(value: object) -> str:
    """Text that may travel in an HTTP header."""
    given = one_line(value)
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
    fix = "set the Bot User OAuth Token of the Slack app (OAuth & Permissions), which begins with xoxb-"
    return _token(value, "xoxb-", _NOT_BOT_TOKENS, fix)


def app_token(value: object) -> SecretStr:
    """A Slack app-level token."""
    fix = (
        "set an app-level token of the Slack app with connections:write (Basic Information, App-Level Tokens), "
        "which begins with xapp-"
    )
    return _token(value, "xapp-", _NOT_APP_TOKENS, fix)


_LEAST_TOKEN = 16
"""Characters of a token that cannot be guessed by trying."""


def http_token(value: object) -> SecretStr:
    """A token of one's own choice, which opens the page."""
    token = _secret(value)
    if len(token) < _LEAST_TOKEN:
        raise ValueError(
            f"does not keep others out; write at least {_LEAST_TOKEN} characters, as `openssl rand -hex 32` makes them"
        )
    return SecretStr(token)


def _token(value: object, beginning: str, others: Sequence[tuple[str, str]], fix: str) -> SecretStr:
    token = _secret(value)
    for prefix, what in others:
        if token.startswith(prefix):
            raise ValueError(f"{what}; {fix}")
    if not token.startswith(beginning):
        raise ValueError(f"does not begin with {beginning}; {fix}")
    return SecretStr(token)


def _secret(value: object) -> str:
    # A file with a secret ends with the line break that its editor added.
    stripped = str(value).rstrip("\r\n")
    if not stripped:
        raise ValueError("is empty; write the secret into it")
    for pattern, flaw in _FLAWS:
        if pattern.search(stripped):
            raise ValueError(f"contains {flaw}; copy the secret again, alone and on one line")
    return stripped
