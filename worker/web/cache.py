"""Keeps what took time to make for a moment. One thread makes; another may ask for what is `kept`."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from worker.core.ports import Clock

_T = TypeVar("_T")

FRESH_SECONDS = 1.0
"""The time for which a value is kept that was made at once."""

_SHARE = 20.0
"""Every value is kept for so many times as long as making all of them takes: so that is their share of the time."""

_FORGOTTEN_SECONDS = 60.0
"""The time after which a value that is out of date, and that nobody has asked for, does not count any more."""

STALE_SECONDS = 5.0
"""The time for which a value that is out of date is still given while it is made again, if that does not take long."""

_MAKES = 5.0
"""So many times as long as it took to make, a value is given meanwhile: where all is slow, making it again is, too."""

_MOST = 64


class NotKeptError(Exception):
    """There is no such value, or it is too old."""


class _Kept(NamedTuple):
    value: object
    cost: float
    until: float


class Cache:
    """A bounded set of values by their keys."""

    def __init__(self, clock: Clock, seconds: float = FRESH_SECONDS) -> None:
        """Begin with nothing; a value is kept for so many seconds at least."""
        self._clock = clock
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._wanted: set[Hashable] = set()
        """The values that somebody was asked to make again."""

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value that was made for a key a moment ago, else the one that `make` makes now."""
        began = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None and began < kept.until:
            return cast("_T", kept.value)
        value = make()
        self._keep(key, value, began)
        return value

    def kept(self, key: Hashable) -> tuple[object, bool]:
        """The value that was made for a key, and whether it is for the asker to have it made again. From any thread.

        One that is just out of date is given as well, for once with that wish. Raises NotKeptError.
        """
        now, kept = self._clock.monotonic(), self._kept.get(key)
        if kept is None or now >= kept.until + max(STALE_SECONDS, _MAKES * kept.cost):
            raise NotKeptError
        is_wanted = now >= kept.until and key not in self._wanted
        if is_wanted:
            self._wanted.add(key)
        return kept.value, is_wanted

    def _keep(self, key: Hashable, value: object, began: float) -> None:
        ended = self._clock.monotonic()
        self._kept.pop(key, None)
        for other in [other for other, kept in self._kept.items() if kept.until + _FORGOTTEN_SECONDS < ended]:
            del self._kept[other]
        # By the cost of all: by its own alone, many values would take as many shares.
        cost = ended - began
        together = cost + sum(kept.cost for kept in self._kept.values())
        self._kept[key] = _Kept(value, cost, ended + max(self._seconds, _SHARE * together))
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        self._wanted.discard(key)
