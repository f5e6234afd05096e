"""Runs that are made from their rows only when somebody looks at them: an unchanged listing needs none. Pure."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import msgspec

from worker.core.model import QueueRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from uuid import UUID


class Sighting(msgspec.Struct, frozen=True):
    """A run as one page shows it. `mark` condenses what `core.diff.digest` looks at; `make` gives the run itself."""

    queue_run_id: UUID
    mark: int
    make: Callable[[], QueueRun]


class Unread(msgspec.Struct, frozen=True):
    """What is known of a list whose pages are as they were: how many runs, the first of them, and how to `read` it."""

    count: int
    first: UUID | None
    read: Callable[[], Runs]


class Runs(MutableMapping["UUID", QueueRun]):
    """Runs by `queue_run_id`, in the order of their first sight, each made when it is first asked for.

    Those of an unread list are read when somebody wants more than their number or the first one's id; then this raises
    what reading them does.
    """

    def __init__(self, unread: Unread | None = None) -> None:
        self._unread = unread
        self._read: dict[UUID, QueueRun | Callable[[], QueueRun]] = {}

    @property
    def _found(self) -> dict[UUID, QueueRun | Callable[[], QueueRun]]:
        if self._unread is not None:
            found: Runs = self._unread.read()
            self._read, self._unread = found._found, None
        return self._read

    @property
    def is_unread(self) -> bool:
        """Whether nobody has looked at more than how many there are, and which is the first."""
        return self._unread is not None

    @property
    def first(self) -> UUID | None:
        """The id of the run that was seen first; None where there is none."""
        return next(iter(self._found), None) if self._unread is None else self._unread.first

    def sight(self, sighting: Sighting) -> None:
        """Take a run in, in place of an earlier sight of it."""
        self._found[sighting.queue_run_id] = sighting.make

    def adopt(self, other: Runs) -> None:
        """Take in what another listing shows and this one does not."""
        self._read = self._found | {key: found for key, found in other._found.items() if key not in self._found}

    def __getitem__(self, key: UUID) -> QueueRun:
        found = self._found[key]
        if isinstance(found, QueueRun):
            return found
        self._found[key] = run = found()
        return run

    def __setitem__(self, key: UUID, run: QueueRun) -> None:
        self._found[key] = run

    def __delitem__(self, key: UUID) -> None:
        del self._found[key]

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found) if self._unread is None else self._unread.count


class InOrder(Sequence[QueueRun]):
    """The runs of a mapping as a sequence; making them waits for the first look at one of them."""

    def __init__(self, runs: Mapping[UUID, QueueRun]) -> None:
        self._runs = runs

    @cached_property
    def _made(self) -> tuple[QueueRun, ...]:
        return tuple(self._runs.values())

    @overload
    def __getitem__(self, index: int) -> QueueRun: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[QueueRun]: ...
    def __getitem__(self, index: int | slice) -> QueueRun | Sequence[QueueRun]:
        return self._made[index]

    def __iter__(self) -> Iterator[QueueRun]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._runs)
