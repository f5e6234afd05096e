"""Failures: every kind of reason for which no answer comes. Pure.

The texts are our own, with the reason that the system or a certificate's check gives: those of the libraries below may
quote a header or an address, and with it a secret.
"""

from __future__ import annotations

import ssl
from enum import StrEnum
from typing import TYPE_CHECKING

import httpcore
import httpx

if TYPE_CHECKING:
    from typing import Self


class FailureKind(StrEnum):
    """The kind of reason why there is no answer; the folder of each service decides what it means there."""

    TOO_LATE = "too_late"  # the caller wanted it out by then, or not at all
    NAME = "name"  # the host's name has no address that could be found
    CONNECT = "connect"  # nothing takes the connection
    CERTIFICATE = "certificate"  # the server cannot prove that it is that host
    TLS = "tls"  # the server speaks no TLS that we speak
    PROXY = "proxy"  # the proxy of the environment does not let us through
    DEADLINE = "deadline"  # no whole answer in time
    BROKEN = "broken"  # the connection broke, or what came is no HTTP
    ENCODING = "encoding"  # packed in a way that was not asked for
    UNREADABLE = "unreadable"  # the packed body is broken
    TOO_LARGE = "too_large"  # a body over the cap


class NetError(Exception):
    """No answer. `str()` is a clause without any secret.

    `has_begun` says whether the request had begun to go out: where it had not, the service surely knows nothing of it.
    """

    def __init__(self, kind: FailureKind, text: str, *, has_begun: bool = True) -> None:
        """Keep the kind of failure, a text without any secret, and how far the request came."""
        super().__init__(text)
        self.kind = kind
        self.has_begun = has_begun


class TooLateError(Exception):
    """A request that must not go out any more."""


class UnnamedError(httpcore.ConnectError):
    """A host name without an address that could be found."""


class HandshakeError(httpcore.ConnectError):
    """No encrypted connection to a host."""

    def __init__(self, host: str, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.host = host
        self.kind = kind

    @classmethod
    def of(cls, host: str, error: Exception) -> Self:
        """The error of a handshake, with its reason."""
        # The library below keeps the reason as the cause of its own exception.
        cause = error.__cause__ or error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cls(host, FailureKind.CERTIFICATE, cause.verify_message.rstrip("."))
        reason = (cause.reason or "") if isinstance(cause, ssl.SSLError) else ""
        otherwise = "no answer" if isinstance(error, httpcore.ConnectTimeout) else "it broke off"
        return cls(host, FailureKind.TLS, reason.lower().replace("_", " ") or otherwise)


FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
    UnicodeError,
    TooLateError,
)
"""The errors of the libraries below, and ours among them, that mean that no answer comes."""


def described(error: Exception, *, place: str, seconds: float) -> tuple[FailureKind, str]:
    """The kind and the text of an error of the libraries below; `place` is the server or proxy that we connect to."""
    match error:
        case UnnamedError():
            found = FailureKind.NAME, f"the name of {place} cannot be looked up ({error})"
        case HandshakeError(kind=FailureKind.CERTIFICATE):
            found = FailureKind.CERTIFICATE, f"the certificate of {error.host} is not trusted ({error})"
        case HandshakeError():
            found = FailureKind.TLS, f"no encrypted connection to {error.host} can be made ({error})"
        case httpcore.ProxyError():
            found = FailureKind.PROXY, f"{place} answered {_status(error)}"
        case httpcore.ConnectTimeout():
            found = FailureKind.CONNECT, f"cannot connect to {place} (no answer)"
        case httpcore.ConnectError():
            found = FailureKind.CONNECT, f"cannot connect to {place} ({error})"
        case httpcore.TimeoutException() | TimeoutError():
            found = FailureKind.DEADLINE, f"no whole answer within {seconds:g} s"
        case _:
            found = FailureKind.BROKEN, f"the connection broke ({type(error).__name__})"
    return found


def _status(error: httpcore.ProxyError) -> str:
    """The status that a proxy answered, in words."""
    # The number alone: the rest of the line is the proxy's own text.
    status = str(error)[:3]
    wants = {"407": " (it wants another user or password)", "403": " (it does not allow this address)"}
    return f"{status}{wants.get(status, '')}" if status.isdecimal() else "something else than HTTP"


def with_reason(error: httpcore.ConnectError) -> httpcore.ConnectError:
    """The same error with the system's reason as its text."""
    # The pool raises it again without its cause.
    cause = error.__cause__
    return httpcore.ConnectError((cause.strerror if isinstance(cause, OSError) else None) or "it broke off")
