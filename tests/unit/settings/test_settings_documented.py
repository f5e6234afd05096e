"""`.env.example`, `worker.toml.example`, `docs/configuration.md` and the code say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.builders import to
from tests.support.settings_place import COMPLETE, Place
from worker.settings import ALL
from worker.settings.layers import SECTION_KEYS, TABLE_KEYS, TOP_KEYS
from worker.settings.loading import findings
from worker.settings.model import EVERY, PerQueue
from worker.settings.values import NO_CHANNEL

ROOT = Path(__file__).parents[3]
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
TOML_EXAMPLE = (ROOT / "worker.toml.example").read_text()
DOCS = (ROOT / "docs/configuration.md").read_text()

NAMES = {name.env: key for key, name in EVERY.items()}
SECRET = {env for env, key in NAMES.items() if EVERY[key].secret}
REQUIRED = {"LANGSMITH_API_KEY", "SLACK_BOT_TOKEN", "WORKER_QUEUES", "WORKER_CHANNEL"}
NO_VALUE = {"required", "none", "derived", "the queue's channel"}

EXAMPLE_LINES = re.findall(r"^(#?)([A-Z][A-Z_]*)=(.*)$", ENV_EXAMPLE, re.MULTILINE)
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in DOCS.splitlines()
    if re.match(r"\| `[A-Z_]+` \|", line) and line.count(" | ") == 3
]
DOCUMENTED = {row[0].strip("`"): row[1:] for row in ROWS}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def in_toml(key: str) -> str:
    """Where the setting stands in worker.toml, as the docs write it."""
    if key == "listed":
        return "`queues`"
    if key in PerQueue.model_fields:
        return f"`defaults.{key}`"
    for section, keys in SECTION_KEYS.items():
        if key in keys.values():
            return f"`{section}.{key.removeprefix(f'{section}_')}`"
    return f"`{key}`" if key in TOP_KEYS else "no"


# --- .env.example


def test_the_example_has_every_setting_once_and_no_other() -> None:
    assert sorted(name for _, name, _ in EXAMPLE_LINES) == sorted(NAMES)


def test_the_example_asks_for_what_is_required_and_comments_out_the_rest() -> None:
    assert {name for hidden, name, _ in EXAMPLE_LINES if not hidden} == REQUIRED
    assert all(value == "" for hidden, _, value in EXAMPLE_LINES if not hidden)


def test_the_example_says_the_meaning_of_every_setting() -> None:
    for _, name, _ in EXAMPLE_LINES:
        assert re.search(rf"^# .+\n#?{name}=", ENV_EXAMPLE, re.MULTILINE), name


def test_the_example_shows_the_defaults(place: Place) -> None:
    nothing = place.load()
    place.write(".env", re.sub(r"^#(?=[A-Z])", "", ENV_EXAMPLE, flags=re.MULTILINE))
    assert place.load() == nothing


def test_the_example_names_secrets_as_such_with_their_file() -> None:
    for name in SECRET:
        comment = ENV_EXAMPLE[: ENV_EXAMPLE.index(f"{name}=")].rpartition("\n\n")[2]
        assert "# Secret" in comment, name
        assert f"{name}_FILE" in comment, name


def test_the_filled_in_example_is_all_that_run_needs(place: Place) -> None:
    text = ENV_EXAMPLE
    for name in REQUIRED:
        text = text.replace(f"\n{name}=", f"\n{name}={COMPLETE[name]}")
    place.write(".env", text)
    assert findings(place.load({}, ALL)) == ()


# --- docs/configuration.md


def test_the_reference_has_every_setting_once_and_no_other() -> None:
    assert sorted(row[0].strip("`") for row in ROWS) == sorted(NAMES)


def test_the_reference_tells_the_defaults(place: Place) -> None:
    nothing = place.load()
    literal = {name: default.strip("`") for name, (default, *_) in DOCUMENTED.items() if default.startswith("`")}
    assert place.load(literal) == nothing
    assert {default for default, *_ in DOCUMENTED.values() if not default.startswith("`")} == NO_VALUE
    assert {name for name, (default, *_) in DOCUMENTED.items() if default == "required"} == REQUIRED


def test_the_reference_and_the_example_have_the_same_defaults() -> None:
    shown = {name: value for hidden, name, value in EXAMPLE_LINES if hidden}
    assert shown == {
        name: default.strip("`") if default.startswith("`") else ""
        for name, (default, *_) in DOCUMENTED.items()
        if name not in REQUIRED
    }


@pytest.mark.parametrize("name", [name for name in NAMES if DOCUMENTED[name][0] in NO_VALUE - {"derived"}])
def test_a_setting_without_a_default_is_empty(place: Place, name: str) -> None:
    settings = place.load()
    key = NAMES[name]
    assert getattr(settings.common if key in PerQueue.model_fields else settings, key) in {None, "", (), NO_CHANNEL}


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_tells_the_key_in_the_file(name: str) -> None:
    assert DOCUMENTED[name][1] == in_toml(NAMES[name])


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_tells_which_are_secret_and_which_have_another_name(name: str) -> None:
    meaning = DOCUMENTED[name][2]
    assert meaning.startswith("*Secret") == (name in SECRET)
    assert all(f"`{alias}`" in meaning for alias in EVERY[NAMES[name]].aliases)


def test_the_reference_names_the_files_of_the_secrets() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", DOCS, re.MULTILINE)
    assert sorted(rows) == sorted((name, f"{name}_FILE", name.lower()) for name in SECRET)


def test_no_text_speaks_of_a_setting_that_is_none() -> None:
    known = {*NAMES, *(alias for name in EVERY.values() for alias in name.aliases), *(f"{env}_FILE" for env in SECRET)}
    for text in (ENV_EXAMPLE, TOML_EXAMPLE, DOCS):
        assert set(re.findall(r"\b(?:WORKER|LANGSMITH|SLACK)_[A-Z_]*[A-Z]\b", text)) <= known


def test_the_errors_in_the_reference_are_those_of_the_code(place: Place) -> None:
    errors = DOCS.partition("```text\n")[2].partition("\n```")[0].split("\n")
    place.write("worker.toml", '[[queues]]\nqueue = "A"\n[[queues]]\nqueue = "B"\nchanel = "c"\n')
    environ = {name: value for name, value in COMPLETE.items() if name != "SLACK_BOT_TOKEN"}
    assert sorted(place.refusal(environ | {"WORKER_STALE_AFTER": "soon"}, ALL)) == sorted(errors)


# --- worker.toml


@pytest.mark.parametrize(
    "text", [TOML_EXAMPLE, DOCS.partition("```toml\n")[2].partition("```")[0]], ids=["worker.toml.example", "reference"]
)
def test_the_examples_of_the_file_are_read(place: Place, text: str) -> None:
    place.write("worker.toml", text)
    settings = place.load({name: COMPLETE[name] for name in ("LANGSMITH_API_KEY", "SLACK_BOT_TOKEN")}, ALL)
    assert [queue.channel.place for queue in settings.queues] == ["C0SUPPORT00", "C0123456789"]
    assert settings.queues[1].queue_id is not None
    assert settings.queues[1].stale_after is None
    assert findings(settings) == ()


def test_the_example_of_the_file_has_every_key_of_a_queue() -> None:
    first, *_ = tomllib.loads(TOML_EXAMPLE)["queues"]
    assert sorted(first) == sorted(TABLE_KEYS)


def test_what_the_example_of_the_file_comments_out_can_be_used(place: Place) -> None:
    text, count = re.subn(r"^# (?=\w+ = )", "", TOML_EXAMPLE, flags=re.MULTILINE)
    assert count == 6
    place.write("worker.toml", text)
    assert place.load().ops_channel == to("C0OPS000000")
