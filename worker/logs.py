"""Logging: one event a line, for people on a terminal and as JSON elsewhere; secrets never pass."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from worker.core.text import json_safe, visible
from worker.process import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping
    from types import TracebackType

log = structlog.get_logger(__name__)

REDACTED = "[redacted]"
SHORTEST_SECRET = 4
"""Shorter secrets are not redacted: they would blacken ordinary words."""


def configure_logging(*, level: str, form: str, secrets: Iterable[str], is_coloured: bool = False) -> None:
    """Set up structlog and the standard library's logging to write to stderr.

    `form` is `auto`, `console` or `json`. Every one of `secrets` is redacted. For people lines may be coloured.
    """
    is_terminal = sys.stderr.isatty()
    people = form == "console" or (form == "auto" and is_terminal)
    shown = _in_sentences if is_terminal else _for_people
    rendered = [_harmless, shown(is_coloured=is_coloured)] if people else [_in_order, _as_json(), _harmless_line]
    shared: list[Callable[..., Any]] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _instants,
    ]
    if not people or is_terminal:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler()
    # Secrets are redacted last, in the finished line, so that no traceback and no library's message gets around it.
    steps: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered, redactor(secrets)]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=steps))
    if isinstance(sys.stderr, Outlet):
        sys.stderr.notice = lambda count: f"{handler.format(_missing(count))}\n"
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten()
    logging.captureWarnings(capture=True)  # or they would be no JSON
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)
    threading.excepthook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what is the standard error then: while a spinner turns, its console keeps lines apart from it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:  # noqa: ANN401
        """The standard error."""
        return sys.stderr


def _uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    """Log a bug that was not caught."""
    # The interpreter's own report would not pass through the redactor.
    if error is None or not isinstance(error, Exception):
        sys.__excepthook__(kind, error or kind(), traceback)
    else:
        log.error("uncaught", exc_info=(kind, error, traceback))


def dropped() -> int:
    """The number of lines that were dropped since the start, because the log was not read."""
    return sys.stderr.dropped if isinstance(sys.stderr, Outlet) else 0


def _missing(count: int) -> logging.LogRecord:
    """The line that stands for those that were dropped."""
    said = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": "log_lines_dropped"}
    return logging.makeLogRecord(said | {"lines": count})


def redactor(secrets: Iterable[str]) -> Callable[[Any, str, str], str]:
    """Make the last processor: it redacts every secret in a finished line, as it is and as JSON escapes it."""
    words = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)

    def redact(_logger: Any, _method: str, line: str) -> str:  # noqa: ANN401 - structlog's signature
        for word in words:
            line = line.replace(word, REDACTED)
        return line

    return redact


def _forms(secret: str) -> set[str]:
    if len(secret) < SHORTEST_SECRET:
        return set()
    # An exception's text often quotes what it is about as Python would, and JSON escapes that once more.
    quoted = repr(secret)[1:-1]
    return {secret, quoted, json.dumps(secret)[1:-1], json.dumps(quoted)[1:-1]}


def _instants(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's signature
    """Write every instant as the time of the line is written."""
    instants = {key: value for key, value in event.items() if isinstance(value, datetime)}
    event.update({key: f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z" for key, at in instants.items()})
    return event


def _harmless(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's signature
    """Write out what a terminal would obey in a name or an error; tracebacks keep their lines."""
    texts = {key: value for key, value in event.items() if isinstance(value, str) and key not in {"exception", "stack"}}
    event.update({key: visible(text) for key, text in texts.items()})
    return event


def _harmless_line(_logger: Any, _method: str, line: str) -> str:  # noqa: ANN401 - structlog's signature
    return json_safe(line)


def _in_sentences(*, is_coloured: bool) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    """A renderer for people at a terminal."""
    from worker.sentences import terminal_line  # noqa: PLC0415  only where a person looks

    return lambda _logger, _method, event: terminal_line(event, is_coloured=is_coloured)


def _for_people(*, is_coloured: bool) -> structlog.dev.ConsoleRenderer:
    """A renderer for people, with plain tracebacks."""
    # Pretty ones show local variables, and break a secret over lines, where the redactor does not find it.
    return structlog.dev.ConsoleRenderer(colors=is_coloured, exception_formatter=structlog.dev.plain_traceback)


def _in_order(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's signature
    """What people look for first comes first: the time, how bad it is, and what happened."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def _as_json() -> Callable[[Any, str, MutableMapping[str, Any]], str | bytes]:
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)


def _quieten() -> None:
    # Warnings alone of other libraries: their debug lines hold headers and rows.
    for name in ("apscheduler", "httpx", "httpcore", "slack_sdk", "sqlalchemy", "alembic", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A tick that finds the last one still at work is the normal case for a slow queue, not a warning.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
