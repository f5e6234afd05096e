"""The sockets to listen on: one for each address that a setting means."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from worker.core.ports import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection

_EVERYWHERE = frozenset({"*", "::"})
"""Hosts that mean each address of this machine, of both families where there are both."""

WAITING = 1024
"""Connections that the kernel keeps until they are accepted: a probe that finds no place is repeated a second later."""

_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""Errors of a family or an address that this machine lacks, such as IPv6 where it is switched off."""

_FIXES = {
    errno.EADDRINUSE: "another program has it (`ss -ltnp` shows which): end that, or choose another port",
    errno.EACCES: "this user may not use that port: choose one above 1023",
    errno.EADDRNOTAVAIL: "this machine has no such address: write :8814 for all that it has, 127.0.0.1:8814 for itself",
}
_NO_NAME = "no address belongs to that name: correct it, or write an address such as 127.0.0.1:8814"
_OTHER = "choose a free port above 1023, or an address of this machine"


def listen(address: tuple[str, int]) -> list[socket.socket]:
    """Listen on host and port (0 takes a free one). Raises ConfigError."""
    try:
        return _listen(*address)
    except UnicodeError:  # a name that DNS cannot have
        raise ConfigError(f"WORKER_HTTP_ADDRESS: {address[0]} is not the name of a host; {_NO_NAME}") from None
    except OSError as error:
        host, port = address
        fix = _NO_NAME if isinstance(error, socket.gaierror) else _FIXES.get(error.errno or 0, _OTHER)
        raise ConfigError(
            f"WORKER_HTTP_ADDRESS: cannot listen on {host} port {port} ({error.strerror}); {fix}"
        ) from error


def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host that this machine has. Raises OSError where it has none."""
    absent: OSError | None = None
    with ExitStack() as opened:
        found: list[socket.socket] = []
        for family, place in _places(host, port):
            try:
                found.append(opened.enter_context(_socket(family, place)))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
        if not found:
            raise absent or OSError(errno.EADDRNOTAVAIL, "no address")
        opened.pop_all()
        return found


def _places(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    if host in _EVERYWHERE:
        return [(socket.AF_INET, ("0.0.0.0", port)), (socket.AF_INET6, ("::", port))]  # noqa: S104 - as it was set
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _socket(family: socket.AddressFamily, place: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        made.bind(place)
        made.listen(WAITING)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


PRIVATE = ("localhost", "localdomain", "local", "internal", "svc", "home.arpa")
"""Ends of names that are in no public register; `cluster.local` of Kubernetes has one of them."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:/@\s]*))(?::\d*)?", re.ASCII)


def is_expected(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names us: by an address, by a private name, or by one of `names`, as `*.…` all below."""
    # A page in a browser could be made to read ours under a public name of its own. A request without the header, as
    # very old clients send it, does not come from a browser.
    match = _HOST.fullmatch(host.strip())
    if match is None:
        return False
    if match["v6"]:
        return _is_address(match["v6"])
    name = match["name"].lower().removesuffix(".")
    return "." not in name or _is_address(name) or _is_private(name) or _is_among(name, names)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_private(name: str) -> bool:
    return name.endswith(tuple(f".{end}" for end in PRIVATE))


def _is_among(name: str, names: Collection[str]) -> bool:
    return any(name == known or (known.startswith("*.") and name.endswith(known[1:])) for known in names)


def refuse_unusable_address(address: tuple[str, int]) -> None:
    """Raise ConfigError for an address at which the pages cannot be served now."""
    for listener in listen(address):
        listener.close()
