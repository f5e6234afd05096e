"""The house keeps its rules: each is measured by `tests/house.py`."""

from __future__ import annotations

import pytest

from tests.house import House

ADVICE = (
    "name no vendor and no setting in {folder}/. Say `the source`, `the notifier`, `the settings`; a sentence that is "
    "shown to people gets the name from `core/advice.py`, whose words stand in `settings/advice.py`, or from "
    "`Notifier.limits.name`"
)


@pytest.fixture(scope="module")
def house() -> House:
    return House()


@pytest.mark.parametrize("folder", ["core", "loops", "stores", "net"])
def test_the_middle_of_the_house_names_no_vendor_and_no_setting(house: House, folder: str) -> None:
    lines = [line for line in house.vendors_in_the_middle() if line.startswith(f"worker/{folder}/")]
    assert not lines, "\n".join([ADVICE.format(folder=folder), *lines])
