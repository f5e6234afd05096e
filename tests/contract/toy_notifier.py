"""A notifier in one file: it appends a line a message to a file. It cannot look up, edit or answer in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.owed import Receipt
from worker.core.ports import DeliveryError, Limits, Outcome, always

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from worker.core.message import Message


class Toy:
    """Writes to `file`, unless it `refuses`; the next answers are lost where `lose` says how many."""

    limits = Limits(name="the file", scheme="file", can_find=False, can_edit=False, can_thread=False)

    def __init__(self, file: Path) -> None:
        self._file = file
        self.lose = 0
        self.refuses = False

    @property
    def lines(self) -> list[str]:
        return self._file.read_text().splitlines() if self._file.exists() else []

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        assert message.root is None
        self.probe()
        if not in_time():
            raise DeliveryError("the file was not written in time", Outcome.RETRY)
        shares = (f"{share.waiting} in {share.queue.name}" for share in message.queue_lines)
        names = ", ".join((*(line.facts.name for line in message.lines), *shares))
        with self._file.open("a") as file:
            file.write(f"{message.kind} to {message.destination.place}: {message.text or names}\n")
        if self.lose:
            self.lose -= 1
            raise DeliveryError("nobody knows what became of the line", Outcome.UNKNOWN)
        return Receipt(message.destination.place, f"line {len(self.lines)}")

    def find(self, message: Message, since: datetime) -> Receipt | None:
        raise NotImplementedError

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        raise NotImplementedError

    def probe(self) -> None:
        if self.refuses:
            raise DeliveryError("the file is locked", Outcome.TOKEN)

    def fingerprint(self, message: Message) -> str:
        return repr(message)
