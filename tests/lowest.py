"""Prints the lowest versions that pyproject.toml allows, as constraints for pip: what `make lowest` tests with."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[\w-]+)(\[[\w,]+\])?>=(?P<lowest>[\d.]+)")
DECLARED = Path(__file__).parent.parent / "pyproject.toml"


def pins(requirements: list[str]) -> list[str]:
    """Each requirement held to its lower bound, which it must have."""
    found = [(requirement, REQUIREMENT.match(requirement)) for requirement in requirements]
    if unbound := [requirement for requirement, match in found if match is None]:
        raise ValueError(f"no lower bound: {', '.join(unbound)}")
    return [f"{match['name']}=={match['lowest']}" for _, match in found if match is not None]


if __name__ == "__main__":
    project = tomllib.loads(DECLARED.read_text())["project"]
    sys.stdout.writelines(f"{pin}\n" for pin in pins(project["dependencies"] + project["optional-dependencies"]["dev"]))
