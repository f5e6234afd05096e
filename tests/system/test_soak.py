"""A short soak; `make soak` is the long one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.soak import Weight, growth, soak

if TYPE_CHECKING:
    from pathlib import Path


def test_many_hours_of_polls_leave_memory_files_and_database_flat(tmp_path: Path) -> None:
    warm, end, sink = soak(500, timedelta(hours=1), tmp_path)
    assert growth(warm, end) == []
    assert sink.posts > 50
    assert sink.edits > 50


def test_growth_is_noticed() -> None:
    warm = Weight(50_000_000, 9, 300_000)
    assert len(growth(warm, Weight(60_000_000, 10, 600_000))) == 3
