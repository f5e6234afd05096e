"""Large collections in portions that every database takes as parameters of one statement. Pure."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

CHUNK = 1000
"""Far below the parameters that SQLite (32,766 by default) and PostgreSQL (65,535) allow in one statement."""


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut into lists of at most `size`, in order; nothing for nothing."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some
