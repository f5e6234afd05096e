"""A collection of which nothing is kept: its elements are made whenever it is gone through. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

_T = TypeVar("_T")


class Remade(Collection[_T]):
    """As many elements as `make` gives at each call. Each time they are others, and equal."""

    def __init__(self, count: int, make: Callable[[], Iterator[_T]]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[_T]:
        return self._make()

    def __contains__(self, one: object) -> bool:
        return any(each == one for each in self)
