"""The rules of a queue: one value of the settings, which a new setting reaches without a line in between."""

from __future__ import annotations

import ast
import inspect
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import pytest
from pydantic import PlainValidator

from tests.support.builders import HOUR, MINUTE, NOON, queue
from tests.support.settings_place import COMPLETE, Place
from worker import app, rules, service
from worker.core.model import Kind, Queue
from worker.rules import rules_for
from worker.settings import PerQueue, Settings, values
from worker.settings.names import Name

if TYPE_CHECKING:
    from types import ModuleType

OTHER = queue("other")
TABLED = Queue(UUID(int=7), "Support QA")


def given(**layer: Any) -> Settings:
    return Settings([{"directory": Path(), **layer}])


class MorePerQueue(PerQueue):
    """The settings of a queue and one more: the first of the two edits."""

    quiet_for: Annotated[timedelta, PlainValidator(values.duration), Name("WORKER_QUIET_FOR")] = timedelta(0)


class MoreSettings(Settings):
    """The settings with one more for each queue."""

    common: MorePerQueue = MorePerQueue()
    tables: tuple[MorePerQueue, ...] = ()


def test_a_new_setting_reaches_its_use_without_being_named_in_between() -> None:
    tables = [{"queue": "Support QA", "quiet_for": "2h"}]
    of = rules_for(MoreSettings([{"directory": Path(), "common": {"quiet_for": "1h"}, "tables": tables}]))
    assert of(TABLED).settings.quiet_for == 2 * HOUR  # type: ignore[attr-defined]
    assert of(OTHER).settings.quiet_for == HOUR  # type: ignore[attr-defined]
    assert of(None).settings.quiet_for == HOUR  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", [app, rules, service])
def test_what_lies_between_the_settings_and_their_use_hands_no_single_one_on(module: ModuleType) -> None:
    """A setting is named where it is defined, and as `settings.NAME` where it is used."""
    tree = ast.parse(inspect.getsource(module))
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not keywords & (PerQueue.model_fields.keys() - {"queue", "channel"})


def test_the_rules_of_a_queue_are_what_its_table_and_the_defaults_say(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "mount")
    place.write("worker.toml", '[[queues]]\nqueue = "Support QA"\npoll_interval = "30s"\nescalate_after = "1h"')
    settings = place.load({**COMPLETE, "WORKER_CHANNEL": "C0COMMON", "WORKER_STALE_AFTER": "never"})
    of = rules_for(settings)
    assert of(TABLED).settings.poll_interval == MINUTE / 2
    assert [(step.kind, step.after, step.channel) for step in of(TABLED).policy.steps] == [
        (Kind.ANNOUNCEMENT, timedelta(0), "C0COMMON"),
        (Kind.ESCALATION, HOUR, "C0COMMON"),
    ]
    assert of(OTHER).settings == of(None).settings == settings.defaults
    assert [step.kind for step in of(OTHER).policy.steps] == [Kind.ANNOUNCEMENT]


def test_rules_are_made_once() -> None:
    of = rules_for(given(common={"channel": "C0COMMON"}))
    assert of(TABLED) is of(TABLED)
    assert of(None) is of(None)


def test_a_run_is_stale_once_it_has_waited_so_long_and_never_where_nothing_is() -> None:
    assert rules_for(given(common={"stale_after": "2h"}))(OTHER).stale_before(NOON) == NOON - 2 * HOUR
    assert rules_for(given(common={"stale_after": "never"}))(OTHER).stale_before(NOON) is None
