"""How large each measurement is: as it is published, or just large enough to see that it works. Pure."""

from __future__ import annotations

from dataclasses import dataclass

KILOBYTE = 1000


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of every case. Rows in bytes before packing, durations in seconds."""

    repeats: int
    queues: int
    runs: int
    row: int
    steady_queues: int
    steady_interval: int
    steady_for: int
    large_runs: int
    large_row: int
    history: tuple[int, ...]
    history_polls: int
    kept: tuple[int, ...]
    kept_steps: int
    saturated: int
    notices: int
    arrivals: int
    interval: int
    workers: tuple[int, ...]
    worker_queues: int
    workers_for: int
    owned_runs: int
    owned_for: int
    planned: int
    planned_runs: int


FULL = Scale(
    repeats=3,
    queues=200,
    runs=500,
    row=25 * KILOBYTE,
    steady_queues=1000,
    steady_interval=60,
    steady_for=120,
    large_runs=100_000,
    large_row=3 * KILOBYTE,
    history=(0, 100_000, 1_000_000),
    history_polls=200,
    kept=(0, 100_000),
    kept_steps=100,
    saturated=600,
    notices=1000,
    arrivals=100,
    interval=5,
    workers=(1, 2, 4),
    worker_queues=200,
    workers_for=60,
    owned_runs=10_000,
    owned_for=30,
    planned=10_000,
    planned_runs=60,
)

QUICK = Scale(
    repeats=1,
    queues=4,
    runs=150,
    row=3 * KILOBYTE,
    steady_queues=20,
    steady_interval=1,
    steady_for=2,
    large_runs=1000,
    large_row=3 * KILOBYTE,
    history=(0, 2000),
    history_polls=5,
    kept=(0, 2000),
    kept_steps=5,
    saturated=10,
    notices=20,
    arrivals=3,
    interval=1,
    workers=(1, 2),
    worker_queues=6,
    workers_for=3,
    owned_runs=500,
    owned_for=3,
    planned=100,
    planned_runs=10,
)
