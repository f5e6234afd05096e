"""Values drawn from published JSON schemas, and mutations of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)  # noqa: DTZ001  (hypothesis adds the zone)


def drawn(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the document allows: everything required, and any part of the rest."""
    if "$ref" in schema:
        return drawn(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of(*(drawn(document, branch) for branch in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _KINDS[schema.get("type", "object")](document, schema)


def narrowed(document: Mapping[str, Any], name: str, fields: Collection[str]) -> st.SearchStrategy[Any]:
    """Values of a named schema with a few of its fields only, because drawing sixty costs too much time."""
    schema = document["components"]["schemas"][name]
    properties = {field: part for field, part in schema["properties"].items() if field in fields}
    required = [field for field in schema.get("required", ()) if field in fields]
    return drawn(document, {"type": "object", "properties": properties, "required": required})


def _object(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    properties = {name: drawn(document, part) for name, part in schema.get("properties", {}).items()}
    if not properties:
        return st.dictionaries(st.text(max_size=5), JSON, max_size=2)
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: part for name, part in properties.items() if name in required},
        optional={name: part for name, part in properties.items() if name not in required},
    )


def _array(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.lists(drawn(document, schema["items"]), max_size=3)


def _string(_document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    formats = {"uuid": st.uuids().map(str), "date-time": INSTANTS}
    return formats.get(schema.get("format", ""), st.text(max_size=20))


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], st.SearchStrategy[Any]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": lambda _, schema: st.integers(schema.get("minimum", -(2**63)), schema.get("maximum", 2**63)),
    "number": lambda *_: st.floats(allow_nan=False, allow_infinity=False),
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
}


@st.composite
def mutated(draw: st.DrawFn, lawful: st.SearchStrategy[dict[str, Any]]) -> Any:
    """A lawful object of which some fields have become something else, or have gone."""
    found = dict(draw(lawful))
    for name in draw(st.lists(st.sampled_from(sorted(found)), max_size=4)) if found else ():
        if draw(st.booleans()):
            found.pop(name, None)
        else:
            found[name] = draw(JSON)
    return found


def date_like() -> st.SearchStrategy[str]:
    """Text that looks like a date of HTTP or of ISO 8601, with numbers of any size in it."""
    number = st.integers(0, 60).map("{:02}".format) | st.integers(-(10**30), 10**30).map(str)
    zone = st.sampled_from(["GMT", "-0000", "+1400", "-2359", "Z", ""]) | number.map("+{}".format)
    http = st.tuples(number, number, number, number, number, zone)
    iso = st.tuples(number, number, number, number, zone)
    return http.map(lambda parts: "Sun, {} Jan {} {}:{}:{} {}".format(*parts)) | iso.map(
        lambda parts: "{}-{}-{}T{}:00:00{}".format(*parts)
    )
