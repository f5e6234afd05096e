"""How the domain's values are kept in columns: ids as bytes (a UUID as its 16), times as integer microseconds.

`UNDATED` stands for a missing `added_at` in the key of a review: a value outside every datetime, since NULLs never
collide in a unique key.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import sqlalchemy as sa
from msgspec import structs
from msgspec.structs import replace
from sqlalchemy.types import TypeDecorator

from worker.core.instants import instant_at, microseconds
from worker.core.model import NO_ACTS, NO_ONE, NO_TRAITS, Access, Acts, Facts, Reviewer, Traits, Who
from worker.core.overview import LinkState, Reason
from worker.core.owed import Destination, destination_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect

UNDATED = -(2**62)
UUID_BYTES = 16

_T = TypeVar("_T")

_EMPTY = structs.asdict(Facts())
_read_facts = msgspec.json.Decoder(Facts).decode
_read_words = msgspec.json.Decoder(tuple[str, ...]).decode
_read_reasons = msgspec.json.Decoder(tuple[Reason, ...]).decode


class _AsItIs(TypeDecorator[_T]):
    """A type whose kept form every driver takes and gives as it is: nothing of SQLAlchemy's own is put around it."""

    keep: Callable[[Any], Any]
    give: Callable[[Any], Any]

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:  # noqa: ARG002
        """See TypeEngine."""
        return self.keep

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """See TypeEngine."""
        return self.give


def _to_bytes(value: UUID | str | None) -> bytes | None:
    if isinstance(value, UUID):
        return value.bytes
    return None if value is None else _marked(value.encode("utf-8"))


def _to_bytearray(value: UUID | str | None) -> bytearray | None:
    # SQLite's driver looks for adapters of every value that is no number, no text and no bytearray.
    if isinstance(value, UUID):
        # As its `bytes`, without the call that these take.
        return bytearray(value.int.to_bytes(UUID_BYTES, "big"))
    return None if value is None else bytearray(_marked(value.encode()))


def _marked(text: bytes) -> bytes:
    """Text behind a mark whose first byte is its length: two bytes where one would make it as long as a UUID."""
    mark = b"\x02\x02" if len(text) == UUID_BYTES - 1 else b"\x01"
    return mark + text


def _to_id(value: bytes | None) -> UUID | str | None:
    if value is None:
        return None
    if len(value) == UUID_BYTES:
        return msgspec.convert(value, UUID)
    # The first byte of the mark says how long it is.
    return value[value[0] :].decode("utf-8")


def _to_microseconds(value: datetime | None) -> int | None:
    return None if value is None else microseconds(value)


def _to_instant(value: int | None) -> datetime | None:
    return None if value is None else instant_at(value)


def _to_part_of_key(value: datetime | None) -> int:
    return UNDATED if value is None else microseconds(value)


def _from_part_of_key(value: int | None) -> datetime | None:
    return None if value is None or value == UNDATED else instant_at(value)


class IdColumn(_AsItIs["UUID | str"]):
    """An id: a UUID as its 16 bytes, and any other as its text behind a mark, which is never 16 bytes together."""

    impl = sa.LargeBinary(UUID_BYTES)
    cache_ok = True
    keep, give = staticmethod(_to_bytes), staticmethod(_to_id)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """See TypeEngine."""
        return _to_bytearray if dialect.name == "sqlite" else _to_bytes


class At(_AsItIs[datetime]):
    """An instant as microseconds since 1970, exact from year 1 to 9999, and aware UTC when it comes back."""

    impl = sa.BigInteger
    cache_ok = True
    keep, give = staticmethod(_to_microseconds), staticmethod(_to_instant)


class AddedAt(_AsItIs[datetime]):
    """An instant that is part of a key: never NULL, `UNDATED` where there is none."""

    impl = sa.BigInteger
    cache_ok = True
    keep, give = staticmethod(_to_part_of_key), staticmethod(_from_part_of_key)


class Word(TypeDecorator[StrEnum]):
    """A member of one of the domain's enums as its word."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the word."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        """To the member."""
        return None if value is None else self.enum(value)


class Words(TypeDecorator[tuple[str, ...]]):
    """A few words in their order, as JSON."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """To a JSON array."""
        return json.dumps(value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:  # noqa: ARG002
        """From a JSON array."""
        return _read_words(value or "[]")


class Plain(TypeDecorator[str]):
    """Text from anywhere: what a database refuses (NUL, half a surrogate pair) is replaced, not raised."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To text that every database takes."""
        return None if value is None else _storable(value)


def _storable(text: str) -> str:
    return _whole(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _destination_text(destination: Destination) -> str:
    return _storable(str(destination))


class DestinationColumn(_AsItIs[Destination]):
    """A destination as its text."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_destination_text), staticmethod(destination_of)


BEGINS_WITH_NAME = '{"name":'
"""How facts begin that have a name: it is the first of their fields, and what is empty is left out."""


def write_facts(facts: Facts) -> str:
    """Encode the fields that are not empty."""
    try:
        return msgspec.json.encode(facts).decode()
    except UnicodeEncodeError:  # half a surrogate pair: only the standard library writes it
        said = {name: value for name, empty in _EMPTY.items() if (value := getattr(facts, name)) != empty}
        return json.dumps(said, separators=(",", ":"))


def read_facts(text: str) -> Facts:
    """Decode what `write_facts` wrote."""
    try:
        return _read_facts(text)
    except msgspec.DecodeError:  # half a surrogate pair: only the standard library reads it
        said: dict[str, Any] = json.loads(text)
        return Facts(**{**said, "tags": tuple(said.get("tags", ()))})


class FactsColumn(_AsItIs[Facts]):
    """What may be shown of a run, as JSON without what is empty; every string comes back as it was."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(write_facts), staticmethod(read_facts)


# A queue has thousands of runs and a handful of reviewers: most rows repeat what another says.
@lru_cache(1024)
def _write_who(who: Who) -> str | None:
    """Encode the lists that are not empty; None where all are."""
    return json.dumps(msgspec.to_builtins(who), separators=(",", ":")) if who != NO_ONE else None


@lru_cache(1024)
def _read_who(text: str | None) -> Who:
    """Decode what `_write_who` wrote."""
    # By the standard library, which alone reads half a surrogate pair.
    return NO_ONE if text is None else msgspec.convert(json.loads(text), Who)


class WhoColumn(_AsItIs[Who]):
    """Whom a run is assigned to, reserved by and completed by, as JSON; NULL where no one is named."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_write_who), staticmethod(_read_who)


# Few runs have any, but each is read at every poll.
@lru_cache(1024)
def _write_acts(acts: Acts) -> str | None:
    """Encode what is there; None where nothing is."""
    return json.dumps(msgspec.to_builtins(acts), separators=(",", ":")) if acts != NO_ACTS else None


@lru_cache(1024)
def _read_acts(text: str | None) -> Acts:
    """Decode what `_write_acts` wrote."""
    return NO_ACTS if text is None else msgspec.convert(json.loads(text), Acts)


class ActsColumn(_AsItIs[Acts]):
    """What people have said of a run, as JSON; NULL where no one has said anything."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_write_acts), staticmethod(_read_acts)


def _write_traits(traits: Traits) -> str | None:
    """Encode what is known; None where nothing is."""
    return json.dumps(msgspec.to_builtins(traits), separators=(",", ":")) if traits != NO_TRAITS else None


def _read_traits(text: str | None) -> Traits:
    """Decode what `_write_traits` wrote."""
    return NO_TRAITS if text is None else msgspec.convert(json.loads(text), Traits)


class TraitsColumn(_AsItIs[Traits]):
    """What filters know of a run, as JSON; NULL where no filter needs anything."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_write_traits), staticmethod(_read_traits)


class Reviewers(NamedTuple):
    """Who may review the runs of a queue, and who is assigned to it."""

    access: Access = Access.UNKNOWN
    assigned: tuple[Reviewer, ...] = ()


def _write_reviewers(reviewers: Reviewers) -> str | None:
    """Encode; None where nothing is known."""
    if reviewers == Reviewers():
        return None
    assigned = [[each.reviewer_id, each.name, each.email] for each in reviewers.assigned]
    return json.dumps([reviewers.access, assigned], separators=(",", ":"))


@lru_cache(64)
def _read_reviewers(text: str | None) -> Reviewers:
    """Decode what `_write_reviewers` wrote."""
    if text is None:
        return Reviewers()
    access, assigned = json.loads(text)
    return Reviewers(Access(access), tuple(Reviewer(*each) for each in assigned))


class ReviewersColumn(_AsItIs[Reviewers]):
    """The reviewers of a queue, as JSON; NULL where nothing is known of them."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_write_reviewers), staticmethod(_read_reviewers)


def _write_reasons(reasons: tuple[Reason, ...]) -> str:
    """Encode; half a surrogate pair in a name or an error is replaced: nothing depends on it."""
    whole = [replace(each, text=_whole(each.text), fix=_whole(each.fix)) for each in reasons]
    return msgspec.json.encode(whole).decode()


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _write_link(link: LinkState | None) -> str | None:
    return None if link is None else msgspec.json.encode(link).decode()


def _read_link(text: str | None) -> LinkState | None:
    return None if text is None else msgspec.json.decode(text, type=LinkState)


class ReasonsColumn(_AsItIs[tuple[Reason, ...]]):
    """Reasons why a process is not well, as JSON."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_write_reasons), staticmethod(_read_reasons)


class LinkColumn(_AsItIs[LinkState | None]):
    """The link by which a process hears people, as JSON; NULL where it is not to."""

    impl = sa.Text
    cache_ok = True
    keep, give = staticmethod(_write_link), staticmethod(_read_link)
