"""The addresses of a host name: looked up for each connection, and remembered for when no name server answers.

A look-up runs in a thread of its own, because the system's resolver has no deadline: two dead name servers cost it ten
seconds. A connection stops waiting at its deadline; the addresses that are found later are there for the next one.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from worker.net.failures import UnnamedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOOK_UP_PATIENCE = 1.0
"""Seconds that a look-up is waited for where addresses are remembered."""

GONE = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Answers that there is no such name: then remembered addresses do not count any more."""

_Place = tuple[str, int]


class Search(Struct):
    """One look-up under way."""

    over: threading.Event = field(default_factory=threading.Event)
    found: list[str] = field(default_factory=list)
    error: str = ""


class Addresses:
    """Finds the addresses of hosts. Thread-safe."""

    def __init__(
        self, look_up: Callable[..., list[Any]] = socket.getaddrinfo, *, patience: float = LOOK_UP_PATIENCE
    ) -> None:
        """`look_up` asks the system; `patience` is how long it is waited for where addresses are remembered."""
        self._look_up = look_up
        self._patience = patience
        self._lock = threading.Lock()
        self._searches: dict[_Place, Search] = {}
        self._known: dict[_Place, list[str]] = {}
        self._worked: dict[str, str] = {}

    def find(self, host: str, port: int, seconds: float) -> list[str]:
        """The addresses of a host, at least one; the one that worked last comes first.

        Raises UnnamedError where none was found within `seconds`.
        """
        if _is_number(host):
            return [host]
        place = (host, port)
        search, is_new = self._search(place)
        known = self._known.get(place)
        # A look-up that others have waited for in vain is not waited for again, where addresses are remembered.
        if not known or is_new:
            search.over.wait(min(seconds, self._patience) if known else seconds)
        found = search.found or self._known.get(place)
        if not found:
            raise UnnamedError(search.error or f"no answer within {seconds:.0f} s")
        return self._best_first(host, found)

    def worked(self, host: str, address: str) -> None:
        """Take note that a connection to an address was made."""
        self._worked[host] = address

    def give_up(self) -> None:
        """Free every thread that waits."""
        with self._lock:
            for search in self._searches.values():
                search.over.set()

    def _best_first(self, host: str, found: list[str]) -> list[str]:
        best = self._worked.get(host)
        return [best, *(each for each in found if each != best)] if best in found else found

    def _search(self, place: _Place) -> tuple[Search, bool]:
        """The look-up of a place that is under way, or a new one."""
        with self._lock:
            if running := self._searches.get(place):
                return running, False
            search = self._searches[place] = Search()
        threading.Thread(target=self._run, args=(place, search), name="look-up", daemon=True).start()
        return search, True

    def _run(self, place: _Place, search: Search) -> None:
        is_gone = False
        try:
            search.found = _ordered(str(each[4][0]) for each in self._look_up(*place, type=socket.SOCK_STREAM))
        except socket.gaierror as error:
            search.error, is_gone = error.strerror or "it failed", error.errno in GONE
        except (OSError, UnicodeError) as error:  # the latter for a name that DNS could not even ask for
            search.error = getattr(error, "strerror", None) or "it is no name that a host can have"
        with self._lock:
            del self._searches[place]
            if search.found:
                self._known[place] = search.found
            elif is_gone:
                self._known.pop(place, None)
        # Last: who is woken by it looks for what was just remembered.
        search.over.set()


def _ordered(addresses: Iterable[str]) -> list[str]:
    """The addresses, each once, of IPv4 and IPv6 in turn."""
    # Where one of the two leads nowhere, the very next address is of the other.
    each = list(dict.fromkeys(addresses))
    first = [address for address in each if (":" in address) == (":" in each[0])]
    others = [address for address in each if address not in first]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address]


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
