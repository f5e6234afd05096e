"""Logging: one event a line, as a sentence on a terminal and as JSON elsewhere; secrets never pass."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from string import Formatter
from typing import TYPE_CHECKING, Any

import structlog

from worker.core.incident_texts import message_named
from worker.core.text import json_safe, visible
from worker.process import Outlet
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping
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


NO_NAMES: Mapping[str, str] = {}

EVENT_SENTENCES: Mapping[str, str] = {
    # the process
    "started": "Started version {version}[ ({commit})]: {polled_queues}, polled every {interval}"
    "[, pages at {address}][; {view}]",
    "reloaded": "Other settings are in force: {polled_queues}, polled every {interval}",
    "settings_unchanged": "Read the settings again: they are as they were",
    "settings_refused": "The changed settings cannot be used, and those from before hold: {problems}",
    "setting_unknown": "Found in the settings: {problem}",
    "all_well": "All is well: {queues:queue}, {waiting:run} waiting, {messages:message} in the last day",
    "stopped": "Stopped",
    "signal_ignored": "Ignored the signal {signal}: only SIGHUP has a meaning here",
    "post_abandoned": "Did not wait any longer for a post; {fix}",
    "taken_over": "The previous process ended in the middle of {deliveries:post}; looks up what became of them",
    "uncaught": "A bug ended this; please report it with the lines below",
    "log_lines_dropped": "{lines:line} of the log are missing here, because it was not read in time",
    "clock_jumped": "The clock of this machine was set by {seconds} s",
    "clock_differs": "The clock of this machine is {seconds} s ahead of {source}'s",
    "clock_agrees": "The clock of this machine agrees with {source}'s again",
    "pruned": "Deleted {rows:row} that were kept long enough",
    "history_is_newer": "{days:day} of the history were written by a newer version, and count as unknown",
    "incident_began": "Incident: {text}",
    "incident_ended": "Incident over, after it began at {since}: {text}",
    "was_blind": "Nothing was polled from {since} until {until}; since then {new:run} came and {gone} left",
    "heartbeat_failing": "The heartbeat does not arrive: {problem}",
    "heartbeat_works_again": "The heartbeat arrives again",
    # the database and other workers
    "store_failing": "The database fails: {error}",
    "store_recovered": "The database works again",
    "assignments_changed": "Polls {queues} of {of:queue}; {workers:worker} at work",
    "assignments_lapsed": "Could not renew its lease in time; others poll its {queues:queue} meanwhile",
    "assignments_renewed": "Renewed its lease after {after} s",
    "queue_relieved": "Another worker polls {queue} now",
    # queues and runs
    "queue_added": "Polls {queue} from now on",
    "queue_gone": "Polls {queue} no longer: the key does not see it",
    "queue_unknown": "No queue is called {queue}",
    "queues_not_listed": "Cannot list the queues, and goes on with the {polled} that are known: {error}",
    "queue_not_counted": "Cannot count what waits in {queue}: {error}",
    "queue_names_unknown": "Calls queues by their ids: {error}",
    "queue_polled": "Polled {queue}: {waiting} waiting, {changed} changed, {closed} left[; due: {notices}]",
    "queue_held": "Holds the {notice} of {queue} ({runs:run}) until {held_until}",
    "queue_failing": "Cannot poll {queue}: {error}",
    "queue_recovered": "Polls {queue} again, after {failures:failed attempt} since {failing_since}",
    "run_names_unknown": "Shows runs by their ids: {error}",
    "disagreements_off": "Does not count where reviewers disagree: {because}",
    "listing_in_use": "Reads the listing {listing}; {meaning}",
    "listing_changed": "Reads the listing {listing} from now on[: {because}]",
    "listing_ends": "{source} ends the listing in use[ in {days:day}][; its successor fails: {successor_fails}]",
    # messages
    "delivery_sent": "Posted {message} to {where}",
    "delivery_pending": "Could not post {message} to {where}, and tries again at {due_at}: {error}",
    "delivery_unknown": "Does not know whether {message} to {where} was posted, and looks it up: {error}",
    "delivery_withdrawn": "Withdrew {message} for {where}[: {error}]",
    "delivery_waits": "Keeps {message} for {where} until {held_until}",
    "delivery_held": "Holds {message} for {where}[: {error}]",
    "delivery_dead": "Gave up {message} for {where}[: {error}]. `review-notifier retry {key}` tries it again",
    "delivery_lease_lost": "Another process has taken over {message} for {where}",
    "message_edited": "Edited a message in {where}: {waiting} left",
    "edit_failed": "Could not edit a message, and tries again: {error}",
    "edits_given_up": "Cannot edit a message any more: {error}",
    "destination_held": "Cannot post to {where}, and keeps what is due there: {error}",
    "destination_works_again": "Posts to {where} again",
    "report_owed": "The report of {queue} is due",
    "ops_report_failed": "Could not post to the operators' channel: {error}. It was to say: {text}",
    "ops_report_left_out": "Did not post to the operators' channel, which has had {reported:report} today: {text}",
    "controls_changed": "Gives {controls} to {messages:message}",
    # people
    "people_notified": "Decided on {messages:direct message} and {edits:edit}",
    "person_not_reached": "{notifier} takes no direct message to {user}: {error}",
    "people_not_looked_up": "Cannot look reviewers up in {notifier}: {error}",
    "people_look_ups_wait": "Cannot look reviewers up in {notifier} now, and tries again in {again_in} s: {error}",
    "members_unknown": "Does not know the members of the workspace: {error}",
    "members_not_listed": "Could not list the members of the workspace ({trouble}), and tries again",
    "acted": "Somebody asked for {act} in {queue}, through {through}[; refused: {refusal}]",
    "not_admitted": "Refused what somebody asked for: {reason}",
    "not_taken": "Could not do what somebody asked for: {error}",
    "not_answered": "Could not answer a person: {error}",
    "member_not_looked_up": "Could not find out whether a person is a member: {error}",
    "press_failed": "A bug prevented what somebody asked for; please report it with the lines below",
    "page_not_published": "Could not show the app's page to a person: {error}",
    "slack_link_open": "Hears what people do in {notifier}, over {connections:link}",
    "slack_link_failed": "Does not hear what people do in {notifier}, and tries again: {reason}",
    "slack_link_replaced": "Takes another link to {notifier}: {reason}",
    # the page
    "page_refused": "Refused a page: {fix}",
    "page_failed": "A bug prevented the page {page}; please report it with the lines below",
}
"""What each event says. In brackets is what goes where nothing is known of it; `{runs:run}` is a number of them.

An event that is missing here is shown by its name and its fields.
"""

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31"}
_NOTHING: tuple[object, ...] = (None, "", [], ())
_NOT_SHOWN = frozenset({"event", "level", "logger", "timestamp", "exception", "stack"})


def terminal_line(line: Mapping[str, Any], *, is_coloured: bool) -> str:
    """The time, how bad it is, and the sentence; a traceback below it."""
    level = str(line.get("level", ""))
    time, shown = _shown(line.get("timestamp")), f"{level:<7}"
    if is_coloured:
        time, shown = f"\x1b[2m{time}\x1b[0m", f"\x1b[{_COLOURS.get(level, '0')}m{shown}\x1b[0m"
    below = [str(line[key]) for key in ("stack", "exception") if line.get(key)]
    return "\n".join([f"{time} {shown} {sentence(line)}", *below])


def sentence(line: Mapping[str, Any], places: Mapping[str, str] = NO_NAMES) -> str:
    """A line of the log in words; `places` maps the ids of channels and people to names, as far as they are known."""
    template = EVENT_SENTENCES.get(str(line.get("event")))
    if template is None:
        return _by_fields(line)
    words = _words(line, places)
    filled = "".join(_part(part, words, optional=bool(n % 2)) for n, part in enumerate(_OPTIONAL.split(template)))
    has_fix = line.get("fix") and "{fix}" not in template
    return f"{filled.rstrip('.')}. Fix: {line['fix']}" if has_fix else filled


def _part(template: str, words: Mapping[str, Any], *, optional: bool) -> str:
    if optional and any(words.get(name) in _NOTHING for _, name, _, _ in _FORMATTER.parse(template) if name):
        return ""
    return _FORMATTER.vformat(template, (), words)


class _Sentences(Formatter):
    """Counts nouns (`{runs:run}`), and shows nothing of what is not known."""

    def get_value(self, key: int | str, _args: Any, kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a formatter's
        return kwargs.get(str(key), "")

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 - the same
        return _counted(value, format_spec) if format_spec else _shown(value)


_FORMATTER = _Sentences()


def _counted(number: object, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(_shown, value))
        case str() if instant := _INSTANT.fullmatch(value):
            return f"{instant[1]}Z"
        case _:
            return str(value)


def _words(line: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a line, and what sentences need beside them."""
    channel = str(line.get("channel") or "")
    words = {**line, "source": ADVICE.source, "notifier": ADVICE.notifier}
    words["commit"] = None if line.get("commit") == "unknown" else line.get("commit")
    words |= {"where": places.get(channel) or _place(channel), "message": _message(line)}
    if "all_queues" in line:
        words["polled_queues"] = "every queue" if line["all_queues"] else _counted(line.get("queues"), "queue")
    if "are_on" in line:
        words["controls"] = "menus" if line["are_on"] else "no menus"
    return words


def _place(channel: str) -> str:
    """A channel as people write it: a name with its sign, an id as it is, the service for all of them."""
    if channel == "*":
        return ADVICE.notifier
    is_name = channel == channel.lower()
    return f"#{channel}" if channel and is_name else channel


def _message(line: Mapping[str, Any]) -> str:
    """`a reminder of 4 runs in Support QA`."""
    return message_named(str(line.get("kind") or ""), line.get("runs") or 0, str(line.get("queue") or ""))


def _by_fields(line: Mapping[str, Any]) -> str:
    """An event that has no sentence: its name and its fields; what a library says as it stands."""
    event = str(line.get("event", ""))
    name = event if " " in event else event.replace("_", " ").capitalize()
    details = ", ".join(f"{key} {_shown(value)}" for key, value in line.items() if key not in _NOT_SHOWN)
    return f"{name}: {details}" if details else name
