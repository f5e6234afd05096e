"""The process: its signals, a standard error that never makes a writer wait, and modules that it does without.

Imports next to nothing, so that all can be in place first. The reader of a log may stop reading: a full pipe, a log
driver that blocks, a terminal that was halted, a full disk.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType


SLICE = 0.1
"""Seconds after which a wait looks again."""

MOST_NOTED = 8
"""More signals than these between two looks are one flood."""


class Stop:
    """An event that a signal's handler may set."""

    def __init__(self) -> None:
        """Begin unset."""
        # Not a threading.Event: its lock is held for an instant of each wait, and a handler that interrupts the main
        # thread just there would wait for that lock for ever. Here there is no lock, but a look ten times a second.
        self._is_set = False
        self._noted: deque[str] = deque(maxlen=MOST_NOTED)

    def set(self) -> None:
        """Ask for the end. Safe in a signal's handler, whatever it interrupts."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._is_set

    def note(self, name: str) -> None:
        """Keep the name of a signal that ends nothing. Safe in a signal's handler."""
        # Kept and logged later: logging takes locks, which the interrupted thread may hold.
        self._noted.append(name)

    def noted(self) -> Iterator[str]:
        """Each name that was noted, once."""
        while self._noted:
            yield self._noted.popleft()

    def wait(self, seconds: float) -> bool:
        """Wait for `seconds` at most; returns whether the end was asked for."""
        left = seconds
        while left > 0 and not self._is_set:
            time.sleep(min(left, SLICE))
            left -= SLICE
        return self._is_set


STOP = Stop()
"""Set by the first signal; the second one ends the process as it would have done without us."""

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
NOTED = (signal.SIGUSR1, signal.SIGUSR2)


def catch_signals(*, service: bool = False) -> None:
    """Turn the first SIGTERM, SIGINT or SIGQUIT, and a terminal that is closed, into a clean stop.

    For a `service`, SIGHUP means a closed terminal only where its input is one. Elsewhere it asks services to read
    their settings again, and is only noted.
    """
    handlers: dict[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], None]] = dict.fromkeys(
        ENDING, _stop
    )
    if service:
        handlers |= dict.fromkeys(NOTED, _note)
        handlers[signal.SIGTTOU] = signal.SIG_IGN  # a log to a terminal from the background must not halt the work
    # `nohup` has made us ignore it: that must stay so.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        handlers[signal.SIGHUP] = _note if service and not os.isatty(0) else _hang_up
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # The process that started us may have blocked signals, and that is inherited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)


def _stop(_number: int, _frame: FrameType | None) -> None:
    STOP.set()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _hang_up(_number: int, _frame: FrameType | None) -> None:
    # The default is not restored as in _stop: the shell and the kernel each report the same closed terminal.
    STOP.set()


def _note(number: int, _frame: FrameType | None) -> None:
    STOP.note(signal.Signals(number).name)


_MOST_BYTES = 1 << 20
"""The bytes that are kept for a slow reader; lines that do not fit are counted and dropped."""

RETRY_SECONDS = 1.0
"""The wait before a failed write is repeated: a disk may have room again, a named pipe another reader."""

LAST_SECONDS = 1.0
"""The time that the end of the interpreter waits for lines written since our own end."""


class Outlet(io.TextIOBase):
    """Text to a file descriptor by way of a bounded queue and a thread of its own. Thread-safe.

    A line that does not fit is dropped, and so is every later one until half of the queue is free; in their place
    stands a line that says how many they were. A write that fails is repeated until it works, so that a line is
    either whole or not there.
    """

    def __init__(self, number: int, *, most: int = _MOST_BYTES, retry: float = RETRY_SECONDS) -> None:
        """Write to the file descriptor `number`; at most `most` bytes wait."""
        self._number = number
        self._most = most
        self._retry = retry
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._partial = ""
        self._dropped = 0
        self._lost = 0
        self._changed = threading.Condition(threading.Lock())
        self._writer: threading.Thread | None = None
        self.notice: Callable[[int], str] = _notice
        """Makes the line with the number of dropped ones."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in io
        """The encoding of text."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # a plain attribute in io
        """The treatment of a character that cannot be encoded."""
        return "backslashreplace"

    @property
    def dropped(self) -> int:
        """Lines that were dropped since the start."""
        return self._lost

    def writable(self) -> bool:
        """Whether it can be written to: always."""
        return True

    def isatty(self) -> bool:
        """Whether a terminal is behind it."""
        return os.isatty(self._number)

    def fileno(self) -> int:
        """The file descriptor, by which libraries find the width of the terminal."""
        return self._number

    def write(self, text: str) -> int:
        """Queue every line that is complete; never waits, never fails."""
        with self._changed:
            *lines, self._partial = (self._partial + text).split("\n")
            for line in lines:
                self._put(f"{line}\n")
        return len(text)

    def flush(self) -> None:
        """Queue the rest, too, which is no whole line."""
        with self._changed:
            if self._partial:
                self._put(self._partial)
                self._partial = ""

    def drain(self, patience: float) -> None:
        """Wait until everything is written, but no longer than `patience` seconds without any progress."""
        self.flush()
        with self._changed:
            if self._writer is None:
                self._write_alone()
            while self._lines and self._changed.wait(patience):
                pass

    def _put(self, line: str) -> None:
        """Queue a line. To be called with the lock held."""
        encoded = line.encode(self.encoding, self.errors)
        if self._dropped or self._size + len(encoded) > self._most:
            self._dropped += 1
            self._lost += 1
            return
        self._lines.append(encoded)
        self._size += len(encoded)
        self._begin()
        self._changed.notify_all()

    def _begin(self) -> None:
        """Start the writer with the first line."""
        # Not before: a command that forks would leave the thread behind.
        if self._writer is None:
            self._writer = threading.Thread(target=self._work, name="log", daemon=True)
            try:
                self._writer.start()
            except RuntimeError:  # no thread can be had: the next line tries again
                self._writer = None

    def _write_alone(self) -> None:
        """Write the queue without a thread, where the machine gave us none. To be called with the lock held."""
        with contextlib.suppress(OSError):
            os.write(self._number, b"".join(self._lines))
        self._lines.clear()
        self._size = 0

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._lines))
                line = self._lines[0]
            self._write(line)
            with self._changed:
                self._lines.popleft()
                self._size -= len(line)
                self._own_up()
                self._changed.notify_all()

    def _own_up(self) -> None:
        """Queue the line about missing ones, once there is room. To be called with the lock held."""
        if self._dropped and self._size <= self._most // 2:
            count, self._dropped = self._dropped, 0
            line = self.notice(count).encode(self.encoding, self.errors)
            self._lines.append(line)
            self._size += len(line)

    def _write(self, line: bytes) -> None:
        """Write the whole line, however long that takes."""
        # Not by way of `sys.stderr`, whose lock would hold up the end of the process.
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:  # another process that shares the stream has made it non-blocking
                select.select([], [self._number], [], self._retry)
            except OSError:
                time.sleep(self._retry)


@contextlib.contextmanager
def unwaiting(patience: float) -> Iterator[Outlet]:
    """Put an Outlet in place of `sys.stderr`; at the end the rest is written, as `drain` does."""
    outlet = Outlet(2)
    sys.stderr = outlet
    atexit.register(outlet.drain, LAST_SECONDS)  # the interpreter reports an uncaught bug after our end
    try:
        yield outlet
    finally:
        outlet.drain(patience)


def _notice(count: int) -> str:
    return f"review-notifier: {count} lines of the log are missing here, because it was not read\n"


@contextlib.contextmanager
def without(modules: Mapping[str, Mapping[str, object] | None]) -> Iterator[None]:
    """Let what is imported within the context do without some modules, where they are not there yet.

    None makes their import fail, for libraries that can do without. Otherwise the import gives something that has the
    names, and becomes the module itself once it is asked for another one.
    """
    hidden: dict[str, Any] = {
        name: None if has is None else _Later(name, has) for name, has in modules.items() if name not in sys.modules
    }
    sys.modules.update(hidden)  # None there makes an import fail
    try:
        yield
    finally:
        for name, module in hidden.items():
            if sys.modules.get(name, module) is module:
                sys.modules.pop(name, None)


class _Later(ModuleType):
    """Stands for a module until something is asked for that it does not have."""

    def __init__(self, name: str, has: Mapping[str, object]) -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # asked for by `from … import …`
        vars(self).update(has)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a module holds
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)
