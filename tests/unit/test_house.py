"""The house keeps its rules: each is measured by `tests/house.py`."""

from __future__ import annotations

import re

import pytest

from tests.house import ROOT, TOLD, House

ADVICE = (
    "name no vendor and no setting in {folder}/. Say `the source`, `the notifier`, `the settings`; a sentence that is "
    "shown to people gets the name from `Advice` in `core/overview.py`, whose words stand in `settings/names.py`, or "
    "from `Notifier.limits.name`"
)


@pytest.fixture(scope="module")
def house() -> House:
    return House()


@pytest.mark.parametrize("folder", ["core", "loops", "stores", "net"])
def test_the_middle_of_the_house_names_no_vendor_and_no_setting(house: House, folder: str) -> None:
    lines = [line for line in house.vendors_in_the_middle() if line.startswith(f"worker/{folder}/")]
    assert not lines, "\n".join([ADVICE.format(folder=folder), *lines])


def test_notify_announce_report_show_and_mean_are_said_rather_than_one_word_for_all(house: House) -> None:
    assert house.count(TOLD) <= 20


def test_comments_say_why_in_two_of_a_hundred_lines(house: House) -> None:
    assert house.comment_share() >= 2


DEFINED = re.compile(
    r"^(?:class \w*Clock\b(?!\(FakeClock\))|def (?:queue_run|review|delivery)\(|(?:NOON|SECOND|MINUTE|HOUR|DAY) =)",
    re.MULTILINE,
)
SHARED = {
    "clock.py": ["class FakeClock"],
    "builders.py": [
        *(f"{name} =" for name in ("NOON", "SECOND", "MINUTE", "HOUR", "DAY")),
        *(f"def {name}(" for name in ("queue_run", "review", "delivery")),
    ],
}


def test_the_tests_have_one_clock_one_noon_and_one_builder_of_each() -> None:
    homes = {file.name: DEFINED.findall(file.read_text()) for file in (ROOT / "tests").rglob("*.py")}
    assert {home: names for home, names in homes.items() if names} == SHARED, "import it from tests/support"
