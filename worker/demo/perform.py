"""Plays the story scene by scene, and says on the terminal what happens meanwhile. All of it in one thread."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from worker.demo.stage import Chapter, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.core.ports import Clock
    from worker.demo.scenario import Scene
    from worker.demo.slack_workspace import Event
    from worker.demo.stage import Stage
    from worker.demo.terminal import Terminal
    from worker.signals import Stop

PATIENCE = 45.0
"""Seconds that a scene's outcome is waited for."""

LOOK_SECONDS = 0.1


class EndedError(Exception):
    """Nothing goes on: somebody asked for the end (`str()` is empty), or the worker has ended by itself."""


@dataclass(slots=True)
class Performance:
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
            if not self._wait(partial(scene.until, self.stage), PATIENCE):
                self.missed.append(scene.title)
            self._wait(_never, scene.hold)
            scene.then()
            self._wait(_never, self.stage.tempo.beat)

    def stay(self, chapter: Chapter) -> None:
        """Let people play until the end is asked for. Raises EndedError, always."""
        self._enter(chapter)
        while True:
            self._wait(_never, PATIENCE)

    def _enter(self, chapter: Chapter) -> None:
        self.stage.chapter = chapter
        self.terminal.tell(chapter)

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
            self._say(self.happenings.get(timeout=LOOK_SECONDS))
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
