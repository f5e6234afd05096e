"""Turns an answer that is not a success into the SourceError that says what to do about it. Pure."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from worker.core.cooldown import Cooldown
from worker.core.delivery import clamp_wish
from worker.core.ports import SourceError, Trouble
from worker.net.failures import FailureKind
from worker.net.response import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.core.model import Id
    from worker.core.ports import Clock
    from worker.net.failures import NetError

ORGANISATION_KEY = "org_scoped_key_requires_workspace"

_WAY = "check LANGSMITH_ENDPOINT and the network if this goes on"
_WAYS = {
    FailureKind.CERTIFICATE: "name the file with the certificate of your proxy or authority in SSL_CERT_FILE",
    FailureKind.TLS: "check LANGSMITH_ENDPOINT, whether https:// is right there, and any proxy in between",
    FailureKind.PROXY: "check HTTPS_PROXY, or name LangSmith's host in NO_PROXY",
}

REGIONS = ", ".join(f"https://{region}api.smith.langchain.com" for region in ("", "eu.", "apac.", "aws."))


NOT_OFFERED = 501


class TooLargeError(SourceError):
    """A lawful answer over the cap; a smaller page may fit."""


class NotOfferedError(SourceError):
    """501: the question is understood, and the server or the workspace does not offer what is asked for."""


def unlawful(what: str, problem: str, *, fix: str = "") -> SourceError:
    """A body that breaks the specification."""
    advice = fix or "check that LANGSMITH_ENDPOINT is the root of LangSmith's API and no proxy answers in its place"
    return SourceError(f"{what}: {problem}; {advice}", Trouble.UNLAWFUL)


def from_status(
    what: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes | bytearray,
    now: datetime,
    *,
    is_known: bool = True,
) -> SourceError:
    """The error for an answer with any status but 200. No text of the body is repeated.

    `is_known` says whether LangSmith has taken the key for anything yet: in a wrong region it is refused everything.
    """
    trouble = _trouble(status, body)
    text = f"{what}: LangSmith answered {status}; {_fix(trouble, status, body, is_known=is_known)}"
    kind = NotOfferedError if status == NOT_OFFERED else SourceError
    return kind(text, trouble, retry_after=retry_after(headers, now))


def unreachable(what: str, error: NetError) -> SourceError:
    """The error for an answer that did not come, or broke off."""
    return SourceError(f"{what}: {error}; {_WAYS.get(error.kind, _WAY)}", Trouble.UNREACHABLE)


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


def _fix(trouble: Trouble, status: int, body: bytes | bytearray, *, is_known: bool) -> str:
    """What a person can do about it."""
    if trouble is Trouble.REFUSED:
        return _refused(status, body, is_known=is_known)
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


def _refused(status: int, body: bytes | bytearray, *, is_known: bool) -> str:
    if ORGANISATION_KEY.encode() in body:
        return "the key belongs to an organisation: set LANGSMITH_WORKSPACE_ID to the queue's workspace"
    if status == 401:  # noqa: PLR2004
        return "check LANGSMITH_API_KEY: it is wrong, expired, or of another region than LANGSMITH_ENDPOINT"
    rights = "give it annotation-queues:read, or check LANGSMITH_WORKSPACE_ID"
    if is_known:
        return f"the key may not read this: {rights}"
    return (
        f"check LANGSMITH_ENDPOINT first: a key is good in its own region alone ({REGIONS}); if it is right, {rights}"
    )


def _is_json(body: bytes | bytearray) -> bool:
    """Whether LangSmith itself answered: its errors are JSON objects, a proxy's are web pages."""
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


_PAUSES = {Trouble.REFUSED: timedelta(minutes=5), Trouble.THROTTLED: timedelta(minutes=1)}
"""The troubles that are the key's, and how long nothing is asked where the server does not say."""

ENOUGH = 2
"""Different queues turned away without any success between: it is the key, not the queue."""


class Standing:
    """What became of the last questions, all queues together. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turned_away: set[Id] = set()
        self._error = SourceError("", Trouble.REFUSED)
        self._cooldown = Cooldown()

    def admit(self) -> None:
        """Let a question pass, or raise SourceError while the key is known to be refused or throttled."""
        with self._lock:
            if len(self._turned_away) < ENOUGH:
                return
            now = self._clock.monotonic()
            if wait := self._cooldown.left(now):
                raise SourceError(str(self._error), self._error.trouble, retry_after=wait)
            # This one passes and finds out for all; the others wait for what it finds.
            self._cooldown = Cooldown.of(_pause(self._error), now)

    def failed(self, queue_id: Id, error: SourceError) -> None:
        """A question about this queue was answered with an error."""
        if error.trouble not in _PAUSES:
            return
        with self._lock:
            self._turned_away.add(queue_id)
            # Kept without its traceback, which holds on to everything that was being read.
            self._error = SourceError(str(error), error.trouble, retry_after=error.retry_after)
            if len(self._turned_away) >= ENOUGH:
                self._cooldown = max(self._cooldown, Cooldown.of(_pause(error), self._clock.monotonic()))

    def accepted(self) -> None:
        """A question was answered: the key is good."""
        with self._lock:
            self._turned_away.clear()
            self._cooldown = Cooldown()


def _pause(error: SourceError) -> timedelta:
    """How long no question is asked; the server's own wish counts where it may be asked again soon."""
    wish = clamp_wish(error.retry_after) if error.trouble is Trouble.THROTTLED else None
    return wish or _PAUSES[error.trouble]
