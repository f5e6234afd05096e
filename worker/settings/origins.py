"""What is in force, and where each value comes from: the environment, a line of a file, or the default."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from pydantic import SecretStr

from worker.core.owed import Destination
from worker.settings.layers import key_in_file, read_text
from worker.settings.loading import loaded, masked, secrets
from worker.settings.model import PER_QUEUE, SINGLE, PerQueue
from worker.settings.values import duration_or_never, open_time_or_never

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from worker.settings.layers import Layer, Layers
    from worker.settings.model import Settings
    from worker.settings.names import Name

SET, NOT_SET, DEFAULT = "set", "not set", "default"
THE_CHANNEL = "the queue's channel"
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[\w.-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[\w.-]+)*)\s*=""")
_AS_GIVEN = {"hours", "remind_at", "report_at", "only", "skip"}
_OR_NEVER = {
    key
    for key, field in PerQueue.model_fields.items()
    if any(getattr(part, "func", None) in {open_time_or_never, duration_or_never} for part in field.metadata)
}
_LENGTHS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class InForce:
    """One setting: its key, its name in the environment, its value as it is written, and where that comes from."""

    key: str
    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class QueueInForce:
    """The settings of one queue; `queue` is empty for every queue that is not named."""

    queue: str
    settings: tuple[InForce, ...]


@dataclass(frozen=True, slots=True)
class AllInForce:
    """All settings: those with one value for the worker, the tables of the file, and those of each queue."""

    worker: tuple[InForce, ...]
    tables: tuple[InForce, ...]
    queues: tuple[QueueInForce, ...]


def in_force(given: tuple[Settings, Layers] | None = None) -> AllInForce:
    """Everything that is set, and what holds where nothing is. Raises ConfigError. Secrets are only `set` or not."""
    settings, layers = loaded(frozenset()) if given is None else given
    find = _Origins(settings, layers)
    common = tuple(find.of(key, name, settings.common) for key, name in PER_QUEUE.items())
    queues = [QueueInForce(queue.queue, tuple(find.of_queue(queue, common))) for queue in settings.queues]
    others = [QueueInForce("", common)] if settings.all_queues or not queues else []
    return AllInForce(
        worker=tuple(find.of(key, name, settings) for key, name in SINGLE.items()),
        tables=tuple(find.of_tables()),
        queues=(*queues, *others),
    )


def places(found: AllInForce) -> str:
    """The places that settings come from, and how many from each: `5 from .env, 2 from worker.toml`."""
    each = [*found.worker, *found.tables, *(one for queue in found.queues for one in queue.settings)]
    # What holds for every queue is listed with each of them, and counts once.
    origins = {(one.key, one.origin) for one in each if one.origin not in {DEFAULT, THE_CHANNEL}}
    counted = Counter(origin.partition(",")[0] for _, origin in sorted(origins, key=lambda one: one[1]))
    return ", ".join(f"{many} from {_THE.get(origin, origin)}" for origin, many in counted.items())


_THE = {"environment": "the environment"}


class _Origins:
    """Finds for a setting the place that it was taken from."""

    def __init__(self, settings: Settings, layers: Layers) -> None:
        self._settings, self._layers = settings, layers
        self._hidden = secrets(settings)
        self._file = settings.config
        self._toml = _lines(settings.config) if settings.config else {}
        self._tables = {table.queue: number for number, table in enumerate(settings.tables)}

    def of(self, key: str, name: Name, owner: Settings | PerQueue) -> InForce:
        """One setting with a value for all."""
        layer = next((layer for layer in self._layers if key in layer.given), None)
        origin = DEFAULT if layer is None else self._place(layer, key, name)
        value = getattr(owner, key)
        if key == "listed" and layer is None and self._tables:
            return InForce(key, name.env, self._shown(key, tuple(self._tables)), self._in_file("queues[0]"))
        if name.secret and (isinstance(value, SecretStr) or (layer is not None and layer is not self._layers.machine)):
            return InForce(key, name.env, SET, origin)
        return InForce(key, name.env, self._shown(key, value, layer.given[key] if layer else value), origin)

    def of_queue(self, queue: PerQueue, common: tuple[InForce, ...]) -> Iterator[InForce]:
        """The settings of one named queue."""
        number = self._tables.get(queue.queue)
        table = None if number is None else self._settings.tables[number]
        for each in common:
            if table is not None and each.key in table.model_fields_set:
                origin = self._in_file(f"queues[{number}].{each.key}")
                raw = cast("list[dict[str, object]]", self._layers.toml.given["tables"])[number or 0][each.key]
                yield InForce(each.key, each.name, self._shown(each.key, getattr(table, each.key), raw), origin)
            elif each.key == "escalate_to" and each.origin == DEFAULT:
                yield InForce(each.key, each.name, self._shown(each.key, queue.escalate_to), THE_CHANNEL)
            else:
                yield each

    def of_tables(self) -> Iterator[InForce]:
        """The calendars, and the corrections to people, as they stand in the file."""
        for section, written in (("calendars", "calendars"), ("persons", "people")):
            tables = self._layers.toml.given.get(section)
            for name, table in tables.items() if isinstance(tables, dict) else ():
                for key, value in table.items():
                    path = f"{written}.{name}.{key}"
                    yield InForce(path, path, self._shown(path, value), self._in_file(path, f"{written}.{name}"))

    def _place(self, layer: Layer, key: str, name: Name) -> str:
        written = layer.names.get(key, "")
        if layer is self._layers.environment:
            return "environment" if written == name.env else f"environment, as {written}"
        if layer is self._layers.dotenv:
            return written.rpartition(": ")[0]
        if layer is self._layers.toml:
            return self._in_file(key_in_file(key))
        return written.partition(" (in ")[2].rstrip(")") or written or DEFAULT  # a secret's file, or STATE_DIRECTORY

    def _in_file(self, *paths: str) -> str:
        line = next((self._toml[path.casefold()] for path in paths if path.casefold() in self._toml), None)
        name = self._file.name if self._file else ""
        return f"{name}, line {line}" if line else name

    def _shown(self, key: str, value: object, raw: object = None) -> str:
        if value is None and key in _OR_NEVER:
            return "never"
        # Hours and times of the week have no other form that people write.
        return masked(_written(raw if key in _AS_GIVEN and raw is not None else value), self._hidden)


def _written(value: object) -> str:
    """A value as it could stand in the file, without quotes."""
    match value:
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"
        case timedelta():
            text = _length(value)
        case Destination():
            text = value.place
        case (str() as host, int() as port):
            text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case dict():
            text = ", ".join(f"{key} = {_written(each)}" for key, each in value.items())
        case frozenset():
            text = ", ".join(sorted(map(_written, value)))
        case tuple() | list():
            text = ", ".join(map(_written, value))
        case _:
            text = "" if value is None else str(value)
    return text or NOT_SET


def _length(value: timedelta) -> str:
    days = getattr(value, "days_written", 0)
    left = getattr(value, "rest", value).total_seconds()
    parts = [f"{days}d"] if days else []
    for unit, size in _LENGTHS[1 if days else 0 :]:
        many, left = divmod(left, size)
        parts += [f"{many:g}{unit}"] if many else []
    return "".join(parts) or "0s"


def _lines(path: Path) -> Mapping[str, int]:
    try:
        return _toml_lines(read_text(path))
    except ValueError:
        return {}  # not there, or replaced since it was read


def _toml_lines(text: str) -> dict[str, int]:
    """The line of each key, by its path in small letters, such as `queues[0].channel`; and of each table."""
    found: dict[str, int] = {}
    section, numbers = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _path(header[2])
            if header[1] == "[[":
                numbers[section] = numbers.get(section, -1) + 1
                section = f"{section}[{numbers[section]}]"
            found.setdefault(section.casefold(), number)
        elif key := _KEY.match(line):
            found.setdefault(f"{section}.{_path(key[1])}".lstrip(".").casefold(), number)
    return found


def _path(written: str) -> str:
    return re.sub(r"\s*\.\s*", ".", written) if written[0] not in "\"'" else written.strip("\"'")
