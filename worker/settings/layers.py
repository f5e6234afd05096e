"""The places that settings are written in: environment, `.env`, secret files, `worker.toml`.

Only values are read here, as they stand; what they mean is decided where all are together.
"""

from __future__ import annotations

import io
import os
import stat
import tomllib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dotenv.parser import parse_stream

from worker.settings.calendars import NO_HOURS, CalendarTable
from worker.settings.model import EVERY, PER_QUEUE, SINGLE
from worker.settings.names import FILE_SUFFIX, PREFIX, did_you_mean, service_links
from worker.settings.people import people_section
from worker.settings.values import repeated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from worker.settings.names import Name, Need

LARGEST_FILE = 1 << 20

_SECRET = {key: name for key, name in EVERY.items() if name.secret}
_KNOWN = frozenset(env for name in EVERY.values() for env in name.envs) | {name.env_file for name in _SECRET.values()}


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one place: values as they stand there, and their names there, by field.

    `problems` are lines on everything that could not be read, `doubts` on what is left out without harm.
    """

    given: Mapping[str, object] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def values(self) -> dict[str, object]:
        """The values in the shape of `Settings`."""
        single = {key: value for key, value in self.given.items() if key not in PER_QUEUE}
        common = {key: value for key, value in self.given.items() if key in PER_QUEUE}
        return single | ({"common": common} if common else {})


class Layers(NamedTuple):
    """The places of settings, strongest first; `machine` has the values that follow from where the worker runs."""

    environment: Layer
    dotenv: Layer
    files: Layer
    toml: Layer
    machine: Layer


def text_layer(texts: Mapping[str, str], places: Mapping[str, str] = MappingProxyType({})) -> Layer:
    """The settings in names and texts, as the environment has them; `places` say of names where they are written."""
    # An empty text is no value: that is how a variable is unset in compose files and units.
    written = {key: _first(name.envs, texts) for key, name in EVERY.items()}
    return Layer(
        given={key: texts[env] for key, env in written.items() if env},
        names={key: f"{places[env]}: {env}" if env in places else env for key, env in written.items() if env},
    )


def _first(envs: Iterable[str], texts: Mapping[str, str]) -> str | None:
    return next((env for env in envs if texts.get(env, "").strip()), None)


class DotEnv(NamedTuple):
    """A `.env` file: its texts, the place of each name, and a line on each that cannot be read."""

    texts: Mapping[str, str] = MappingProxyType({})
    places: Mapping[str, str] = MappingProxyType({})
    problems: tuple[str, ...] = ()


def dotenv(path: Path) -> DotEnv:
    """Read a `.env` file literally: no `${…}` is replaced."""
    if not exists(path):
        return DotEnv()
    try:
        bindings = list(parse_stream(io.StringIO(read_text(path))))
    except ValueError as error:
        return DotEnv(problems=(f"{path.name}: {error}",))
    # The library counts blank lines before a setting as a part of it.
    lines = [b.original.line + _blank_lines(b.original.string) for b in bindings]
    bad = [line for b, line in zip(bindings, lines, strict=True) if b.error or (b.key is not None and b.value is None)]
    good = {b.key: (b.value, line) for b, line in zip(bindings, lines, strict=True) if b.key and b.value is not None}
    return DotEnv(
        texts={key: text for key, (text, _) in good.items()},
        places={key: f"{path.name}, line {line}" for key, (_, line) in good.items()},
        problems=tuple(f"{path.name}: line {n} is not NAME=value; correct it or put # before it" for n in bad),
    )


def _blank_lines(original: str) -> int:
    return original[: len(original) - len(original.lstrip())].count("\n")


NO_EFFECT = "is not a setting and has no effect"


def unknown_names(texts: Mapping[str, str], places: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """A line on each name that looks like a setting of ours but is none."""
    for env in sorted(texts.keys() - service_links(texts)):
        if env.startswith(PREFIX) and env not in _KNOWN:
            where = f"{places[env]}: " if env in places else ""
            yield f"{where}{env} {NO_EFFECT}{_instead(env)}"


def other_endpoint(texts: Mapping[str, str]) -> Iterator[str]:
    """A line on an address of LangSmith under the name that its SDK knows too; for where ours is not set."""
    if texts.get("LANGCHAIN_ENDPOINT", "").strip():
        yield "LANGCHAIN_ENDPOINT is set and has no effect here (was LANGSMITH_ENDPOINT meant?)"


def _instead(env: str) -> str:
    plain = env.removesuffix(FILE_SUFFIX)
    return f" (only secrets come from files: set {plain})" if plain in _KNOWN else did_you_mean(env, _KNOWN)


def shadowed_files(texts: Mapping[str, str]) -> Iterator[str]:
    """A line on each secret file that is named but not read, because the setting itself is there too."""
    for name in _SECRET.values():
        if texts.get(name.env_file, "").strip() and _first(name.envs, texts):
            yield f"{name.env_file} has no effect, because {name.env} is set too; remove one of them"


def secret_files(texts: Mapping[str, str], *, needs: frozenset[Need], directory: Path, mounts: Sequence[Path]) -> Layer:
    """The secrets in the files that `NAME_FILE` names, else in the mounted ones called after the setting."""
    given: dict[str, object] = {}
    names: dict[str, str] = {}
    problems = []
    for key, name in _SECRET.items():
        written = None if _first(name.envs, texts) else _secret_file(name, texts, mounts)
        if written is None:
            continue
        try:
            given[key] = read_text(directory / written)
        except ValueError as error:
            # Only where the command needs the secret: `status` may be run by a person who may not read it.
            if name.need is None or name.need in needs:
                problems.append(f"{name.env}: the file {written} {error}")
        names[key] = f"{name.env} (in the file {written})"
    return Layer(given, names, tuple(problems))


def _secret_file(name: Name, texts: Mapping[str, str], mounts: Sequence[Path]) -> str | None:
    """The path as it is written, which is how it may be shown: a Path would reshape a secret put here by mistake."""
    named = texts.get(name.env_file, "").strip()
    return named or next((str(mount / name.file) for mount in mounts if exists(mount / name.file)), None)


def exists(path: Path) -> bool:
    """Whether there is something to read; what lies in a folder that is closed to us is not there."""
    try:
        return path.exists()
    except OSError:
        return False


def read_text(path: Path) -> str:
    """A small text file. ValueError with the rest of a sentence that begins with its name."""
    try:
        # A pipe without a writer would be waited for until one comes; one with a writer, as of a shell's <(…), is read.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            os.set_blocking(file.fileno(), True)
            content = file.read(LARGEST_FILE + 1)
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); make it a file that this user may read") from None
    if is_pipe and not content:
        raise ValueError("is a pipe that holds nothing; make it a file that this user may read")
    if len(content) > LARGEST_FILE:
        raise ValueError("is larger than 1 MiB, which no file of settings is; check that it is the right one")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"is not UTF-8 text (line {line}); save it as UTF-8") from None


SECTION_KEYS: Mapping[str, Mapping[str, str]] = {
    section: {key.removeprefix(f"{section}_"): key for key in SINGLE if key.startswith(f"{section}_")}
    for section in ("nag", "actions")
}
"""The settings that have a table of their own in the file: its keys, and the field of each."""

_IN_SECTIONS = {key: f"{section}.{short}" for section, keys in SECTION_KEYS.items() for short, key in keys.items()}
TOP_KEYS = tuple(
    key
    for key, name in SINGLE.items()
    if not name.secret and key not in {"config", "listed"} and key not in _IN_SECTIONS
)
TABLE_KEYS = ("queue", *PER_QUEUE)
CALENDAR_KEYS = tuple(CalendarTable.model_fields)

_NAMED_OTHERWISE = {"listed": "queues", "tables": "queues", "persons": "people"}
_SECTIONS = ("defaults", "queues", "calendars", "people", *SECTION_KEYS)


def toml_layer(path: Path, *, label: str) -> Layer:
    """The settings of the file. `label` is the user's name for it."""
    try:
        content = _parse(read_text(path))
    except ValueError as error:
        return Layer(problems=(f"{label}: the file {error}",))
    persons, strays, doubts = people_section(content.get("people", {}))
    parts = (
        _top(content),
        _calendars(content.get("calendars", {})),
        ({"persons": persons} if persons else {}, strays),
        *(_section(name, content.get(name, {})) for name in SECTION_KEYS),
        _defaults(content.get("defaults", {})),
        _queues(content.get("queues", [])),
    )
    return Layer(
        given={key: value for given, _ in parts for key, value in given.items()},
        names={key: f"{label}: {key_in_file(key)}" for given, _ in parts for key in given},
        problems=tuple(f"{label}: {problem}" for _, problems in parts for problem in problems),
        doubts=tuple(f"{label}: {doubt}" for doubt in doubts),
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last = text.rstrip().count("\n") + 1
        reason = str(error).replace("at end of document", f"at the end, line {last}")
        raise ValueError(f"is not TOML: {reason}; correct that line") from None
    except RecursionError:
        raise ValueError("is nested too deeply for any setting; check that it is the right one") from None
    except ValueError:  # a number of thousands of digits
        raise ValueError("holds a number that is too long for any setting; check that it is the right one") from None


def key_in_file(key: str) -> str:
    """Where the value of a field stands in the file."""
    if key in _NAMED_OTHERWISE:
        return _NAMED_OTHERWISE[key]
    if key in _IN_SECTIONS:
        return _IN_SECTIONS[key]
    return f"defaults.{key}" if key in PER_QUEUE else key


def _top(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return _pick(content, TOP_KEYS), list(_strays(content, (*_SECTIONS, *TOP_KEYS)))


def _defaults(section: object) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(section, dict):
        return {}, ["defaults is not a table; write [defaults] on a line of its own and the settings below"]
    return _pick(section, PER_QUEUE), list(_strays(section, PER_QUEUE, place="defaults."))


def _calendars(calendars: object) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(calendars, dict) or not _are(dict, list(calendars.values())):
        return {}, ["calendars holds no tables; write [calendars.NAME] on a line of its own and its settings below"]
    problems = [
        problem
        for name, table in calendars.items()
        for problem in _strays(table, CALENDAR_KEYS, place=f"calendars.{name}.")
    ]
    if NO_HOURS in calendars:
        problems.append(f"calendars.{NO_HOURS} cannot be defined: it is the calendar without hours; write another name")
    tables = {name: _pick(table, CALENDAR_KEYS) for name, table in calendars.items()}
    return {"calendars": tables} if tables else {}, problems


def _section(name: str, section: object) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(section, dict):
        return {}, [f"{name} is not a table; write [{name}] on a line of its own and the settings below"]
    keys = SECTION_KEYS[name]
    given = {keys[key]: value for key, value in section.items() if key in keys}
    return given, list(_strays(section, tuple(keys), place=f"{name}."))


def _queues(queues: object) -> tuple[dict[str, Any], list[str]]:
    """Either `queues = "all"` or `queues = ["…", "…"]` or the tables `[[queues]]`."""
    if isinstance(queues, str) or (queues and _are(str, queues)):
        return {"listed": queues}, []
    if not _are(dict, queues):
        return {}, ['queues is not a list of tables; write [[queues]] with queue = "…" below it for each queue']
    tables = cast("list[dict[str, Any]]", queues)
    return {"tables": [_pick(table, TABLE_KEYS) for table in tables]} if tables else {}, list(_table_problems(tables))


def _are(kind: type, things: object) -> bool:
    return isinstance(things, list) and all(isinstance(thing, kind) for thing in things)


def _table_problems(tables: Collection[dict[str, Any]]) -> Iterator[str]:
    for place, table in enumerate(tables):
        yield from _strays(table, TABLE_KEYS, place=f"queues[{place}].")
        if "queue" not in table:
            yield f"queues[{place}].queue is missing; name the queue by its id or its name"
    if twice := repeated([str(table["queue"]) for table in tables if "queue" in table]):
        yield f"queues has two tables for {twice!r}; write one"


def _pick(section: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: section[key] for key in keys if key in section}


def _strays(section: Mapping[str, Any], known: Collection[str], *, place: str = "") -> Iterator[str]:
    for key in section:
        if key not in known:
            yield f"{place}{key} is not a setting here{_advice(key, known)}"


def _advice(key: str, known: Collection[str]) -> str:
    meant = key.lower().removeprefix(PREFIX.lower())
    if meant in EVERY and EVERY[meant].secret:
        name = EVERY[meant]
        return f"; a secret must not be in this file: set {name.env}, or name its file in {name.env_file}"
    if meant in known:
        return f"; write {meant}"
    if meant in PER_QUEUE:
        return "; it belongs under [defaults] or into a table [[queues]]"
    if meant in TOP_KEYS:
        return "; it belongs at the top of the file, above [defaults]"
    return did_you_mean(key, [*known, *PER_QUEUE, *TOP_KEYS]) or f"; known are {', '.join(known)}"
