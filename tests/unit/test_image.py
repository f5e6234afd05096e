"""What gets into the image: what the Dockerfile copies, and nothing that lies about in a working copy."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copied() -> set[str]:
    """What the Dockerfile takes out of the working copy."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "container" / "Dockerfile").read_text())
    return {name for line in lines for name in line.split()}


def sent() -> set[str]:
    """What the builder is sent of it."""
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    return {line[1:] for line in rest if line.startswith("!")}


def test_the_builder_is_sent_what_is_copied_and_so_no_secret() -> None:
    deployed = {name for name in sent() if name.startswith("deploy/")}
    assert sent() - deployed | {"deploy"} == copied()
    assert all((ROOT / name).exists() for name in copied())
    assert not any(name in {".", ".env"} for name in copied())


def test_of_the_files_for_deployment_the_builder_is_sent_those_that_the_package_carries() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    carried = {name for name in build["targets"]["wheel"]["force-include"] if name.startswith("deploy/")}
    assert {name for name in sent() if name.startswith("deploy/")} == carried
