"""Reports our state to systemd by its notify protocol; does nothing without systemd."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

LONGEST_STATUS = 500
MOST_DIGITS = 18  # longer is what systemd writes for ever


class Notify:
    """Datagrams to the service manager. Never raises, so that the work goes on without it."""

    def __init__(self, address: str | None, watchdog: timedelta | None = None) -> None:
        """`address` is a path, or begins with `@` for an abstract socket; `watchdog` is the time that systemd waits."""
        self._address = address
        self.watchdog = watchdog

    def ready(self) -> None:
        """Report that settings and database are good and the loops run."""
        self._report("READY=1")

    def status(self, text: str) -> None:
        """Report one line for `systemctl status`."""
        line = " ".join(text.split())[:LONGEST_STATUS]
        self._report(f"STATUS={line}")

    def alive(self) -> None:
        """Report that the loops make progress."""
        if self.watchdog is not None:
            self._report("WATCHDOG=1")

    def stopping(self) -> None:
        """Report that a clean stop has begun."""
        self._report("STOPPING=1")

    def _report(self, message: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), address)
        except OSError as error:
            log.debug("systemd_not_notified", message=message.partition("=")[0], error=str(error))


def from_environ(environ: Mapping[str, str], pid: int) -> Notify:
    """Read systemd's socket and watchdog time from the environment."""
    # A watchdog for another process is inherited by a child, and is not ours.
    micros = environ.get("WATCHDOG_USEC", "")
    ours = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    number = int(micros) if micros.isdecimal() and len(micros) <= MOST_DIGITS else 0
    watchdog = timedelta(microseconds=number) if ours and number else None
    return Notify(environ.get("NOTIFY_SOCKET"), watchdog)
