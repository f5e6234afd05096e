"""Reads settings from every place: the result is Settings, or one error with every mistake."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pydantic import ValidationError

from worker.core.audience import TURN, Audience, Reach
from worker.core.ports import ConfigError
from worker.settings.addresses import passwords, sqlite_url
from worker.settings.calendars import NO_HOURS, outside_hours
from worker.settings.layers import (
    NO_EFFECT,
    Layer,
    Layers,
    dotenv,
    exists,
    other_endpoint,
    secret_files,
    shadowed_files,
    text_layer,
    toml_layer,
    unknown_names,
)
from worker.settings.model import EVERY, Settings
from worker.settings.names import ALL, Need, did_you_mean, service_links, similar, some
from worker.settings.network import Network, network
from worker.settings.values import ALL_QUEUES, listed_queues, queue_id, queue_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from worker.settings.layers import DotEnv
    from worker.settings.model import PerQueue

RUN_SECRETS = Path("/run/secrets")
CONFIG = "worker.toml"


def load(
    needs: frozenset[Need] = ALL,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    run_secrets: Path = RUN_SECRETS,
) -> Settings:
    """Read the settings.

    `needs` are the groups that the command requires; other settings may be absent, but must be right where given.
    `environ` and `directory` are the process' own unless given; `.env`, `worker.toml` and relative paths begin there.

    Raises ConfigError with a line on each mistake, without any secret.
    """
    return loaded(needs, environ=environ, directory=directory, run_secrets=run_secrets)[0]


def loaded(
    needs: frozenset[Need],
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    run_secrets: Path = RUN_SECRETS,
) -> tuple[Settings, Layers]:
    """The same, with the places that they were read from."""
    texts = os.environ if environ is None else environ  # noqa: TID251  the one reader of the environment
    here = (directory or _here()).absolute()
    written = dotenv(here / ".env")
    local = written.texts
    layers = _layers(texts, written, needs=needs, directory=here, run_secrets=run_secrets)
    settings, refused = _validate(layers)
    problems = [*written.problems, *(problem for layer in layers for problem in layer.problems), *refused]
    names = {*texts, *local} - service_links({**local, **texts})
    problems += missing(needs, layers, names=names)
    problems += [*_unreachable(settings, needs), *_unknown_calendars(settings, layers)] if settings else []
    if settings is None or problems:
        raise ConfigError(masked("\n".join(problems), _secrets(layers)))
    return settings, layers


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the folder that it was started in cannot be used ({error.strerror}): start it in one that exists"
        ) from None


def _layers(
    environ: Mapping[str, str], written: DotEnv, *, needs: frozenset[Need], directory: Path, run_secrets: Path
) -> Layers:
    local = written.texts
    # An empty variable of the environment unsets nothing that stands in `.env`.
    texts = {**local} | {name: text for name, text in environ.items() if text.strip()}
    credentials = environ.get("CREDENTIALS_DIRECTORY", "")
    mounts = [*([directory / credentials] if credentials else []), run_secrets]
    environment, dotted = text_layer(environ), text_layer(local, written.places)
    toml = _toml(texts.get("WORKER_CONFIG", "").strip(), directory)
    is_default = not any("langsmith_endpoint" in layer.given for layer in (environment, dotted, toml))
    return Layers(
        environment=environment,
        dotenv=dotted,
        files=secret_files(texts, needs=needs, directory=directory, mounts=mounts),
        toml=toml,
        machine=_machine(
            environ, written, directory, doubtful=(*toml.doubts, *(other_endpoint(texts) if is_default else ()))
        ),
    )


def _toml(config: str, directory: Path) -> Layer:
    path = directory / (config or CONFIG)
    if exists(path):
        return toml_layer(path, label=config or CONFIG)
    if config:
        # as the user wrote it: a path would reshape a secret that was put here by mistake past recognition
        return Layer(problems=(f"WORKER_CONFIG: there is no file {config}; name the right one, or leave it out",))
    return Layer()


def _machine(environ: Mapping[str, str], written: DotEnv, directory: Path, *, doubtful: tuple[str, ...]) -> Layer:
    local = written.texts
    # systemd gives several folders with colons between them; the first is ours.
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    config = {"config": CONFIG} if exists(directory / CONFIG) else {}
    database = {"database_url": sqlite_url(directory / state / "worker.db")} if state else {}
    return Layer(
        given={
            **config,
            **database,
            "directory": directory,
            "network": network({**local, **environ}),
            "unknown": (*unknown_names(environ), *unknown_names(local, written.places), *doubtful),
            "shadowed": tuple(shadowed_files({**local, **environ})),
        },
        names=dict.fromkeys(database, "STATE_DIRECTORY"),
    )


def _unreachable(settings: Settings, needs: frozenset[Need]) -> list[str]:
    """A line on each variable of the environment that keeps a needed service from being reached."""
    roots = [settings.langsmith_endpoint] if Need.LANGSMITH in needs else []
    if Need.SLACK in needs:
        roots += [settings.slack_base_url]
        roots += [settings.heartbeat_url.get_secret_value()] if settings.heartbeat_url else []
    return list(dict.fromkeys(problem for root in roots for problem in settings.network.problems(root)))


def _unknown_calendars(settings: Settings, layers: Layers) -> Iterator[str]:
    """A line on each calendar that is named and not defined."""
    known = [*settings.calendars, NO_HOURS]
    places = {f"{layers.toml.names.get('tables', '')}[{n}].calendar": t for n, t in enumerate(settings.tables)}
    common = next((layer.names["calendar"] for layer in layers if "calendar" in layer.names), "")
    persons = {f"{layers.toml.names.get('persons', '')}.{email!r}.calendar": t for email, t in settings.persons.items()}
    calendars = {place: one.calendar for place, one in {common: settings.common, **places}.items()}
    calendars |= {place: one.calendar for place, one in persons.items()}
    for place, calendar in calendars.items():
        if calendar and calendar not in known:
            wrong = f"{shown(calendar, ())} is not a calendar{did_you_mean(calendar, known)}"
            yield f"{place}: {wrong}; write {some(known)}, or define it as [calendars.NAME] in worker.toml"


def _validate(layers: Layers) -> tuple[Settings | None, list[str]]:
    # not raised from here: pydantic's error holds the values, and would travel along as the context of ours
    try:
        return Settings([layer.values() for layer in layers]), []
    except ValidationError as error:
        # the other type there is only says that a default was not derived from a value that is wrong
        details = (detail for detail in error.errors(include_url=False) if detail["type"] == "value_error")
        return None, [_line(detail, layers) for detail in details]


def _line(detail: ErrorDetails, layers: Layers) -> str:
    name, key = _place(detail["loc"], layers)
    secret = key in EVERY and EVERY[key].secret
    subject = "the value" if secret else shown(detail["input"], _secrets(layers))
    return f"{name}: {subject} {detail['ctx']['error']}"


def _place(location: tuple[int | str, ...], layers: Layers) -> tuple[str, str]:
    """The user's name for the setting, and its key."""
    key = str(location[-1])
    if location[0] == "calendars":
        return f"{layers.toml.names['calendars']}.{location[1]}.{key}", ""
    if location[0] == "persons":
        return f"{layers.toml.names['persons']}.{str(location[1])!r}.{key}", ""
    if location[0] == "tables":
        return f"{layers.toml.names['tables']}[{location[1]}].{key}", key
    return next(layer.names[key] for layer in layers if key in layer.names), key


def _secrets(layers: Layers) -> Collection[str]:
    raw = (value for layer in layers for key, value in layer.given.items() if key in EVERY and EVERY[key].secret)
    found = layers.machine.given["network"]
    proxies = found.secrets() if isinstance(found, Network) else ()
    return {*proxies, *(value.strip() for value in raw if isinstance(value, str))}


SHORT_MEMORY = timedelta(days=1)


def findings(settings: Settings) -> tuple[str, ...]:
    """A line on each thing to look at, with the fix; the worker runs all the same."""
    # One that is near no setting may be another program's: the service says so in its log, and that is enough.
    unknown = (line for line in settings.unknown_names() if not line.endswith(NO_EFFECT))
    lines = [*unknown, *settings.shadowed, *_of_all(settings), *_of_queues(settings)]
    return tuple(masked(line, secrets(settings)) for line in lines)


def _of_all(settings: Settings) -> Iterator[str]:
    workspace = settings.langsmith_workspace_id
    if workspace is not None and queue_id(workspace) is None:
        yield "LANGSMITH_WORKSPACE_ID does not look like an id (8-4-4-4-12 hex digits); copy it again"
    yield from _of_rate(settings)
    yield from _of_page(settings)
    yield from _of_calendars(settings)
    yield from _of_people(settings)
    if settings.keep_reviews < SHORT_MEMORY:
        yield "WORKER_KEEP_REVIEWS is shorter than 1d; keep some days, or a run not listed for longer is new again"
    if settings.keep_deliveries < SHORT_MEMORY:
        yield "WORKER_KEEP_DELIVERIES is shorter than 1d; keep some days, or `why` and `deliveries` soon know nothing"


def _of_rate(settings: Settings) -> Iterator[str]:
    # A poll of a queue takes one request at least. How many queues `all` means is not known here.
    polled = [*settings.queues, *([] if settings.queues else [settings.defaults])]
    needed = sum(1 / queue.poll_interval.total_seconds() for queue in polled)
    if needed > settings.requests_per_second:
        need = f"these polls need {needed:.2g} and will come late"
        given = f"{settings.requests_per_second:g}"
        yield f"WORKER_REQUESTS_PER_SECOND is {given}, but {need}; raise it, or poll less"


def _of_page(settings: Settings) -> Iterator[str]:
    if settings.http_token is not None and settings.http_open:
        yield "WORKER_HTTP_OPEN has no effect: WORKER_HTTP_TOKEN is set, so the page asks for it; remove one of them"
    if settings.http_address is None and (settings.http_token is not None or settings.http_open):
        yield "WORKER_HTTP_TOKEN and WORKER_HTTP_OPEN have no effect without WORKER_HTTP_ADDRESS; set it too"


def _of_calendars(settings: Settings) -> Iterator[str]:
    used = {queue.calendar for queue in (*settings.queues, settings.defaults)}
    used |= {person.calendar for person in settings.persons.values()}
    for name, table in settings.calendars.items():
        if name not in used:
            yield f"calendars.{name} is used by no queue; name it as calendar under [defaults] or [[queues]]"
        if not (table.zone or settings.zone):
            yield f"calendars.{name} has no zone: its hours are in UTC; set zone, such as Europe/Berlin, or UTC"
    if (settings.hours or settings.holidays) and not settings.zone:
        yield (
            "WORKER_HOURS and WORKER_HOLIDAYS are in UTC, because no zone is set; "
            "set WORKER_ZONE, such as Europe/Berlin, or UTC"
        )


def _of_people(settings: Settings) -> Iterator[str]:
    """A line on each setting about people that has no effect, because no queue has people whose turn its runs are."""
    queues = (*settings.queues, settings.defaults)
    if any(queue.people is not Audience.NOBODY for queue in queues):
        return
    names = {
        "people (the table)": bool(settings.persons),
        "tell": any(queue.tell is not Reach.CHANNEL for queue in queues),
        f"escalate_mention = {TURN}": any(TURN in queue.escalate_mention for queue in queues),
    }
    for name, is_set in names.items():
        if is_set:
            yield f"{name} has no effect: no queue has people; set WORKER_PEOPLE to assigned or to e-mails"


def _of_queues(settings: Settings) -> Iterator[str]:
    whose: dict[str, list[str]] = {}
    for queue in [*settings.queues, *([settings.defaults] if settings.all_queues else [])]:
        for line in (*_of_queue(queue), *_of_times(queue, settings)):
            whose.setdefault(line, []).append(repr(queue.queue) if queue.queue else "every other queue")
    for line, queues in whose.items():
        yield f"{line} (for {some(queues)})"


def _of_times(queue: PerQueue, settings: Settings) -> Iterator[str]:
    table = settings.calendar_table(queue.calendar)
    yield from outside_hours("remind_at", queue.remind_at, table)
    yield from outside_hours("report_at", queue.report_at, table)


def _of_queue(queue: PerQueue) -> Iterator[str]:
    if queue.escalate_after is None and queue.escalate_mention:
        yield "escalate_mention has no effect without escalate_after; set it, such as 1d"
    if queue.escalate_after is None and queue.escalate_to != queue.channel:
        yield "escalate_to has no effect without escalate_after; set it, such as 1d"
    if queue.escalate_after and queue.stale_after and queue.escalate_after < queue.stale_after:
        yield "escalate_after is shorter than stale_after: no reminder comes first; set it longer"
    if queue.stale_after and queue.stale_after < queue.poll_interval:
        yield "stale_after is shorter than poll_interval; set it longer, or poll more often"


def surroundings() -> Mapping[str, str]:
    """The environment of this process. It may hold secrets: pick out names, never show it."""
    return os.environ  # noqa: TID251  the one reader of the environment


def missing(needs: frozenset[Need], layers: Layers, *, names: Collection[str]) -> Iterator[str]:
    """A line on each setting that is required and stands nowhere; `names` are all that the environment and `.env` have.

    Of queues and channels nothing is said while `worker.toml` is broken: they may well be in it.
    """
    present = {key for layer in layers for key in layer.names}
    required = [key for key, name in EVERY.items() if name.need in needs and key not in present]
    for key in required:
        if key != "listed" or not ({"tables"} & present or layers.toml.problems):
            yield f"{EVERY[key].env}: is missing; {EVERY[key].fix}{_typing_error(EVERY[key].env, names)}"
    if needs >= {Need.QUEUES, Need.SLACK} and "channel" not in present and not layers.toml.problems:
        yield from _channel(layers, names)


def _channel(layers: Layers, names: Collection[str]) -> Iterator[str]:
    tables = cast("list[dict[str, Any]]", layers.toml.given.get("tables", []))
    queues = [*(str(table["queue"]) for table in tables), *_listed(layers)]
    served = {queue_identity(str(table["queue"])) for table in tables if "channel" in table}
    without = [queue for queue in dict.fromkeys(queues) if queue_identity(queue) not in served]
    if without or not queues:
        fix = "set the id of the Slack channel to post to, or write it as channel in worker.toml"
        yield f"WORKER_CHANNEL: is missing{_for(without)}; {fix}{_typing_error('WORKER_CHANNEL', names)}"


def _for(queues: list[str]) -> str:
    named = ["every queue" if queue == ALL_QUEUES else repr(queue) for queue in queues]
    return f" for {some(named)}" if named else ""


def _listed(layers: Layers) -> tuple[str, ...]:
    raw = next((layer.given["listed"] for layer in layers if "listed" in layer.given), None)
    try:
        return listed_queues(raw)
    except ValueError:
        return ()  # absent, or wrong and said so elsewhere


def _typing_error(env: str, names: Collection[str]) -> str:
    known = {known for name in EVERY.values() for known in (*name.envs, name.env_file)}
    meant = similar(env, (name for name in names if name not in known))
    return f" ({meant} is set: was this name meant?)" if meant else ""


MASK = "***"
_SHORTEST = 8
"""A shorter text is not masked inside other text: it would hide more words than secrets."""

_LONGEST_SHOWN = 100
_TOKEN = re.compile(r"(?:xox[a-z.]*-|xapp-|lsv2_|ls__)[\w.-]{4,}", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z0-9+]+:/*", re.IGNORECASE)
"""An address that ends there holds nothing to hide, and fixes begin with one."""

_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"]*(?=@)")


def masked(text: str, secrets: Collection[str]) -> str:
    """The text without these secrets, and without what looks like one that was put in the wrong place."""
    # The longest first: one secret may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST and not _SCHEME.fullmatch(secret):
            text = text.replace(secret, MASK)
    return _CREDENTIALS.sub(MASK, _TOKEN.sub(MASK, text))


def shown(value: object, secrets: Collection[str]) -> str:
    """A value as its user would recognise it, on one line, not too long and without secrets."""
    text = masked(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False), secrets)
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return repr(text) if isinstance(value, str) else text


def secrets(settings: Settings) -> tuple[str, ...]:
    """Every secret string, longest first, for the log's edge to take out."""
    found = [
        secret.get_secret_value()
        for secret in (
            settings.langsmith_api_key,
            settings.slack_bot_token,
            settings.slack_app_token,
            settings.heartbeat_url,
            settings.http_token,
        )
        if secret is not None
    ]
    found += [*passwords(settings.database_url), *settings.network.secrets()]
    if settings.heartbeat_url is not None:
        found += _capability(settings.heartbeat_url.get_secret_value())
    return tuple(sorted(dict.fromkeys(found), key=len, reverse=True))


def _capability(url: str) -> list[str]:
    """The part of an address after the host."""
    # Some errors quote an address without its host.
    parts = urlsplit(url)
    path = parts.path.strip("/") + (f"?{parts.query}" if parts.query else "")
    return [path] if len(path) >= _SHORTEST else []
