"""Proxies, exemptions and certificates of the environment, by the names that other programs read as well.

Pure, except that it looks at the files that are named.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from worker.net.route import Proxy, Route, add_trust, is_hashed
from worker.settings.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CERTIFICATE_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
CERTIFICATE_FOLDERS = "SSL_CERT_DIR"

_PORTS = {"http": 80, "https": 443}
_SEPARATORS = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment. Its value may hold a password."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """Proxies by the scheme that they are for (`all` for any), hosts that need none, and certificates."""

    proxies: tuple[tuple[str, Variable], ...] = ()
    exempt: tuple[str, ...] = ()
    certificates: tuple[Variable, ...] = ()

    def route(self, root: str) -> Route:
        """The route to a root. Raises ValueError with the variable and the fix where its proxy cannot be used."""
        proxy = self._proxy(root)
        paths = tuple(path for variable in self.certificates for path in _paths(variable))
        return Route(_read(proxy) if proxy else None, paths if is_encrypted(root, proxy) else ())

    def problems(self, root: str) -> Iterator[str]:
        """A line on each variable by which this root cannot be reached."""
        try:
            self.route(root)
        except ValueError as error:
            yield str(error)
        if is_encrypted(root, self._proxy(root)):
            for variable in self.certificates:
                yield from _unusable(variable)

    def secrets(self) -> tuple[str, ...]:
        """The secrets of proxies: passwords, as they are written and as they are meant."""
        found = []
        for _, variable in self.proxies:
            credentials = variable.value.partition("://")[2] or variable.value
            credentials, has, _ = credentials.rpartition("@")
            password = credentials.partition(":")[2]
            found += [credentials, password, unquote_to_bytes(password).decode(errors="replace")] if has else []
        return tuple(word for word in found if word)

    def _proxy(self, root: str) -> Variable | None:
        parts = urlsplit(root)
        host = (parts.hostname or "").rstrip(".")
        if is_loopback(host) or any(_covers(entry, host, parts.port or _PORTS[parts.scheme]) for entry in self.exempt):
            return None
        proxies = dict(self.proxies)
        return proxies.get(parts.scheme) or proxies.get("all")


def network(texts: Mapping[str, str]) -> Network:
    """Take what there is; nothing is judged yet."""
    proxies = [(scheme, _either(texts, f"{scheme}_proxy")) for scheme in (*_PORTS, "all")]
    exempt = _either(texts, "no_proxy")
    certificates = [Variable(name, texts.get(name, "").strip()) for name in (*CERTIFICATE_FILES, CERTIFICATE_FOLDERS)]
    return Network(
        proxies=tuple((scheme, found) for scheme, found in proxies if found),
        exempt=tuple(filter(None, _SEPARATORS.split(exempt.value))) if exempt else (),
        certificates=tuple(variable for variable in certificates if variable.value),
    )


def is_encrypted(root: str, proxy: Variable | None) -> bool:
    """Whether a certificate is looked at on the way there."""
    return root.startswith("https:") or (proxy is not None and proxy.value.lower().startswith("https:"))


def _either(texts: Mapping[str, str], name: str) -> Variable | None:
    """The variable in lower case, else in upper; one in lower case that is empty takes the other's effect away."""
    written = next((each for each in (name, name.upper()) if each in texts), name)
    value = texts.get(written, "").strip()
    return Variable(written, value) if value else None


def _read(variable: Variable) -> Proxy:
    """The proxy that a variable names. Its value is never part of an error: a password may be anywhere in it."""
    scheme, has_scheme, rest = variable.value.partition("://")
    scheme, rest = (scheme.lower(), rest) if has_scheme else ("http", variable.value)
    if scheme not in _PORTS:
        raise ValueError(f"{variable.name}: {_OTHER_KIND}")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        port = _PORTS[scheme] if parts.port is None else parts.port
    except ValueError:
        raise ValueError(f"{variable.name}: {_NO_ADDRESS}") from None
    host = parts.hostname or ""
    if not port or not _is_host(host) or parts.path.strip("/") or parts.query or parts.fragment or "@" in rest[-1:]:
        raise ValueError(f"{variable.name}: {_NO_ADDRESS}")
    return Proxy(host, port, is_encrypted=scheme == "https", auth=_auth(parts.username, parts.password))


_OTHER_KIND = "the proxy is of a kind that is not understood; name one with http:// or https://, or unset the variable"
_NO_ADDRESS = (
    "the value is not a proxy's address; write http://host:port, with @ : / ? # and % in user or password "
    "percent-encoded (%40 %3A %2F %3F %23 %25)"
)


def _auth(user: str | None, password: str | None) -> tuple[bytes, bytes] | None:
    if not user and not password:
        return None
    return unquote_to_bytes(user or ""), unquote_to_bytes(password or "")


def _is_host(host: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9._-]+", host, re.ASCII)) or _address(host) is not None


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of `NO_PROXY` means this host: `*`, a name with those below it, an address, a network."""
    entry = entry.rpartition("://")[2].rstrip("/").lower()
    there, (what, only) = _address(host), _split(entry)
    if only not in {"", str(port)}:
        return False
    if there is not None:
        return what == "*" or _holds(what, there)
    name = what.removeprefix("*").strip(".")
    # `example.com`, `.example.com` and `*.example.com` are the same to other programs, too.
    return what == "*" or (bool(name) and (host == name or host.endswith(f".{name}")))


def _split(entry: str) -> tuple[str, str]:
    """The host or network of an entry, and the port that it is limited to."""
    if entry.startswith("["):
        address, _, rest = entry[1:].partition("]")
        return (address + rest, "") if rest.startswith("/") else (address, rest.removeprefix(":"))
    what, _, port = entry.partition(":")
    # Several colons are those of an IPv6 address, which names a port only behind brackets.
    return (what, port) if entry.count(":") == 1 else (entry, "")


def _holds(network: str, there: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return there in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _paths(variable: Variable) -> list[str]:
    """The files and folders that a variable names: folders are several, and those without certificates do no harm."""
    if variable.name != CERTIFICATE_FOLDERS:
        return [variable.value]
    folders = [folder for folder in variable.value.split(os.pathsep) if folder]
    return [folder for folder in folders if _is_usable(Path(folder))]


def _is_usable(folder: Path) -> bool:
    try:
        return folder.is_dir() and is_hashed(folder)
    except OSError:
        return False


def _unusable(variable: Variable) -> Iterator[str]:
    """A line where a variable names no certificate that can be read."""
    if variable.name == CERTIFICATE_FOLDERS:
        if not _paths(variable):
            fix = "name a folder that `openssl rehash` was run on, or unset the variable"
            yield f"{variable.name}: there are no certificates under their hashes in {variable.value}; {fix}"
        return
    try:
        # Loaded as it will be: only OpenSSL knows what it takes.
        add_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), variable.value)
    except ssl.SSLError:
        what = "holds no certificates in PEM"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    else:
        return
    fix = "name a file of certificates that this user may read, or unset the variable"
    yield f"{variable.name}: the file {variable.value} {what}; {fix}"
