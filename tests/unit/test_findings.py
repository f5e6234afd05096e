"""What is in findings/: scripts that can be run, and that name no version but an exact one and no place of packages."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parents[2] / "findings"
SCRIPTS = sorted(FINDINGS.glob("*.sh"))


def test_there_are_findings_and_the_readme_names_each() -> None:
    readme = (FINDINGS / "README.md").read_text()
    assert len(SCRIPTS) >= 3
    assert set(re.findall(r"^\| `([\w-]+)` \|", readme, re.MULTILINE)) == {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_finding_can_be_run_and_pins_what_it_installs(script: Path) -> None:
    assert os.access(script, os.X_OK)
    text = script.read_text()
    installed = re.search(r"pip install (.*)", text)
    assert installed is not None
    packages = [word for word in installed[1].split() if not word.startswith("--")]
    assert packages
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", package) for package in packages)
    assert "worker" not in text
    for word in ("Version:", "Expected:", "Seen:"):
        assert f"\n{word}" in text
