"""A short soak; `make soak` is the long one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.soak import MINUTE, Pace, Weight, growth, soak

if TYPE_CHECKING:
    from pathlib import Path


def test_many_hours_of_polls_leave_memory_files_and_database_flat(tmp_path: Path) -> None:
    warm, end, sink = soak(160, Pace(step=15 * MINUTE, comes_every=2, keep=timedelta(hours=3)), tmp_path)
    assert growth(warm, end) == []
    assert end.objects - warm.objects < 600
    assert sink.posts > 50
    assert sink.edits > 50


def test_growth_is_noticed() -> None:
    warm = Weight(50_000_000, 300_000, 9, 300_000)
    assert len(growth(warm, Weight(60_000_000, 303_000, 10, 600_000))) == 4
