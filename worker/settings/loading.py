"""Read every place that settings are written in: the result is Settings, or one error that names all that is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from worker.core.ports import ConfigError
from worker.settings.database import sqlite_url
from worker.settings.layers import (
    Layer,
    Layers,
    dotenv,
    exists,
    other_endpoint,
    secret_files,
    shadowed_files,
    text_layer,
    unknown_names,
)
from worker.settings.missing import missing
from worker.settings.model import EVERY, Settings
from worker.settings.names import ALL, Need, service_links
from worker.settings.network import Network, network
from worker.settings.showing import masked, shown
from worker.settings.toml import toml_layer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic_core import ErrorDetails

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

    `needs` says what the command cannot do without: only that is required, but everything that is given must be right.
    `environ` and `directory` are the process' own unless given; `.env`, `worker.toml` and relative paths begin there.

    Raises ConfigError with a line on each thing that is wrong, without any secret.
    """
    texts = os.environ if environ is None else environ  # noqa: TID251  the one reader of the environment
    here = (directory or _here()).absolute()
    local, broken = dotenv(here / ".env")
    layers = _layers(texts, local, needs=needs, directory=here, run_secrets=run_secrets)
    settings, refused = _validate(layers)
    problems = [*broken, *(problem for layer in layers for problem in layer.problems), *refused]
    names = {*texts, *local} - service_links({**local, **texts})
    problems += missing(needs, layers, names=names)
    problems += _unreachable(settings, needs) if settings else []
    if settings is None or problems:
        raise ConfigError(masked("\n".join(problems), _secrets(layers)))
    return settings


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the folder that it was started in cannot be used ({error.strerror}): start it in one that exists"
        ) from None


def _layers(
    environ: Mapping[str, str], local: Mapping[str, str], *, needs: frozenset[Need], directory: Path, run_secrets: Path
) -> Layers:
    texts = {**local} | {name: text for name, text in environ.items() if text.strip()}
    credentials = environ.get("CREDENTIALS_DIRECTORY", "")
    mounts = [*([directory / credentials] if credentials else []), run_secrets]
    environment, dotted = text_layer(environ), text_layer(local, origin=".env: ")
    toml = _toml(texts.get("WORKER_CONFIG", "").strip(), directory)
    is_default = not any("langsmith_endpoint" in layer.given for layer in (environment, dotted, toml))
    return Layers(
        environment=environment,
        dotenv=dotted,
        files=secret_files(texts, needs=needs, directory=directory, mounts=mounts),
        toml=toml,
        machine=_machine(environ, local, directory, doubtful=tuple(other_endpoint(texts)) if is_default else ()),
    )


def _toml(config: str, directory: Path) -> Layer:
    path = directory / (config or CONFIG)
    if exists(path):
        return toml_layer(path, label=config or CONFIG)
    if config:
        # as the user wrote it: a path would reshape a secret that was put here by mistake past recognition
        return Layer(problems=(f"WORKER_CONFIG: there is no file {config}; name the right one, or leave it out",))
    return Layer()


def _machine(
    environ: Mapping[str, str], local: Mapping[str, str], directory: Path, *, doubtful: tuple[str, ...]
) -> Layer:
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    config = {"config": CONFIG} if exists(directory / CONFIG) else {}
    database = {"database_url": sqlite_url(directory / state / "worker.db")} if state else {}
    return Layer(
        given={
            **config,
            **database,
            "directory": directory,
            "network": network({**local, **environ}),
            "unknown": (*unknown_names(environ), *unknown_names(local, origin=".env: "), *doubtful),
            "shadowed": tuple(shadowed_files({**local, **environ})),
        },
        names=dict.fromkeys(database, "STATE_DIRECTORY"),
    )


def _unreachable(settings: Settings, needs: frozenset[Need]) -> list[str]:
    """A line on each variable of the environment by which a service that is needed cannot be reached."""
    roots = [settings.langsmith_endpoint] if Need.LANGSMITH in needs else []
    if Need.SLACK in needs:
        roots += [settings.slack_base_url]
        roots += [settings.heartbeat_url.get_secret_value()] if settings.heartbeat_url else []
    return list(dict.fromkeys(problem for root in roots for problem in settings.network.problems(root)))


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
    """What the user calls the setting, and its key."""
    key = str(location[-1])
    if location[0] == "tables":
        return f"{layers.toml.names['tables']}[{location[1]}].{key}", key
    return next(layer.names[key] for layer in layers if key in layer.names), key


def _secrets(layers: Layers) -> Collection[str]:
    raw = (value for layer in layers for key, value in layer.given.items() if key in EVERY and EVERY[key].secret)
    found = layers.machine.given["network"]
    proxies = found.secrets() if isinstance(found, Network) else ()
    return {*proxies, *(value.strip() for value in raw if isinstance(value, str))}
