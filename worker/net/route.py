"""How a service is reached: through which proxy, and whose certificates count beside the machine's own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import certifi

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""Where systems keep the certificates of authorities, for a Python that was not built on this one."""

HASHED = 8 * "[0-9a-f]" + ".[0-9]*"
"""What a certificate's link in a folder is called that OpenSSL can look one up in."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of the environment; `is_encrypted` is the connection to it. `auth` is a user and a password."""

    host: str
    port: int
    is_encrypted: bool = False
    auth: tuple[bytes, bytes] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """How one service is reached; `certificates` are files and folders that are trusted beside the machine's own."""

    proxy: Proxy | None = None
    certificates: tuple[str, ...] = ()


DIRECT = Route()


@cache
def trust(certificates: tuple[str, ...]) -> ssl.SSLContext:
    """What is trusted: the machine's own authorities, and these. Raises OSError (ssl.SSLError) where one is no good."""
    # Not the standard library's default context, which writes keys to whatever file SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in (*_machine(), *certificates):
        add_trust(context, path)
    return context


def add_trust(context: ssl.SSLContext, path: str) -> None:
    """Trust what is in a file or a folder. Raises OSError (ssl.SSLError) where a file is no good."""
    if Path(path).is_dir():
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def is_hashed(folder: Path) -> bool:
    """Whether a folder holds certificates as OpenSSL looks for them: each under its hash."""
    return any(True for _ in folder.glob(HASHED))


def _machine() -> list[str]:
    """The machine's authorities; those that a package of Python's brings where it has none."""
    paths = ssl.get_default_verify_paths()
    files = (path for path in (paths.openssl_cafile, *BUNDLES) if Path(path).is_file())
    found = [*([first] if (first := next(files, "")) else [])]
    folder = Path(paths.openssl_capath)
    found += [str(folder)] if folder.is_dir() and is_hashed(folder) else []
    return found or [certifi.where()]
