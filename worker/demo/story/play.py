"""The `demo` command: sets the stage, starts the real worker before it, plays the story, clears everything away."""

from __future__ import annotations

import contextlib
import queue
import signal
import tempfile
import webbrowser
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from rich.console import Console

from worker import process
from worker.clock import SystemClock
from worker.core.ports import ConfigError
from worker.demo.langsmith.server import SERVICE_KEY
from worker.demo.process import running
from worker.demo.serve import serving
from worker.demo.story import cast
from worker.demo.story.page import DemoPage
from worker.demo.story.scenario import Scenario
from worker.demo.story.stage import Chapter, Said, Stage
from worker.demo.story.terminal import Terminal
from worker.logs import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from worker.core.ports import Clock
    from worker.demo.process import LogLine, Running
    from worker.demo.slack.workspace import Event
    from worker.demo.story.scenario import Scene
    from worker.process import Stop

DONE, FAILED = 0, 1
YOUR_TURN = Chapter(
    "The story is over",
    "Now play yourself: take a run by its menu, write /reviews, add a run and let it grow stale, complete it, put "
    "it back, break a service and heal it.",
    over=True,
)
_QUIET = frozenset({"debug", "info"})
_LOUD_EVENTS = frozenset({"queue_recovered", "destination_works_again"})


def play(*, fast: bool, port: int, open_browser: bool) -> int:
    """Run the demo; its exit status.

    `fast` plays the story once, without the page; the exit status shows whether all of it was seen as it should be.
    Else the page is on `port` of loopback (0: a free one) until SIGINT, SIGTERM or SIGHUP. Raises ConfigError where the
    port is taken.
    """
    _mind_signals()
    stage = Stage(SystemClock(), cast.FAST if fast else cast.CALM)
    terminal = Terminal(Console())
    story = Scenario(stage)
    with contextlib.ExitStack() as stack:
        address = None if fast else stack.enter_context(serving_page(stage, port=port))
        terminal.open(address)
        happenings: queue.SimpleQueue[Event | Said] = queue.SimpleQueue()
        worker = stack.enter_context(worker_before(stage, happenings, web=address))
        if address and open_browser:
            webbrowser.open(address)
        performance = Performance(stage, terminal, stage.clock, process.STOP, worker.ended, happenings)
        return _perform(performance, story, worker, stay=not fast)


def _perform(performance: Performance, story: Scenario, worker: Running, *, stay: bool) -> int:
    """Play to the end, whatever ends it."""
    terminal, stage = performance.terminal, performance.stage
    try:
        performance.play(story.scenes())
        well = terminal.summarize(stage) and not performance.missed
        if stay:
            performance.stay(YOUR_TURN)
    except EndedError as end:
        terminal.farewell(str(end) or "Stopping; nothing stays behind.")
        asked_for = stay and not str(end)
        return DONE if worker.stop() == 0 and asked_for else FAILED
    for title in performance.missed:
        terminal.farewell(f"Not seen in time: {title}.")
    return DONE if worker.stop() == 0 and well else FAILED


@contextlib.contextmanager
def serving_page(stage: Stage, *, port: int) -> Iterator[str]:
    """Serve the page; its address. Raises ConfigError where the port is taken."""
    page = DemoPage(stage)
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(serving(page.app, port=port))
        except OSError as error:
            raise ConfigError(
                f"Port {port} cannot be used ({error.strerror}): give another --port, 0 for any"
            ) from None
        stack.callback(page.close)
        yield address


@contextlib.contextmanager
def worker_before(stage: Stage, happenings: queue.SimpleQueue[Event | Said], *, web: str | None) -> Iterator[Running]:
    """The real worker before both simulators, in a folder of its own that goes with it.

    `happenings` gets what is seen in Slack and what the worker says of trouble; `web` is the root of links (None: none
    that is of use).
    """
    with (
        tempfile.TemporaryDirectory(prefix="review-notifier-demo-") as folder,
        serving(stage.langsmith.app) as langsmith,
        serving(stage.slack.app) as slack,
    ):
        directory = Path(folder)
        config = directory / "worker.toml"
        opens_at = stage.clock.now() + timedelta(seconds=stage.tempo.opens)
        toml = cast.worker_toml(stage.tempo, rag_id=str(stage.queues[cast.RAG]), opens_at=opens_at)
        config.write_text(toml, encoding="utf-8")
        settings = {
            "LANGSMITH_API_KEY": SERVICE_KEY,
            "LANGSMITH_ENDPOINT": langsmith,
            "LANGSMITH_WEB_URL": f"{web or langsmith}/langsmith",
            "SLACK_BOT_TOKEN": stage.slack.token,
            "SLACK_APP_TOKEN": stage.slack.app_token,
            "SLACK_BASE_URL": f"{slack}/api/",
            "WORKER_CONFIG": str(config),
            "WORKER_DATABASE_URL": f"sqlite:///{directory / 'worker.db'}",
            "WORKER_LOG_FORMAT": "json",
        }
        stage.slack.subscribe(happenings.put)
        with running(directory, settings, _hear(stage, happenings)) as worker:
            yield worker


def _hear(stage: Stage, happenings: queue.SimpleQueue[Event | Said]) -> Callable[[LogLine], None]:
    """Keep each line of the worker's for the page; what is more than routine is said on the terminal too."""

    def hear(line: LogLine) -> None:
        level = str(line.get("level", "info"))
        said = stage.say(level, sentence(line, cast.PLACES))
        if level not in _QUIET or line.get("event") in _LOUD_EVENTS:
            happenings.put(said)

    return hear


def _mind_signals() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal end everything in good order."""
    process.catch_signals()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))


_PATIENCE = 45.0
"""Seconds that a scene's outcome is waited for."""

_LOOK_SECONDS = 0.1


class EndedError(Exception):
    """Nothing goes on: somebody asked for the end (`str()` is empty), or the worker has ended by itself."""


class Performance(Struct):
    """One playing of the story.

    `happenings` is what was seen and said since, in order; `ended` is the worker's exit status (None: it runs).
    `missed` are the scenes whose outcome did not come.
    """

    stage: Stage
    terminal: Terminal
    clock: Clock
    stop: Stop
    ended: Callable[[], int | None]
    happenings: queue.SimpleQueue[Event | Said]
    missed: list[str] = field(default_factory=list)

    def play(self, scenes: Sequence[Scene]) -> None:
        """Play every scene. Raises EndedError."""
        for number, scene in enumerate(scenes, 1):
            self._enter(Chapter(scene.title, scene.text, number, len(scenes)))
            scene.act()
            if not self._wait(partial(scene.until, self.stage), _PATIENCE):
                self.missed.append(scene.title)
            self._wait(_never, scene.hold)
            scene.then()
            self._wait(_never, self.stage.tempo.beat)

    def stay(self, chapter: Chapter) -> None:
        """Let people play until the end is asked for. Raises EndedError, always."""
        self._enter(chapter)
        while True:
            self._wait(_never, _PATIENCE)

    def _enter(self, chapter: Chapter) -> None:
        self.stage.chapter = chapter
        self.terminal.announce(chapter)

    def _wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Say what happens until a condition holds, for so many seconds at most; whether it came to hold."""
        deadline = self.clock.monotonic() + seconds
        while not until():
            if self.clock.monotonic() >= deadline:
                return False
            self._listen()
        self._catch_up()
        return True

    def _listen(self) -> None:
        """Say what happens next, if anything does soon."""
        if self.stop.is_set():
            raise EndedError
        if (status := self.ended()) is not None:
            self._catch_up()
            raise EndedError(f"The worker ended by itself, with status {status}.")
        try:
            self._say(self.happenings.get(timeout=_LOOK_SECONDS))
        except queue.Empty:
            return

    def _catch_up(self) -> None:
        """Say what has happened already."""
        while not self.happenings.empty():
            self._say(self.happenings.get())

    def _say(self, happening: Event | Said) -> None:
        if isinstance(happening, Said):
            self.terminal.say(happening)
        else:
            self.terminal.show(happening)


def _never() -> bool:
    return False
