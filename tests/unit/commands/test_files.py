"""The `files` command: what it carries, by which names, and what it writes where."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from worker.commands.files import CARRIED, UnknownFileError, found_files, write_files
from worker.commands.writing import SECRET, UnwrittenError, write
from worker.version import release

ROOT = Path(__file__).parents[3]
FOR_TESTS = {"deploy/monitoring/alerts.test.yaml"}
PACKAGE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]


def shown(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_every_file_for_deployment_is_carried_and_built_into_the_package() -> None:
    deployed = {str(path.relative_to(ROOT)) for path in (ROOT / "deploy").glob("*/*") if path.is_file()}
    carried = {each.source for each in CARRIED}
    assert {source for source in carried if source.startswith("deploy/")} == deployed - FOR_TESTS
    built = {source: target for source, target in PACKAGE["force-include"].items() if source != "migrations"}
    assert built == {source: f"worker/_files/{source}" for source in carried}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("slack/manifest.yaml", ["slack/manifest.yaml"]),
        ("manifest.yaml", ["slack/manifest.yaml"]),
        ("manifest", ["slack/manifest.yaml"]),
        ("manifest-people", ["slack/manifest-people.yaml"]),
        ("unit", ["systemd/review-notifier.service"]),
        ("compose", ["container/compose.yaml"]),
        ("compose.postgresql", ["container/compose.postgresql.yaml"]),
        ("dashboard", ["monitoring/dashboard.json"]),
        ("alerts", ["monitoring/alerts.yaml"]),
        (".env.example", ["settings/.env.example"]),
        ("constraints", ["systemd/constraints.txt"]),
        ("kubernetes", ["kubernetes/review-notifier.yaml"]),
        ("slack/", ["slack/manifest.yaml", "slack/manifest-people.yaml", "slack/manifest-actions.yaml"]),
        ("all", [each.name for each in CARRIED]),
    ],
)
def test_a_name_means_one_file_or_a_folder(name: str, files: list[str]) -> None:
    assert [each.name for each in found_files(name)[0]] == files


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownFileError, match="did you mean manifest"):
        found_files("manifst")


def test_a_file_is_written_as_it_stands_and_a_program_can_be_run(tmp_path: Path) -> None:
    write_files("manifest", tmp_path / "new" / "folder", force=False)
    assert shown(tmp_path / "new/folder/manifest.yaml") == shown(ROOT / "deploy/slack/manifest.yaml")
    write_files("systemd", tmp_path, force=False)
    runnable = {file.name for file in (tmp_path / "systemd").iterdir() if file.stat().st_mode & 0o100}
    assert runnable == {"install.sh", "review-notifier"}


def test_nothing_is_written_over_what_is_there_unless_that_is_asked_for(tmp_path: Path) -> None:
    changed = tmp_path / "slack" / "manifest.yaml"
    write(changed, "mine")
    with pytest.raises(UnwrittenError, match="--force"):
        write_files("slack", tmp_path, force=False)
    assert [file.name for file in changed.parent.iterdir()] == ["manifest.yaml"]
    write_files("slack", tmp_path, force=True)
    write_files("slack", tmp_path, force=False)
    assert shown(changed) == shown(ROOT / "deploy/slack/manifest.yaml")


def test_a_link_that_leads_nowhere_is_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").symlink_to("nowhere")
    with pytest.raises(UnwrittenError):
        write_files("manifest", tmp_path, force=False)
    assert not (tmp_path / "nowhere").exists()


def test_what_cannot_be_written_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwrittenError, match=r"manifest\.yaml cannot be written .*: choose a folder"):
        write_files("manifest", tmp_path / "file", force=False)


def test_a_secret_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    write(tmp_path / ".env", "KEY=x\n", SECRET)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_outside_of_a_checkout_the_image_is_built_of_this_release(tmp_path: Path) -> None:
    write_files("container", tmp_path, force=False)
    texts = {file.name: shown(file) for file in (tmp_path / "container").iterdir()}
    assert f'args: {{ORIGIN: index, VERSION: "{release()}"}}' in texts["compose.yaml"]
    assert f"image: review-notifier:{release()}\n" in texts["compose.yaml"]
    left = [text for text in texts.values() if re.search(r"\.\./|git rev-parse", text.partition("ARG BASE")[2] or text)]
    assert left == []
    assert "FROM ${BASE} AS index" in texts["Dockerfile"]
    assert "COPY constraints.txt ./" in texts["Dockerfile"]
