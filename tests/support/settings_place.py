"""A folder to read settings in, with nothing of this machine's own: for the tests of the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from worker.core.ports import ConfigError
from worker.settings import ALL, Need, Settings, load

if TYPE_CHECKING:
    from pathlib import Path

KEY = "lsv2_sk_0123456789abcdef"
TOKEN = "xoxb-123-456-abcdef"
NOTHING: frozenset[Need] = frozenset()

COMPLETE = {
    "LANGSMITH_API_KEY": KEY,
    "SLACK_BOT_TOKEN": TOKEN,
    "WORKER_QUEUES": "Support QA",
    "WORKER_CHANNEL": "C0123456789",
}
"""All that `run` needs."""


@dataclass(frozen=True)
class Place:
    """A working directory, and a folder where secrets are mounted."""

    directory: Path
    mount: Path

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.directory / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def mounted(self, name: str, text: str) -> Path:
        self.mount.mkdir(exist_ok=True)
        path = self.mount / name
        path.write_text(text)
        return path

    def load(self, environ: dict[str, str] | None = None, needs: frozenset[Need] = NOTHING) -> Settings:
        return load(needs, environ=environ or {}, directory=self.directory, run_secrets=self.mount)

    def load_all(self, environ: dict[str, str] | None = None) -> Settings:
        return self.load(COMPLETE | (environ or {}), ALL)

    def refusal(self, environ: dict[str, str] | None = None, needs: frozenset[Need] = NOTHING) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load(environ, needs)
        return str(caught.value).split("\n")
