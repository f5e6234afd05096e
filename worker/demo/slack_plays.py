"""What each fault of the simulated Slack answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from worker.demo.slack_answers import Cut, Dripping, Half, Hanging
from worker.demo.slack_faults import Fault, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = "<!doctype html><title>Please wait</title><p>Checking your browser."


def play(fault: Fault, honest: Response, hangs: Callable[[], bool], commit: Callable[[], None]) -> Response:
    """The answer that a fault puts in place of the `honest` one.

    `hangs` tells whether a call that hangs still does; `commit` does late what was asked.
    """
    plays: dict[Mode, Callable[[], Response]] = {
        Mode.DROP_BEFORE: Cut,
        Mode.COMMIT_THEN_DROP: Cut,
        Mode.LATE_COMMIT: lambda: Cut(then=commit, delay=fault.delay),
        Mode.HANG: lambda: Hanging(hangs),
        Mode.COMMIT_THEN_HANG: lambda: Hanging(hangs),
        Mode.HALF_ANSWER: lambda: Half(bytes(honest.body)),
        Mode.DRIP: Dripping,
        Mode.HTML: lambda: HTMLResponse(_PAGE),
        Mode.HTML_AFTER_COMMIT: lambda: HTMLResponse(_PAGE),
        Mode.NO_TS: lambda: JSONResponse({"ok": True}),
        Mode.STATUS: lambda: Response("upstream connect error", fault.status, _retry_after(fault)),
        Mode.STATUS_500_AFTER_COMMIT: lambda: Response("upstream connect error", fault.status),
        Mode.RATELIMITED: lambda: JSONResponse({"ok": False, "error": "ratelimited"}, 429, _retry_after(fault)),
        Mode.REDIRECT: lambda: RedirectResponse(fault.location, 302),
        Mode.ERROR: lambda: JSONResponse({"ok": False, "error": fault.error}),
        Mode.ERROR_AFTER_COMMIT: lambda: JSONResponse({"ok": False, "error": fault.error}),
    }
    return plays[fault.mode]()


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
