"""The house keeps its rules: each is measured by `tests/house.py`."""

from __future__ import annotations

import re

import pytest

from tests.house import ROOT, TOLD, WORKER, House

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


ROOMS = {
    "core": 37,
    "loops": 20,
    "net": 7,
    "sources": 14,
    "stores": 26,
    "notifiers": 18,
    "settings": 12,
    "web": 20,
    "commands": 32,
    "demo": 23,
}
"""The most files of each folder: a new one has to be worth it (docs/adr/0019-how-large-the-rooms-are.md)."""


def test_a_folder_has_no_more_rooms_than_it_has_subjects(house: House) -> None:
    found = {folder: len(house.within(folder)) for folder in ROOMS}
    assert {folder: count for folder, count in found.items() if count > ROOMS[folder]} == {}
    assert len([room for room in house.filled if room.path.parent == WORKER]) <= 10


def test_a_room_is_large_enough_for_a_subject_and_small_enough_to_be_read_in_one_sitting(house: House) -> None:
    assert {room.name: room.lines for room in house.filled if room.lines > 450} == {}
    assert 130 <= house.median_lines() <= 220
    assert house.preamble_share() <= 0.112
    assert len(house.with_one_importer()) <= 57


def test_functions_are_short(house: House) -> None:
    median, p90 = house.function_lines()
    assert (median <= 10, p90 <= 20) == (True, True)
    assert house.lines_of("worker.loops.poll", "Poll") <= 130


def test_no_room_is_in_a_circle_or_called_by_a_word_that_has_a_better_one(house: House) -> None:
    assert (house.circles(), house.old_names()) == ([], [])


def test_a_public_name_has_one_home(house: House) -> None:
    assert len(house.two_homes()) <= 8, "make it private where no other room needs it"


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
