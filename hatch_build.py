"""What a build adds: the commit that it was made of, and the README with links that hold on a package index."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

WRITTEN = Path("worker") / "_commit.txt"

COMMIT = ("git", "-c", "safe.directory=*", "describe", "--always", "--dirty=-modified", "--abbrev=12", "--exclude=*")
"""Root may install from somebody else's checkout, of which git would say nothing without `safe.directory`."""

LINK = re.compile(r"(?<!`)(!?)\[([^\]\[]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")
"""A link or a picture whose target is a file beside the README."""


class ReadmeHook(MetadataHookInterface):
    """Gives the package the README, with the addresses of its files at this release."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Before a build, and wherever the metadata is asked for."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        source = metadata["urls"]["Source"]
        text = published(readme, source=source, tag=f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def published(readme: str, *, source: str, tag: str) -> str:
    """The README with absolute links: to pages of the files, and to a picture itself."""

    def absolute(link: re.Match[str]) -> str:
        picture, label, target = link.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}[{label}]({source}/{kind}/{tag}/{target})"

    return LINK.sub(absolute, readme)


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
