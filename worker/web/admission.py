"""Decides who may read the page and its API: by a token, as bearer or behind a signed cookie, and by `Origin`. Pure."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.web.exchange import PageRequest

COOKIE = "review_notifier"
SIGNED_IN_FOR = timedelta(days=7)
"""The time for which a browser that has shown the token need not show it again; it is not prolonged by use."""

CLOSED = (
    "this page is closed: it would be open to everyone who reaches this address, which is not loopback. Set "
    "WORKER_HTTP_TOKEN, which the page asks for then, or WORKER_HTTP_OPEN=true, or let WORKER_HTTP_ADDRESS begin with "
    "127.0.0.1; /livez, /readyz and /metrics work as ever"
)

_PORTS = {"http": 80, "https": 443}
_BEARER = "bearer "


class Admission(Struct, frozen=True):
    """What has to be shown to read the page.

    Where `token` is empty nothing is, but on an address that is not loopback (`is_local` is False) the page is open
    only if the settings say so (`is_open`). `hosts` are the public names of the page.
    """

    token: str = ""
    is_open: bool = False
    is_local: bool = True
    hosts: Collection[str] = ()

    @property
    def is_closed(self) -> bool:
        """Whether nobody may read it."""
        return not (self.token or self.is_open or self.is_local)

    def has_shown(self, request: PageRequest, now: datetime) -> bool:
        """Whether a request comes with what is asked for."""
        if not self.token:
            return not self.is_closed
        given = request.header("authorization")
        if given[: len(_BEARER)].lower() == _BEARER:
            return self.is_token(given[len(_BEARER) :].strip())
        return any(self._is_good(value, now) for value in _cookies(request))

    def is_token(self, given: str) -> bool:
        """Whether it is the token; how long that takes says nothing about it."""
        return bool(self.token) and hmac.compare_digest(_digest(given), _digest(self.token))

    def cookie(self, now: datetime, *, is_secure: bool) -> str:
        """The header that lets a browser in until it expires. The token is not in it, nor follows from it."""
        until = int((now + SIGNED_IN_FOR).timestamp())
        age = int(SIGNED_IN_FOR.total_seconds())
        return _set_cookie(f"{until}.{self._signature(until)}", age, is_secure=is_secure)

    def _is_good(self, value: str, now: datetime) -> bool:
        until, _, signature = value.partition(".")
        if not (until.isascii() and until.isdecimal() and len(until) <= len("9999999999")):
            return False
        is_ours = hmac.compare_digest(signature.encode(), self._signature(int(until)).encode())
        return is_ours and now < datetime.fromtimestamp(int(until), UTC)

    def _signature(self, until: int) -> str:
        # By the token itself, so that another token ends every session, and workers that share one accept each other's.
        return hmac.new(self.token.encode(), f"{COOKIE}.{until}".encode(), hashlib.sha256).hexdigest()

    def is_foreign(self, request: PageRequest) -> bool:
        """Whether a request was made by a page of another site."""
        origin = request.header("origin")
        if not origin:
            return False
        try:
            parts = urlsplit(origin)
            host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            return True
        # A proxy in front of us may ask by another name than the browser did: then that one is among the `hosts`.
        return not host or (not _is_host(request.header("host"), host, port) and not self._is_known(host))

    def _is_known(self, host: str) -> bool:
        return any(host == known or (known.startswith("*.") and host.endswith(known[1:])) for known in self.hosts)


def signed_out(*, is_secure: bool) -> str:
    """The header that takes the cookie back."""
    return _set_cookie("", 0, is_secure=is_secure)


def is_secure(request: PageRequest) -> bool:
    """Whether the browser asked by TLS, as far as the proxy in front of us says so."""
    return request.header("x-forwarded-proto").strip().lower() == "https"


def _set_cookie(value: str, age: int, *, is_secure: bool) -> str:
    return f"{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict" + ("; Secure" if is_secure else "")


def _cookies(request: PageRequest) -> list[str]:
    """The values of our cookie; a browser may send several, set for other paths or by other programs of this host."""
    pairs = (pair.partition("=") for pair in request.header("cookie").split(";"))
    return [value.strip() for name, _, value in pairs if name.strip() == COOKIE]


def _is_host(header: str, host: str, port: int) -> bool:
    """Whether a `Host` header names this host and port; without a port it has that of its scheme."""
    try:
        parts = urlsplit(f"//{header.strip()}")
        ports = (parts.port,) if parts.port else _PORTS.values()
    except ValueError:
        return False
    return parts.hostname == host and port in ports


def _digest(text: str) -> bytes:
    # Of one length, whatever was given; and of any characters.
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
