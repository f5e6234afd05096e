"""The lines of `check`."""

from __future__ import annotations

from worker.core.overview import Finding


def test_a_line_that_finds_all_well_has_no_fix() -> None:
    assert Finding("settings", ok=True, text="complete").fix == ""
