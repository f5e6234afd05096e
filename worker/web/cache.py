"""Keeps what took time to make for a moment. Not thread-safe."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from worker.core.ports import Clock

_T = TypeVar("_T")

FRESH_SECONDS = 1.0
"""The time for which a value is kept that was made at once."""

_SHARE = 20.0
"""What took long to make is kept for so many times as long, so that making it never takes more than its share."""

_MOST = 64


class Cache:
    """A bounded set of values by their keys."""

    def __init__(self, clock: Clock, seconds: float = FRESH_SECONDS) -> None:
        """Begin with nothing; a value is kept for so many seconds at least."""
        self._clock = clock
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[float, object]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value that was made for a key a moment ago, else the one that `make` makes now."""
        began = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None and began < kept[0]:
            return cast("_T", kept[1])
        value = make()
        ended = self._clock.monotonic()
        self._kept.pop(key, None)
        self._kept[key] = ended + max(self._seconds, _SHARE * (ended - began)), value
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return value
