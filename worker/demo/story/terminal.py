"""Shows the demo's story on the terminal: the scenes, each message as it is posted, a summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from worker.demo.story import cast
from worker.demo.story.scenario import EXPECTED
from worker.demo.story.stage import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from worker.demo.slack.workspace import Event
    from worker.demo.story.stage import Chapter, Said, Stage

COLOURS = {
    "baseline": "blue",
    "announcement": "cyan",
    "reminder": "yellow",
    "escalation": "red",
    "direct": "magenta",
    "ops": "red",
}
_REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


class Terminal:
    """Prints to one console, from one thread."""

    def __init__(self, console: Console) -> None:
        """Nothing is printed yet."""
        self._console = console

    def open(self, address: str | None) -> None:
        """Say what this is, and where the page is (None: there is none)."""
        lines = [
            Text("The real worker polls a simulated LangSmith and posts to a simulated Slack, all on this machine."),
            Text("No key, no account; intervals are shortened. Ctrl-C ends it and leaves nothing behind."),
        ]
        if address:
            lines.append(Text.assemble("Watch and play along: ", (address, "bold underline")))
        title = Text("LangSmith Review Notifier, demo", style="bold")
        self._print(Panel(Text("\n").join(lines), title=title, title_align="left", expand=False))

    def announce(self, chapter: Chapter) -> None:
        """A new scene."""
        step = f"{chapter.step}/{chapter.of} " if chapter.step else ""
        self._print()
        self._print(Text.assemble((f"{step}{chapter.title}. ", "bold"), chapter.text))

    def show(self, event: Event) -> None:
        """Something happened in Slack."""
        if event.kind == "post":
            self._post(event.channel, event.message)
        elif event.kind == "edit":
            line = Text(without_markup(event.message["text"]).partition("\n")[0])
            self._print(Text.assemble(("  edited ", "dim"), (f"{cast.PLACES[event.channel]}: ", "bold"), line))

    def say(self, said: Said) -> None:
        """The worker speaks of trouble, or of its end."""
        self._print(Text(f"  worker: {said.text}", style="dim"))

    def summarize(self, stage: Stage) -> bool:
        """Count what was posted; whether every kind was posted as often as the story has it, and no other."""
        table = Table(title="What people saw: each message once, none twice", title_justify="left", title_style="bold")
        for heading in ("where", "kind"):
            table.add_column(heading)
        for heading in ("posted", "in the story"):
            table.add_column(heading, justify="right")
        table.add_column("")
        counted = {(channel, kind): stage.seen("post", channel, kind) for channel, kind in _every(stage)}
        for (channel, kind), posted in counted.items():
            expected = EXPECTED.get((channel, kind), 0)
            well = ("✓", "green") if posted == expected else ("differs", "red")
            name = (cast.PLACES[channel], COLOURS.get(kind, ""))
            table.add_row(Text(*name), kind, str(posted), str(expected), Text(*well))
        self._print()
        self._print(table)
        return all(posted == EXPECTED.get(key, 0) for key, posted in counted.items())

    def farewell(self, text: str) -> None:
        """One last line, or one before it is the user's turn."""
        self._print()
        self._print(Text(text, style="bold"))

    def _post(self, channel: str, message: dict[str, Any]) -> None:
        kind = kind_of(message)
        where = " (in the thread)" if message.get("thread_ts", message["ts"]) != message["ts"] else ""
        title = Text.assemble((cast.PLACES[channel], "bold"), f" · {kind}{where}")
        self._print(
            Panel(
                Text(without_markup(message["text"])),
                title=title,
                title_align="left",
                border_style=COLOURS.get(kind, ""),
                expand=False,
            )
        )

    def _print(self, *what: RenderableType) -> None:
        self._console.print(*what, highlight=False, markup=False, emoji=False)


def without_markup(text: str) -> str:
    """A message's `text` without Slack's markup: names for ids, labels for links."""
    named = _REFERENCE.sub(lambda match: _named(match[1], match[2] or ""), text)
    return named.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _named(aim: str, label: str) -> str:
    if aim.startswith("!subteam^"):
        return f"@{cast.NAMES.get(aim.removeprefix('!subteam^'), aim)}"
    if aim.startswith("@"):
        return f"@{cast.NAMES.get(aim[1:], aim[1:])}"
    return label or aim


def _every(stage: Stage) -> Iterable[tuple[str, str]]:
    """The places and kinds that were expected, and those that were not and yet occurred."""
    posted = [(channel, kind_of(message)) for channel, messages in stage.messages().items() for message in messages]
    return dict.fromkeys([*EXPECTED, *posted])
