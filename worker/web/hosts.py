"""Which names a request may have asked for us by. Pure.

A page of anybody in a browser within our network may ask us under its own name, once that name has become our address
(DNS rebinding). Such a name has to be a public one: addresses and names that only a private network knows are safe.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

PRIVATE = ("localhost", "localdomain", "local", "internal", "svc", "home.arpa")
"""Ends of names that no public register gives away; `cluster.local` of Kubernetes is one of them."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:/@\s]*))(?::\d*)?", re.ASCII)


def is_expected(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names us: by an address, by a private name, or by one of `names` (`*.…` for all below).

    A request without one, as very old clients send it, is no browser's.
    """
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
