"""How the tests are handed out to processes, and what is known of them in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.parallel import Shares

ROOT = Path(__file__).parents[2]
SYSTEM = ROOT / "tests/system"

HERE = """
import os, pytest
from tests.support.parallel import pytest_addoption, pytest_runtestloop

@pytest.fixture(scope="module")
def made():
    yield os.getpid()
    print(f"unmade in {os.getpid()}")
"""
TESTS = """
import os, pytest
STARTED = os.environ["STARTED_BY"]

@pytest.mark.parametrize("number", range(20))
def test_passes(number, made, tmp_path):
    assert made == os.getpid() != int(STARTED)

def test_fails(): print("what it said"); assert 1 == 2

def test_dies(): os._exit(3)

@pytest.mark.skip(reason="not today")
def test_is_skipped(): pass
"""


@dataclass(frozen=True)
class Item:
    path: Path
    name: str
    marks: tuple[tuple[str, float], ...] = ()

    def get_closest_marker(self, name: str) -> Any:
        return next((pytest.mark.long(value).mark for mark, value in self.marks if mark == name), None)


def items(name: str, count: int, folder: Path = ROOT, **marks: float) -> list[Any]:
    return [Item(folder / name, str(number), tuple(marks.items())) for number in range(count)]


def taken(shares: Shares, **how: Any) -> list[str]:
    return [f"{item.path.name} {item.name}" for item in shares.take(how.pop("after", None), **how)]


def test_what_waits_longest_begins_first_in_processes_that_do_not_compute() -> None:
    usual, long = items("usual", 1, SYSTEM), items("long", 1, SYSTEM, long=40)
    shares = Shares([*items("unit", 1), *usual, *long])
    assert [taken(shares, computes=False) for _ in range(4)] == [["long 0"], ["usual 0"], ["unit 0"], []]


def test_a_process_that_computes_helps_to_wait_when_nothing_is_left_to_compute() -> None:
    shares = Shares([*items("usual", 1, SYSTEM), *items("unit", 1)])
    assert [taken(shares, computes=True) for _ in range(3)] == [["unit 0"], ["usual 0"], []]


def test_a_process_stays_in_a_module_another_begins_the_next_and_the_last_helps() -> None:
    shares = Shares([*items("a", 3), *items("b", 3)])
    first = taken(shares, computes=True)
    assert (first, taken(shares, computes=True)) == (["a 0"], ["b 0"])
    assert taken(shares, after=ROOT / "a", computes=True) == ["a 1"]
    assert taken(shares, computes=True) == ["b 1"]


def test_what_shares_something_dear_stays_together() -> None:
    shares = Shares(items("a", 3, together=1))
    assert taken(shares, computes=True) == ["a 0", "a 1", "a 2"]


def test_many_quick_tests_are_handed_out_at_once_and_fewer_towards_the_end() -> None:
    shares = Shares(items("a", 100))
    sizes = []
    while some := taken(shares, computes=True):
        sizes.append(len(some))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (9, 1, 100)


def test_what_becomes_of_each_test_is_known_also_where_one_takes_its_process_along(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HERE)
    (tmp_path / "test_some.py").write_text(TESTS)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}  # noqa: TID251 - of a process that is started
    options = ["-p", "no:xdist", "-p", "no:cacheprovider", "-n", "3", f"--rootdir={tmp_path}", "-rA"]
    command = ["-c", "import os, sys, pytest; os.environ['STARTED_BY'] = str(os.getpid()); sys.exit(pytest.main())"]
    ended = subprocess.run(
        [sys.executable, *command, *options], cwd=tmp_path, env=env, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1, ended.stderr
    assert "2 failed, 20 passed, 1 skipped" in ended.stdout
    assert "the process of this test ended with status 3" in ended.stdout
    assert "what it said" in ended.stdout
    assert "not today" in ended.stdout
