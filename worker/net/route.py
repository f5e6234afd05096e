"""Routes to services: through which proxy, and with which certificates beside the machine's own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import certifi
from msgspec import Struct

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""The files in which systems keep the certificates of authorities, for a Python that was not built on this one."""

HASHED = 8 * "[0-9a-f]" + ".[0-9]*"
"""The names of certificates in a folder in which OpenSSL can look one up."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of the environment; `is_encrypted` is the connection to it. `auth` is a user and a password."""

    host: str
    port: int
    is_encrypted: bool = False
    auth: tuple[bytes, bytes] | None = field(default=None, repr=False)


class Route(Struct, frozen=True):
    """The route to one service; `certificates` are files and folders that are trusted beside the machine's own."""

    proxy: Proxy | None = None
    certificates: tuple[str, ...] = ()


DIRECT = Route()


@cache
def trust(certificates: tuple[str, ...]) -> ssl.SSLContext:
    """A context that trusts the machine's own authorities and these. Raises OSError (ssl.SSLError) for a bad one."""
    # Not the standard library's default context, which writes keys to whatever file SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in (*_machine(), *certificates):
        add_trust(context, path)
    return context


def add_trust(context: ssl.SSLContext, path: str) -> None:
    """Trust the certificates in a file or a folder. Raises OSError (ssl.SSLError) for a bad file."""
    if Path(path).is_dir():
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def is_hashed(folder: Path) -> bool:
    """Whether a folder holds certificates under their hashes, where OpenSSL looks for them."""
    return any(True for _ in folder.glob(HASHED))


def _machine() -> list[str]:
    """The paths of the machine's authorities, or of those of the package certifi where it has none."""
    paths = ssl.get_default_verify_paths()
    files = (path for path in (paths.openssl_cafile, *BUNDLES) if Path(path).is_file())
    found = [*([first] if (first := next(files, "")) else [])]
    folder = Path(paths.openssl_capath)
    found += [str(folder)] if folder.is_dir() and is_hashed(folder) else []
    return found or [certifi.where()]
