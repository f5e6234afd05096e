"""`worker.toml`: its keys checked, its values as they stand, for the same treatment as every other setting."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, cast

from worker.settings.ids import repeated
from worker.settings.layers import Layer, read_text
from worker.settings.model import EVERY, PER_QUEUE, SINGLE
from worker.settings.names import PREFIX, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

TOP_KEYS = tuple(key for key, name in SINGLE.items() if not name.secret and key not in {"config", "listed"})
TABLE_KEYS = ("queue", *PER_QUEUE)

_SECTIONS = ("defaults", "queues")


def toml_layer(path: Path, *, label: str) -> Layer:
    """What the file gives. `label` is what the user calls it."""
    try:
        content = _parse(read_text(path))
    except ValueError as error:
        return Layer(problems=(f"{label}: the file {error}",))
    parts = (_top(content), _defaults(content.get("defaults", {})), _queues(content.get("queues", [])))
    return Layer(
        given={key: value for given, _ in parts for key, value in given.items()},
        names={key: f"{label}: {_name(key)}" for given, _ in parts for key in given},
        problems=tuple(f"{label}: {problem}" for _, problems in parts for problem in problems),
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last = text.rstrip().count("\n") + 1
        reason = str(error).replace("at end of document", f"at the end, line {last}")
        raise ValueError(f"is not TOML: {reason}; mend that line") from None
    except RecursionError:
        raise ValueError("is nested too deeply for any setting; check that it is the right one") from None
    except ValueError:  # a number of thousands of digits
        raise ValueError("holds a number that is too long for any setting; check that it is the right one") from None


def _name(key: str) -> str:
    if key in {"listed", "tables"}:
        return "queues"
    return f"defaults.{key}" if key in PER_QUEUE else key


def _top(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return _pick(content, TOP_KEYS), list(_strays(content, (*_SECTIONS, *TOP_KEYS)))


def _defaults(section: object) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(section, dict):
        return {}, ["defaults is not a table; write [defaults] on a line of its own and the settings below"]
    return _pick(section, PER_QUEUE), list(_strays(section, PER_QUEUE, place="defaults."))


def _queues(queues: object) -> tuple[dict[str, Any], list[str]]:
    """Either `queues = "all"` or `queues = ["…", "…"]` or the tables `[[queues]]`."""
    if isinstance(queues, str) or (queues and _are(str, queues)):
        return {"listed": queues}, []
    if not _are(dict, queues):
        return {}, ['queues is no list of tables; write [[queues]] with queue = "…" below it for each queue']
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
        return f"; a secret must not stand in this file: set {name.env}, or name its file in {name.env_file}"
    if meant in known:
        return f"; write {meant}"
    if meant in PER_QUEUE:
        return "; it belongs under [defaults] or into a table [[queues]]"
    if meant in TOP_KEYS:
        return "; it belongs at the top of the file, above [defaults]"
    return did_you_mean(key, [*known, *PER_QUEUE, *TOP_KEYS]) or f"; known are {', '.join(known)}"
