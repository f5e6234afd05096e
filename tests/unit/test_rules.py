"""The rules of a queue: one value of the settings, which a new setting reaches without a line in between."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import pytest
from pydantic import PlainValidator

from tests.support.builders import HOUR, MINUTE, NOON, queue, to
from tests.support.clock import FakeClock
from tests.support.settings_place import COMPLETE, Place
from worker import app, rules, service
from worker.core.model import Kind, Queue
from worker.rules import rules_for, rules_of
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
    of = rules_for(MoreSettings([{"directory": Path(), "common": {"quiet_for": "1h"}, "tables": tables}]), FakeClock())
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
    of = rules_for(settings, FakeClock())
    assert of(TABLED).settings.poll_interval == MINUTE / 2
    assert [(step.kind, step.after, step.destination) for step in of(TABLED).policy.steps] == [
        (Kind.ANNOUNCEMENT, timedelta(0), to("C0COMMON")),
        (Kind.ESCALATION, HOUR, to("C0COMMON")),
    ]
    assert of(OTHER).settings == of(None).settings == settings.defaults
    assert [step.kind for step in of(OTHER).policy.steps] == [Kind.ANNOUNCEMENT]


def test_rules_are_made_once() -> None:
    of = rules_for(given(common={"channel": "C0COMMON"}), FakeClock())
    assert of(TABLED) is of(TABLED)
    assert of(None) is of(None)


def test_a_run_is_stale_once_it_has_waited_so_long_and_never_where_nothing_is() -> None:
    assert rules_for(given(common={"stale_after": "2h"}), FakeClock())(OTHER).stale_before(NOON) == NOON - 2 * HOUR
    assert rules_for(given(common={"stale_after": "never"}), FakeClock())(OTHER).stale_before(NOON) is None


HOURS = {"zone": "Europe/Berlin", "hours": "Mon-Fri 09:00-17:30"}


def test_a_day_of_the_ladder_is_an_open_day_of_the_queues_calendar() -> None:
    tables = [{"queue": "Support QA", "calendar": "nights"}, {"queue": "other", "calendar": "always"}]
    nights = {"hours": "22:00-06:00", "zone": "Europe/Berlin"}
    common = {"remind_every": "1d", "escalate_after": "2d1h", "edit_for": "1d", "stale_after": "24h"}
    layer = {"common": common, "tables": tables, "calendars": {"nights": nights}} | HOURS
    of = rules_for(given(**layer), FakeClock())
    for of_one, day in ((of(None), 8.5 * HOUR), (of(TABLED), 8 * HOUR), (of(OTHER), 24 * HOUR)):
        settings = of_one.settings
        assert (settings.remind_every, settings.escalate_after) == (day, 2 * day + HOUR)
        assert (settings.stale_after, settings.edit_for) == (24 * HOUR, 24 * HOUR)
        assert of_one.calendar.usual_day == day
        assert [step.after for step in of_one.policy.steps][1:] == [24 * HOUR, 2 * day + HOUR]


def test_a_day_is_24_hours_for_escalations_that_hours_do_not_hold() -> None:
    settings = given(common={"escalate_after": "1d", "remind_every": "1d"}, **HOURS).defaults
    urgent = rules_of(
        settings.model_copy(update={"escalate_outside_hours": True}),
        rules_for(given(**HOURS), FakeClock())(None).calendar,
    )
    assert (urgent.settings.escalate_after, urgent.settings.remind_every) == (24 * HOUR, 8.5 * HOUR)
    assert [step.calendar.is_always for step in urgent.policy.steps] == [False, False, True]


def test_a_run_is_stale_by_open_time() -> None:
    of = rules_for(given(common={"stale_after": "2h"}, **HOURS), FakeClock())
    monday_ten, friday_half_past_four = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 2, 27, 15, 30, tzinfo=UTC)
    assert of(OTHER).stale_before(monday_ten) == friday_half_past_four


def test_at_new_year_a_calendar_has_the_days_off_of_one_more_year() -> None:
    clock = FakeClock(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    of = rules_for(given(holidays="FR", **HOURS), clock)
    before = of(OTHER)
    assert before.calendar.years == (2025, 2028)
    assert of(OTHER) is before
    clock.advance(MINUTE)
    assert of(OTHER).calendar.years == (2026, 2029)
    assert max(day.day.year for day in of(OTHER).calendar.holidays) == 2029
    assert [step.after for step in before.policy.steps] == [step.after for step in of(OTHER).policy.steps]


def test_with_a_budget_of_nothing_everything_goes_to_the_channels() -> None:
    common = {"channel": "C0COMMON", "people": "assigned", "tell": "direct"}
    of = rules_for(given(common=common, nag_per_person_day=0), FakeClock())
    assert of(OTHER).policy_for(OTHER).turns is None
    assert rules_for(given(common=common), FakeClock())(OTHER).policy_for(OTHER).turns is not None
