"""Settings that are read again while the service runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.announced import Announced
from tests.support.settings_place import Place
from worker.commands.reloading import Reload
from worker.core.ports import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.settings import Settings


class Watched:
    """A folder of settings, and the watch over its `worker.toml`; `reads` counts how often that was read again."""

    def __init__(self, place: Place) -> None:
        self.place, self.reads = place, 0
        self.environ: dict[str, str] = {}
        self.write("stale_after = '2h'")
        self.incidents = Announced()
        self.reload = Reload(place.load_all(self.environ), self.incidents, self.read)

    def write(self, *lines: str) -> None:
        self.place.write("worker.toml", "\n".join(["[defaults]", *lines]))

    def read(self) -> Settings:
        self.reads += 1
        return self.place.load_all(self.environ)

    def seconds(self, number: int = 3, *, asked: bool = False) -> list[bool]:
        return [self.reload(asked=asked) for _ in range(number)]

    @property
    def stale_after(self) -> float | None:
        after = self.reload.settings.defaults.stale_after
        return after and after.total_seconds() / 3600


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield Watched(Place(tmp_path, tmp_path / "mount"))
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_a_changed_file_is_taken_once_it_is_written(watched: Watched) -> None:
    assert watched.seconds() == [False, False, False]
    watched.write("stale_after = '3h'")
    assert watched.seconds() == [False, True, False]
    assert (watched.stale_after, watched.reads) == (3, 1)


def test_a_file_that_is_replaced_or_behind_a_link_is_followed(watched: Watched) -> None:
    folder = watched.place.directory
    for number in (3, 4):
        (folder / f"new-{number}").write_text(f"[defaults]\nstale_after = '{number}h'\n")
    (folder / "new-3").replace(folder / "worker.toml")
    assert True in watched.seconds()
    assert watched.stale_after == 3
    (folder / "link").symlink_to("new-4")
    (folder / "link").replace(folder / "worker.toml")
    assert True in watched.seconds()
    assert watched.stale_after == 4


def test_a_bad_file_changes_nothing_and_is_an_incident_until_it_is_good_again(watched: Watched) -> None:
    watched.write("stale_after = '3 hours'", "remind_every = 'x'")
    assert True not in watched.seconds()
    assert watched.stale_after == 2
    text, fix = watched.incidents.lasting["settings_refused"]
    assert "worker.toml: defaults.stale_after: '3 hours'" in text
    assert "and 1 more" in text
    assert fix == "correct it; the worker takes it by itself"
    assert watched.reads == 1
    watched.write("stale_after = '2h'")
    assert True not in watched.seconds()
    assert watched.incidents.lasting == {}


def test_a_signal_reads_them_at_once_and_what_is_the_same_restarts_nothing(watched: Watched) -> None:
    assert watched.seconds(1, asked=True) == [False]
    watched.write("stale_after = '3h'")
    assert watched.seconds(1, asked=True) == [True]
    assert watched.seconds() == [False, False, False]


def test_what_needs_a_restart_stays_and_is_said(watched: Watched) -> None:
    watched.environ = {"WORKER_HTTP_ADDRESS": "127.0.0.1:9999", "WORKER_STALE_AFTER": "5h"}
    assert watched.seconds(1, asked=True) == [True]
    assert (watched.reload.settings.http_address, watched.stale_after) == (None, 5)
    assert watched.incidents.lasting["settings_need_restart"][0].startswith("WORKER_HTTP_ADDRESS changed")
    watched.environ = {}
    assert watched.seconds(1, asked=True) == [True]
    assert watched.incidents.lasting == {}


def test_a_file_that_goes_is_a_change_too(watched: Watched) -> None:
    (watched.place.directory / "worker.toml").unlink()
    assert True in watched.seconds()
    assert watched.stale_after == 4


def test_an_error_beside_the_settings_is_not_taken_for_one(watched: Watched) -> None:
    def broken() -> Settings:
        raise ConfigError("a")

    watched.reload = Reload(watched.reload.settings, watched.incidents, broken)
    assert watched.seconds(1, asked=True) == [False]
    assert "a" in watched.incidents.lasting["settings_refused"][0]
