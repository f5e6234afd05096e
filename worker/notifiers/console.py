"""Prints messages for people at a terminal instead of posting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console as Screen
from rich.markup import escape
from rich.text import Text

from worker.core.message import fingerprint
from worker.core.model import TEXT_ONLY
from worker.core.owed import Receipt
from worker.core.ports import Limits, always
from worker.core.text import clock_time, flat, time_ago, web_address
from worker.notifiers.rows import DETAILS, Pen, entries
from worker.notifiers.words import context, headline, more, text_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from worker.core.message import Message

PEN = Pen(
    words=lambda raw, limit: escape(flat(raw, limit)),
    code=lambda raw, limit: f"[cyan]{escape(text)}[/cyan]" if (text := flat(raw, limit)) else "",
    link=lambda url, label: f"[link={url}]{escape(label)}[/link]" if _is_plain(url) else escape(label),
    ago=time_ago,
    moment=lambda at, zone, **how: escape(clock_time(at, zone, **how)),
    strike=lambda name: f"[strike]{name}[/strike]",
)
"""Writes rich's markup; whatever comes from outside is escaped."""


class Console:
    """The Notifier that prints. Nothing leaves the machine, and nothing can be looked up later."""

    def __init__(self, screen: Screen | None = None) -> None:
        """Print to `screen`, or to stdout."""
        self._screen = screen or Screen(highlight=False, emoji=False)

    @property
    def limits(self) -> Limits:
        """See `Notifier.limits`."""
        return Limits(name="the terminal", scheme="console")

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:  # noqa: ARG002 - the port's signature
        """Print the message instead of posting it."""
        for row in _rows(message):
            # Unbroken lines: a terminal wraps by itself, and a pipe must not lose or split a word.
            self._screen.print(Text.from_markup(row, emoji=False), soft_wrap=True)
        return Receipt(channel=message.destination.place, ts="0")

    def find(self, message: Message, since: datetime) -> Receipt | None:  # noqa: ARG002 - the port's signature
        """Find nothing, because printed messages are not kept."""
        return None

    def edit(
        self,
        message: Message,
        receipt: Receipt,  # noqa: ARG002 - the port's signature
        in_time: Callable[[], bool] = always,  # noqa: ARG002 - the port's signature
    ) -> None:
        """Print the message as it is now."""
        self.send(message)

    def probe(self) -> None:
        """Do nothing, because there is no token."""

    def fingerprint(self, message: Message) -> str:
        """See `Notifier.fingerprint`."""
        return fingerprint(message)


def _rows(message: Message) -> Iterator[str]:
    called = f", calls {escape(', '.join(message.mention))}" if message.mention else ""
    yield f"[dim]{escape(message.kind)} to {escape(flat(message.destination.place, 80))}{called}[/dim]"
    yield f"[bold]{escape(headline(message))}[/bold]"
    if message.kind in TEXT_ONLY:
        yield from (escape(flat(line, 500)) for line in text_lines(message)[1:])
    standing = context(message, PEN)
    if standing:
        yield standing
    yield from entries(message, DETAILS[0], PEN)
    rest = more(message)
    if rest:
        yield rest
    if message.queue and message.queue.url:
        yield f"[dim]{escape(flat(message.queue.url, 500))}[/dim]"
    yield ""


def _is_plain(url: str) -> bool:
    """Whether a link to `url` cannot end the markup that it stands in."""
    return bool(web_address(url)) and flat(url, len(url)) == url and not set("[] ") & set(url)
