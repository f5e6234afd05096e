"""A demo without its story, for a browser: the real worker before a quiet stage, and Chromium in front of the page."""

from __future__ import annotations

import queue
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import sync_playwright

from tests.system.process import wait_for
from worker.clock import SystemClock
from worker.demo.serve import serving
from worker.demo.story import cast
from worker.demo.story.play import serving_page, worker_before
from worker.demo.story.scenario import Scenario
from worker.demo.story.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from playwright.sync_api import Browser

    from worker.demo.process import Running
    from worker.demo.story.cast import Tempo, TracedRun

QUIET = cast.Tempo(beat=0.0, support_stale=3600, support_escalate=7200, rag_stale=3600, outage=0.0, opens=3600)
"""Nothing grows stale while a test looks."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: its stage to play on, the page's address, Slack's own API."""

    stage: Stage
    story: Scenario
    worker: Running
    happenings: queue.SimpleQueue[Any]
    address: str
    slack: httpx.Client

    def arrive(self, queue_name: str, trace: TracedRun) -> UUID:
        """Put a run into a queue."""
        return self.stage.arrive(queue_name, [trace])[0]

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Do something in Slack as the app."""
        answer: dict[str, Any] = self.slack.post(method, json=arguments).json()
        assert answer["ok"], answer
        return answer


@contextmanager
def raised(tempo: Tempo = QUIET) -> Iterator[Demo]:
    """A demo whose worker has told what waited from the beginning."""
    stage = Stage(SystemClock(), tempo)
    story = Scenario(stage)
    happenings: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with (
        serving_page(stage, port=0) as address,
        serving(stage.slack.app) as slack,
        httpx.Client(base_url=f"{slack}/api/", headers={"authorization": f"Bearer {stage.slack.token}"}) as client,
        worker_before(stage, happenings, web=address) as worker,
    ):
        for channel in (cast.SUPPORT_CHANNEL, cast.RAG_CHANNEL):
            wait_for(lambda channel=channel: stage.seen("post", channel, "baseline"), f"the baseline in {channel}")
        yield Demo(stage, story, worker, happenings, address, client)


def chromium() -> str | None:
    """The system's Chromium, if there is one."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


@contextmanager
def browsing(executable: str) -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
