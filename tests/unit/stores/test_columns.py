"""How values are kept: what goes in comes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import dialect

from worker.core.model import Facts
from worker.stores.columns import UNDATED, AddedAt, At, IdColumn, Plain, read_facts, write_facts

if TYPE_CHECKING:
    from sqlalchemy.types import TypeDecorator

SQLITE = dialect()
zones = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
times = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001
texts = st.text(st.characters(exclude_categories=()))


def kept(column: TypeDecorator[Any], value: object) -> Any:
    keep = column.bind_processor(SQLITE)
    assert keep is not None
    return keep(value)


def round_trip(column: TypeDecorator[Any], value: object) -> Any:
    give = column.result_processor(SQLITE, None)
    assert give is not None
    return give(kept(column, value))


@pytest.mark.parametrize("column", [At(), AddedAt()], ids=["a time", "a time in a key"])
@given(at=st.none() | times)
def test_instants_come_back_exactly_and_in_utc(column: TypeDecorator[Any], at: datetime | None) -> None:
    back = round_trip(column, at)
    assert back == at
    assert at is None or back.tzinfo is UTC


@given(at=times)
@example(datetime(1970, 1, 1, tzinfo=UTC))
@example(datetime.min.replace(tzinfo=UTC))
@example(datetime.max.replace(tzinfo=UTC))
def test_no_instant_is_taken_for_undated(at: datetime) -> None:
    assert kept(AddedAt(), at) != UNDATED


@given(at=times, by=st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=1)))
def test_order_is_kept(at: datetime, by: timedelta) -> None:
    earlier, later = (kept(At(), each) for each in (at - by, at))
    assert earlier < later


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        kept(At(), datetime(2026, 1, 1))  # noqa: DTZ001


@given(
    st.builds(
        Facts,
        name=texts,
        tags=st.lists(texts, max_size=3).map(tuple),
        error=texts,
        tokens=st.none() | st.integers(0, 2**63),
        cost=texts,
    )
)
def test_facts_come_back_whatever_they_say(facts: Facts) -> None:
    written = write_facts(facts)
    assert read_facts(written) == facts
    assert "\0" not in written


def test_facts_that_are_empty_take_no_room() -> None:
    assert write_facts(Facts(name="n")) == '{"name":"n"}'


@given(texts)
def test_text_is_always_text_that_a_database_takes(text: str) -> None:
    taken = kept(Plain(), text)
    assert "\0" not in taken.encode().decode()


@pytest.mark.parametrize("text", ["", "plain", "🦜 \u202e <b>", "line\nbreak"])
def test_usual_text_is_kept_as_it_is(text: str) -> None:
    assert kept(Plain(), text) == text


@given(one=st.text() | st.uuids())
def test_an_id_comes_back_as_it_was_and_only_a_uuid_takes_16_bytes(one: str | UUID) -> None:
    assert round_trip(IdColumn(), one) == one
    assert (len(kept(IdColumn(), one)) == 16) is isinstance(one, UUID)


@given(one=st.text(max_size=20), other=st.text(max_size=20))
def test_two_ids_are_kept_apart(one: str, other: str) -> None:
    assert (kept(IdColumn(), one) == kept(IdColumn(), other)) is (one == other)
