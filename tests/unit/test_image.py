"""What gets into the image: what the Dockerfile copies, and nothing that lies about in a working copy."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copied() -> set[str]:
    """What the Dockerfile takes out of the working copy."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "container" / "Dockerfile").read_text())
    return {name for line in lines for name in line.split()}


def test_the_builder_is_sent_what_is_copied_and_so_no_secret() -> None:
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    assert {line[1:] for line in rest if line.startswith("!")} == copied()
    assert all((ROOT / name).exists() for name in copied())
    assert not any(name in {".", ".env", "deploy"} for name in copied())
