"""Ids are UUIDs where they are written as one, and otherwise the text that the source gave."""

from __future__ import annotations

from uuid import UUID

import pytest

from worker.core.model import Id, id_of, shortened

SOME = UUID("6f0d3c1e-5a53-4a43-9d0b-0d2f6d2c7b11")


@pytest.mark.parametrize(
    ("text", "one"),
    [
        pytest.param(str(SOME), SOME, id="a UUID as it is usually written"),
        pytest.param(SOME.hex, SOME.hex, id="a UUID written otherwise stays as it is"),
        pytest.param("item-7", "item-7", id="any other text"),
    ],
)
def test_an_id_is_read_back_as_it_was_written(text: str, one: Id) -> None:
    assert id_of(text) == one
    assert str(id_of(text)) == text


def test_an_id_is_short_enough_for_people() -> None:
    assert shortened(SOME) == "6f0d3c1e"
    assert shortened("item-7") == "item-7"
