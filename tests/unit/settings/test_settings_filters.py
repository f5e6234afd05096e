"""The settings of filters: `only`, `skip` and `order`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_place import Place
from worker.core.filters import Conditions, Order, Score
from worker.rules import rules_of

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
[[queues]]
queue = "Support QA"
only = { tags = ["prod"], run_type = ["LLM"], error = true, name = "checkout-*", feedback = "user_score < 0.5" }
skip = { tags = ["load-test"] }
order = ["feedback", "error", "age"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def test_filters_are_read_from_the_file(place: Place) -> None:
    place.write("worker.toml", WHOLE)
    (queue,) = place.load().queues
    assert queue.only == Conditions(
        tags=("prod",),
        run_type=("llm",),
        error=True,
        name=("checkout-*",),
        feedback=(Score("user_score", "<", 0.5),),
    )
    assert queue.skip == Conditions(tags=("load-test",))
    assert queue.order == (Order.FEEDBACK, Order.ERROR, Order.AGE)
    assert rules_of(queue).policy.filters.only == queue.only


def test_the_environment_has_the_same_tables_as_text(place: Place) -> None:
    settings = place.load(
        {"WORKER_ONLY": '{ tags = ["prod"], feedback = ["a<=1", "b != -2e3"] }', "WORKER_ORDER": "error"}
    )
    assert settings.defaults.only == Conditions(
        tags=("prod",), feedback=(Score("a", "<=", 1.0), Score("b", "!=", -2000.0))
    )
    assert settings.defaults.order == (Order.ERROR,)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ('only = "prod"', "is not a table of conditions; write one such as"),
        ("only = { tag = ['a'] }", "has a condition 'tag', which is none (did you mean tags?)"),
        ("only = { tags = [] }", "has a tags that is neither a text nor a list of texts"),
        ("only = { tags = [1] }", "has a tags that is neither a text nor a list of texts"),
        ("skip = { error = 'yes' }", "has an error that is neither true nor false"),
        ("only = { feedback = 'score' }", "has a feedback 'score' that is not a comparison; write one such as"),
        ("only = { feedback = 'score < low' }", "that is not a comparison"),
        ("only = { feedback = 'score < nan' }", "that is not a comparison"),
        ("order = ['newest']", "has a word that is none of feedback, error, age"),
        ("order = ['age', 'age']", "names one twice"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_fix(place: Place, written: str, says: str) -> None:
    place.write("worker.toml", f"[defaults]\n{written}\n")
    (line,) = place.refusal()
    assert line.startswith(f"worker.toml: defaults.{written.split(maxsplit=1)[0]}: ")
    assert says in line
