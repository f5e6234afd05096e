"""The names of services and settings stand in what people read, although the middle of the house knows none."""

from __future__ import annotations

import pytest

from worker.core.overview import PLAIN, Area
from worker.core.ports import ConfigError, Trouble
from worker.settings.names import ADVICE, named
from worker.stores import opening


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/directory/worker.db", "mysql://host/name"])
def test_a_database_that_cannot_be_used_is_refused_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opening.open_store(url, migrate=True)
    assert named(str(caught.value)).startswith("WORKER_DATABASE_URL")


def test_every_word_that_the_core_has_no_name_for_is_given() -> None:
    same = [name for name in PLAIN.__struct_fields__ if getattr(PLAIN, name) == getattr(ADVICE, name)]
    assert not same
    assert set(ADVICE.troubles) == set(Trouble)


def test_the_area_of_the_notifier_is_read_by_the_name_that_an_earlier_version_kept() -> None:
    assert Area("slack") is Area.NOTIFIER
    assert ADVICE.area(Area.NOTIFIER) == "slack"
    assert ADVICE.area(Area.QUEUES) == "queues"
