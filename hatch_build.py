"""Writes the commit that a wheel or sdist is built of into the package, for `review-notifier --version`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WRITTEN = Path("worker") / "_commit.txt"

COMMIT = ("git", "-c", "safe.directory=*", "describe", "--always", "--dirty=-modified", "--abbrev=12", "--exclude=*")
"""Root may install from somebody else's checkout, of which git would say nothing without `safe.directory`."""


class CommitHook(BuildHookInterface[Any]):
    """Puts one more file into what is built; the working copy never keeps it."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before a build: an editable installation is a working copy, which has no single commit."""
        if version == "editable":
            return
        self._folder = Path(tempfile.mkdtemp())
        written = self._folder / WRITTEN.name
        written.write_text(self._commit() + "\n", encoding="ascii")
        build_data["force_include"][str(written)] = str(WRITTEN)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After a build."""
        del build_data, artifact_path
        if version != "editable":
            shutil.rmtree(self._folder)

    def _commit(self) -> str:
        """The one that an sdist carries, else the one that is checked out, marked where files differ from it."""
        carried = Path(self.root) / WRITTEN
        if carried.is_file():
            return carried.read_text(encoding="ascii").strip()
        try:
            done = subprocess.run(COMMIT, cwd=self.root, capture_output=True, text=True, check=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return done.stdout.strip()
