from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hatch_build import COMMIT, published
from worker import version

ROOT = Path(__file__).parents[2]
GIT = shutil.which("git")


def test_a_version_comes_with_its_commit() -> None:
    text = version.version_text()
    assert re.fullmatch(r"review-notifier \d+\.\d+\.\d+\S* \(commit ([0-9a-f]{7,40}(-modified)?|unknown)\)", text)


def test_a_working_copy_is_described_as_a_build_describes_it() -> None:
    assert version._CHECKED_OUT == COMMIT  # noqa: SLF001 - one word for one commit


@pytest.mark.skipif(GIT is None, reason="git is not installed")
def test_the_commit_of_a_working_copy_is_marked_where_files_differ_from_it(tmp_path: Path) -> None:
    assert version.checked_out(tmp_path) == "unknown"

    def git(*arguments: str) -> str:
        command = [str(GIT), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    assert version.checked_out(tmp_path) == git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "file").write_text("two")
    assert version.checked_out(tmp_path).endswith("-modified")


def test_on_a_package_index_every_link_of_the_readme_leads_to_this_release() -> None:
    readme = (ROOT / "README.md").read_text()
    text = published(readme, source="https://code.example/project", tag="v1.2.3")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    for target in targets:
        assert target.startswith(("https://", "#")), target
        kind, _, path = target.removeprefix("https://code.example/project/").partition("/v1.2.3/")
        if kind in {"raw", "blob"}:
            assert (ROOT / path.partition("#")[0]).exists(), target
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert all("/raw/v1.2.3/" in picture for picture in pictures)
