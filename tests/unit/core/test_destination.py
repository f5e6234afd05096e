"""A destination and its text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.owed import EVERYWHERE, Destination, destination_of

schemes = st.text(min_size=1).filter(lambda scheme: ":" not in scheme)


@given(schemes, st.text())
@example("slack", "C0SUPPORT00")
@example("file", "C:\\shelf")
def test_its_text_says_what_it_is(scheme: str, place: str) -> None:
    destination = Destination(scheme, place)
    assert destination_of(str(destination)) == destination


def test_its_text_is_the_scheme_and_the_place() -> None:
    assert str(Destination("file", "shelf")) == "file:shelf"


def test_the_same_place_of_two_notifiers_is_two_destinations() -> None:
    assert Destination("file", "general") != Destination("slack", "general")


@pytest.mark.parametrize("scheme", ["", "a:b", ":"])
def test_a_scheme_that_could_be_read_in_two_ways_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match="no scheme of a destination"):
        Destination(scheme, "shelf")


@pytest.mark.parametrize("text", ["", "C0SUPPORT00", ":C0SUPPORT00", "*"])
def test_a_text_without_a_scheme_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no scheme"):
        destination_of(text)


def test_everywhere_is_kept_like_any_other() -> None:
    assert destination_of("*:*") == EVERYWHERE
