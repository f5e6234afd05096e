"""Addresses of the services, of the links and of our own health page. Pure.

Functions raise ValueError as those of `worker.settings.values` do.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from worker.settings.values import one_line, one_line_list

if TYPE_CHECKING:
    from pathlib import Path

_API_HOST = re.compile(r"(?P<region>(?:[a-z0-9-]+\.)?)api\.smith\.langchain\.com")
_WEB_HOST = re.compile(r"(?P<region>(?:[a-z0-9-]+\.)?)smith\.langchain\.com")
_API_PATH = re.compile(r"(?:/api(?:/v1)?)?/*$")
_PAGE = re.compile(r"/o(?:/.*)?$")
"""The part after the root in the address of a page: every page belongs to an organisation."""

_LABELS = r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?"
_HOST_PORT = re.compile(rf"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>{_LABELS}|\*?)):(?P<port>\d{{1,5}})", re.ASCII)
_HOST_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)
_LAST_PORT = 65535
_DOTTED_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_CANNOT_BE = "has a host or port that is not possible; write an address such as https://host:8443"


def endpoint(value: object, *, allow_http: bool) -> str:
    """LangSmith's API root without a trailing `/`, `/api` or `/api/v1`."""
    parts = _root(value, allow_http=allow_http)
    host = parts.hostname or ""
    if (web := _WEB_HOST.fullmatch(host)) and not _API_HOST.fullmatch(host):
        api = f"https://{web['region']}api.smith.langchain.com"
        raise ValueError(f"is where LangSmith's pages are, not its API; write {api}")
    return urlunsplit(parts._replace(path=_API_PATH.sub("", parts.path).rstrip("/")))


def web_root(endpoint: str) -> str | None:
    """The root of LangSmith's pages that belongs to an API root; None where it cannot be derived.

    A self-hosted LangSmith serves both from one root, unless its API has a host of its own (`api.…`).
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if known := _API_HOST.fullmatch(host):
        return f"https://{known['region']}smith.langchain.com"
    if "api" in host.split(".") or host.endswith(".langchain.com"):
        return None
    return endpoint


def web_url(value: object, *, allow_http: bool) -> str:
    """The root of LangSmith's pages, without a trailing `/`; of a page's address the root alone is taken."""
    parts = _address(value, allow_http=allow_http)
    return urlunsplit(parts._replace(path=_PAGE.sub("", parts.path).rstrip("/"), query="", fragment=""))


def slack_root(value: object, *, allow_http: bool) -> str:
    """The root of Slack's API methods, with the trailing `/` that slack-sdk wants."""
    parts = _root(value, allow_http=allow_http)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/"))


def heartbeat(value: object, *, allow_http: bool) -> SecretStr:
    """An address to report to. It is a secret, because it is all that is needed to report."""
    parts = _address(value, allow_http=allow_http)
    return SecretStr(urlunsplit(parts))


def host_and_port(value: object) -> tuple[str, int]:
    """The address to listen on: `127.0.0.1:8814`, `[::1]:8814`, `:8814`; the host comes back without brackets.

    `*` stands for all addresses of this machine: `:8814`, `*:8814`.
    """
    match = _HOST_PORT.fullmatch(one_line(value))
    if match is None or not 0 < int(match["port"]) <= _LAST_PORT:
        raise ValueError(
            f"is not host:port with a port from 1 to {_LAST_PORT}; "
            "write 127.0.0.1:8814 for this machine alone, :8814 for others too"
        )
    if match["v6"]:
        _check_ipv6(match["v6"])
    return match["v6"] or match["host"] or "*", int(match["port"])


def host_names(value: object) -> tuple[str, ...]:
    """Names of hosts, in lower case; `*.example.com` for all below it."""
    given = tuple(word.lower().removesuffix(".") for word in one_line_list(value))
    if not all(_HOST_NAME.fullmatch(name) for name in given):
        raise ValueError(
            "has something that is not the name of a host; write names alone, such as notifier.example.com or "
            "*.example.com"
        )
    return given


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as far as its name shows."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Names below it mean this machine, too, whatever a server of names says (RFC 6761).
        return host == "localhost" or host.endswith(".localhost")


def _root(value: object, *, allow_http: bool) -> SplitResult:
    parts = _address(value, allow_http=allow_http)
    if parts.query or parts.fragment:
        raise ValueError("has more than a root (a ? or a #); write it without")
    return parts


def _address(value: object, *, allow_http: bool) -> SplitResult:
    given = one_line(value)
    parts = _split(given)
    if not given.isascii() or " " in given:
        raise ValueError("contains a space or a character outside ASCII; write it percent-encoded")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a whole address; write one that begins with https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("contains a user or a password; write it without")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        raise ValueError(
            "would send secrets unencrypted; write https://, or set WORKER_ALLOW_HTTP=true if that is meant"
        )
    if ("[" in parts.netloc or _DOTTED_NUMBERS.fullmatch(parts.hostname)) and not _is_ip(parts.hostname):
        raise ValueError(_CANNOT_BE)
    return parts._replace(netloc=parts.netloc.lower())


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(given: str) -> SplitResult:
    try:
        parts = urlsplit(given)
        # A port is only judged when it is read.
        _ = parts.port
    except ValueError:
        raise ValueError(_CANNOT_BE) from None
    return parts


def _check_ipv6(host: str) -> None:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError("is not an IPv6 address in its brackets; write one such as [::1]:8814") from None


SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"

_SCHEMES = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    "postgres": POSTGRESQL,
    "postgresql": POSTGRESQL,
    POSTGRESQL: POSTGRESQL,
}
_REST = re.compile(
    # Without a user only where SQLAlchemy finds none either: of `u:0?@@host` it makes a password, not a port.
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@|(?![^:/]*(?::[^@]*)?@))"
    r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^\[\]:/?@\s]*)(?::(?P<port>\d{1,5}))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
_SECRET_PARAMETERS = frozenset({"password", "sslpassword"})


def database_url(value: object, *, directory: Path) -> str:
    """A SQLAlchemy URL of SQLite, its file absolute (a relative one begins at `directory`), or of PostgreSQL."""
    scheme, separator, rest = one_line(value).partition("://")
    kind = _SCHEMES.get(scheme.casefold())
    if not separator or kind is None:
        raise ValueError(
            "is neither SQLite nor PostgreSQL by psycopg; "
            "write sqlite:///worker.db or postgresql+psycopg://user:password@host/name"
        )
    return _sqlite(rest, directory) if kind == SQLITE else _postgresql(rest)


def passwords(url: str) -> tuple[str, ...]:
    """Every secret string inside a database URL: passwords as they are written and as they are meant."""
    match = _REST.fullmatch(url.partition("://")[2])
    if match is None or not url.startswith(POSTGRESQL):
        return ()
    # As written, since an error may quote the URL, and decoded, since a driver may quote what it made of it.
    parameters = [item.partition("=") for item in (match["query"] or "").split("&")]
    written = [match["password"] or "", *(value for name, _, value in parameters if name in _SECRET_PARAMETERS)]
    meant = [unquote(match["password"] or "")]
    meant += [value for name, value in parse_qsl(match["query"] or "") if name in _SECRET_PARAMETERS]
    return tuple(dict.fromkeys(word for word in (*written, *meant) if word))


def _sqlite(rest: str, directory: Path) -> str:
    path = unquote(rest.removeprefix("/"))
    if path in {"", ":memory:"} or path.startswith("file:") or "mode=memory" in path:
        raise ValueError(
            "keeps the database in memory, where every restart would forget it and announce everything again; "
            "name a file: sqlite:///worker.db"
        )
    if not rest.startswith("/"):
        raise ValueError("has two slashes, and names a host with that; write three: sqlite:///worker.db")
    if "?" in rest or path.endswith("/"):
        raise ValueError("does not name a file alone; write sqlite:///worker.db or sqlite:////var/lib/worker/worker.db")
    return sqlite_url(directory / path)


def sqlite_url(file: Path) -> str:
    """The URL of a database file."""
    # SQLAlchemy decodes what follows a %, and takes what follows a ? for options.
    return f"{SQLITE}:///{str(file).replace('%', '%25').replace('?', '%3F')}"


def _postgresql(rest: str) -> str:
    if " " in rest or not _REST.fullmatch(rest):
        raise ValueError(
            "cannot be parsed; write postgresql+psycopg://user:password@host:5432/name, "
            "with @ : / ? % and spaces in the password percent-encoded (%40 %3A %2F %3F %25 %20)"
        )
    return f"{POSTGRESQL}://{rest}"
