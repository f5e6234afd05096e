"""Turns an answer that is not a success into the SourceError that says what to do about it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

ORGANISATION_KEY = "org_scoped_key_requires_workspace"

_SECONDS = re.compile(r"\s*(\d{1,9})(?:\.\d+)?\s*")


class TooLargeError(SourceError):
    """A lawful answer over the cap; a smaller page may fit."""


def unlawful(what: str, problem: str, *, remedy: str = "") -> SourceError:
    """A body that breaks the specification."""
    advice = remedy or "check that LANGSMITH_ENDPOINT is the root of LangSmith's API and no proxy answers in its place"
    return SourceError(f"{what}: {problem}; {advice}", Trouble.UNLAWFUL)


def from_status(
    what: str, status: int, headers: Mapping[str, str], body: bytes | bytearray, now: datetime
) -> SourceError:
    """The error for an answer with any status but 200. No text of the body is repeated."""
    trouble = _trouble(status, body)
    text = f"{what}: LangSmith answered {status}; {_remedy(trouble, status, body)}"
    return SourceError(text, trouble, retry_after=retry_after(headers.get("retry-after", ""), now))


def retry_after(value: str, now: datetime) -> timedelta | None:
    """How long a server asks to be left alone: seconds or a date; None for nonsense and for the past."""
    seconds = _SECONDS.fullmatch(value)
    if seconds:
        return timedelta(seconds=int(seconds.group(1)))
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return at - now if at > now else None


def _trouble(status: int, body: bytes | bytearray) -> Trouble:
    if status == 429:  # noqa: PLR2004  (the number is the name)
        return Trouble.THROTTLED
    if status in {401, 403}:
        return Trouble.REFUSED if _is_json(body) else Trouble.UNREACHABLE
    if status in {404, 405, 410}:
        return Trouble.MISSING
    if status in {407, 408, 425} or status >= 500:  # noqa: PLR2004
        return Trouble.UNREACHABLE
    return Trouble.UNLAWFUL


def _remedy(trouble: Trouble, status: int, body: bytes | bytearray) -> str:
    """What a person can do about it."""
    if trouble is Trouble.REFUSED:
        return _refused(status, body)
    if trouble is Trouble.MISSING:
        return "check the queue's id in WORKER_QUEUES, the workspace, and LANGSMITH_ENDPOINT"
    if trouble is Trouble.THROTTLED:
        return "it is asked again later; lower WORKER_REQUESTS_PER_SECOND if this goes on"
    if trouble is Trouble.UNLAWFUL:
        redirect = 300 <= status < 400  # noqa: PLR2004
        return "redirects are not followed, check LANGSMITH_ENDPOINT" if redirect else "check LANGSMITH_ENDPOINT"
    if status in {401, 403, 407}:
        return "a proxy answered in LangSmith's place; it is asked again later"
    return "it is asked again later"


def _refused(status: int, body: bytes | bytearray) -> str:
    if ORGANISATION_KEY.encode() in body:
        return "the key belongs to an organisation: set LANGSMITH_WORKSPACE_ID to the queue's workspace"
    if status == 401:  # noqa: PLR2004
        return "check LANGSMITH_API_KEY: it is wrong, expired, or of another region than LANGSMITH_ENDPOINT"
    return "the key may not read this: give it annotation-queues:read, or check LANGSMITH_WORKSPACE_ID"


def _is_json(body: bytes | bytearray) -> bool:
    """Whether LangSmith itself answered: its errors are JSON objects, a proxy's are web pages."""
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
