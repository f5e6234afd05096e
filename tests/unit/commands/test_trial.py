"""The channels in which `test` posts where none is given: all that the settings alone may send something to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_place import Place
from worker.commands.trial import channels_set

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """
[[queues]]
queue = "A"
channel = "C0TABLE0000"
"""


@pytest.mark.parametrize(
    ("given", "toml", "channels"),
    [
        ({}, "", []),
        ({"WORKER_CHANNEL": "C0DEFAULT00"}, "", ["C0DEFAULT00"]),
        ({"WORKER_CHANNEL": "C0DEFAULT00", "WORKER_QUEUES": "A, B"}, "", ["C0DEFAULT00"]),
        ({"WORKER_CHANNEL": "C0DEFAULT00"}, TABLE, ["C0TABLE0000"]),
        ({"WORKER_CHANNEL": "C0DEFAULT00", "WORKER_QUEUES": "all"}, TABLE, ["C0TABLE0000", "C0DEFAULT00"]),
        ({"WORKER_CHANNEL": "C0DEFAULT00", "WORKER_ESCALATE_TO": "C0LEADS0000"}, "", ["C0DEFAULT00"]),
        (
            {"WORKER_CHANNEL": "C0D", "WORKER_ESCALATE_TO": "C0L", "WORKER_ESCALATE_AFTER": "1d"},
            "",
            ["C0D", "C0L"],
        ),
        ({"WORKER_CHANNEL": "C0D", "WORKER_OPS_CHANNEL": "C0OPS000000"}, "", ["C0D", "C0OPS000000"]),
    ],
)
def test_every_channel_that_may_be_posted_to_is_tried(
    tmp_path: Path, given: dict[str, str], toml: str, channels: list[str]
) -> None:
    place = Place(tmp_path, tmp_path / "mount")
    place.write("worker.toml", toml)
    assert list(dict.fromkeys(each.place for each in channels_set(place.load(given)))) == channels
