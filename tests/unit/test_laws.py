"""The laws themselves: wherever they are tried, they explore, and print what reproduces a failure."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import engine

LAW = """
import tests.support.laws
from hypothesis import given, settings, strategies as st

settings.register_profile("shorter", max_examples=5)
settings.load_profile("shorter")

@given(st.integers())
def law(number):
    print(number)

law()
"""
DEFECT = """
import tests.support.laws
from hypothesis import given, strategies as st

@given(st.integers())
def law(number):
    assert number < 1000

law()
"""
MACHINE = """
import tests.support.laws
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

class Machine(RuleBasedStateMachine):
    @rule(number=st.integers())
    def law(self, number):
        assert number < 1000

run_state_machine_as_test(Machine)
"""


@cache
def tried(script: str, variable: str) -> subprocess.CompletedProcess[str]:
    command = ["env", f"{variable}=true", sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS"])
def test_two_runs_in_ci_try_different_examples_also_below_a_profile_of_ones_own(variable: str) -> None:
    first, second = tried(LAW, variable), tried.__wrapped__(LAW, variable)  # the second is no remembered one
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(first.stdout.split()) == len(second.stdout.split()) == 5
    assert first.stdout != second.stdout


@pytest.mark.parametrize("script", [DEFECT, MACHINE], ids=["law", "state machine"])
def test_a_failure_in_ci_prints_what_reproduces_it(script: str) -> None:
    failed = tried(script, "CI")
    assert failed.returncode == 1
    assert "@reproduce_failure(" in failed.stderr + failed.stdout


@pytest.mark.parametrize(("script", "law"), [(DEFECT, "@given("), (MACHINE, "class ")], ids=["law", "state machine"])
def test_the_line_above_a_law_or_a_state_machine_replays_the_failure(script: str, law: str) -> None:
    failed = tried(script, "CI")
    line = re.search(r"@reproduce_failure\(.*?\)", failed.stderr + failed.stdout)
    assert line
    above = f"from hypothesis import reproduce_failure\n{line[0]}\n{law}"
    replayed = tried(script.replace(law, above, 1), "CI")
    assert replayed.stderr.endswith("AssertionError\n")
    assert "@reproduce_failure(" not in replayed.stderr


def test_no_profile_hurries_or_repeats_itself() -> None:
    for profile in (settings.get_profile("ci"), settings.get_profile("default"), settings()):
        assert (profile.derandomize, profile.deadline, profile.print_blob) == (False, None, True)


def test_a_failure_is_made_small_in_less_time_than_a_test_may_take(pytestconfig: pytest.Config) -> None:
    assert float(pytestconfig.getini("timeout")) > engine.MAX_SHRINKING_SECONDS
