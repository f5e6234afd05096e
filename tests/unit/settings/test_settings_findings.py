from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_place import COMPLETE, TOKEN, Place
from worker.settings.loading import findings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def test_settings_that_make_sense_have_no_findings(place: Place) -> None:
    environ = {
        "WORKER_ESCALATE_AFTER": "1d",
        "WORKER_ESCALATE_TO": "leads",
        "WORKER_ESCALATE_MENTION": "U1",
        "LANGSMITH_WORKSPACE_ID": "11111111-2222-4333-8444-555555555555",
        "WORKER_KEEP_REVIEWS": "1d",
        "WORKER_KEEP_DELIVERIES": "1d",
        "WORKER_STALE_AFTER": "60s",
    }
    assert findings(place.load_all()) == ()
    assert findings(place.load_all(environ)) == ()
    assert findings(place.load_all({"WORKER_QUEUES": "all"})) == ()


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"WORKER_ESCALATE_MENTION": "U1"},
            "escalate_mention has no effect without escalate_after; set it, such as 1d (for 'Support QA')",
        ),
        (
            {"WORKER_ESCALATE_TO": "leads"},
            "escalate_to has no effect without escalate_after; set it, such as 1d (for 'Support QA')",
        ),
        (
            {"WORKER_ESCALATE_TO": "leads", "WORKER_QUEUES": "all"},
            "escalate_to has no effect without escalate_after; set it, such as 1d (for every other queue)",
        ),
        (
            {"WORKER_ESCALATE_AFTER": "1h"},
            "escalate_after is shorter than stale_after: no reminder comes first; set it longer (for 'Support QA')",
        ),
        (
            {"WORKER_STALE_AFTER": "30s"},
            "stale_after is shorter than poll_interval; set it longer, or poll more often (for 'Support QA')",
        ),
        (
            {"LANGSMITH_WORKSPACE_ID": "acme"},
            "LANGSMITH_WORKSPACE_ID does not look like an id (8-4-4-4-12 hex digits); copy it again",
        ),
        (
            {"WORKER_KEEP_REVIEWS": "23h"},
            "WORKER_KEEP_REVIEWS is shorter than 1d; keep some days, or a run not listed for longer is new again",
        ),
        (
            {"WORKER_KEEP_DELIVERIES": "23h"},
            "WORKER_KEEP_DELIVERIES is shorter than 1d; keep some days, or `why` and `deliveries` soon know nothing",
        ),
        (
            {"WORKER_STALE": "1h"},
            "WORKER_STALE is not a setting and has no effect (did you mean WORKER_STALE_AFTER?)",
        ),
        (
            {"SLACK_BOT_TOKEN_FILE": "token"},
            "SLACK_BOT_TOKEN_FILE has no effect, because SLACK_BOT_TOKEN is set too; remove one of them",
        ),
    ],
)
def test_what_was_probably_not_meant_is_found(place: Place, environ: dict[str, str], line: str) -> None:
    assert findings(place.load_all(environ)) == (line,)


def test_a_default_that_every_queue_overrides_is_no_finding(place: Place) -> None:
    place.write("worker.toml", '[[queues]]\nqueue = "Support QA"\nescalate_after = "1d"\nescalate_mention = ["U1"]\n')
    assert findings(place.load_all({"WORKER_ESCALATE_AFTER": "1h"})) == ()


def test_a_secret_in_the_wrong_setting_is_not_shown(place: Place) -> None:
    environ = {"WORKER_QUEUES": "xoxb-MARKED,hidden-MARKED", "LANGSMITH_WORKSPACE_ID": "lsv2_sk_MARKED"}
    lines = findings(place.load_all({**environ, "LANGSMITH_API_KEY": "hidden-MARKED", "WORKER_ESCALATE_TO": "leads"}))
    assert lines[-1].endswith("(for '***', '***')")
    assert "MARKED" not in "".join(lines)


def test_queues_with_the_same_finding_share_a_line(place: Place) -> None:
    place.write(
        "worker.toml", '[[queues]]\nqueue = "A"\nescalate_to = "x"\n[[queues]]\nqueue = "B"\nstale_after = "1s"\n'
    )
    lines = findings(place.load({"WORKER_QUEUES": "all,C,D,E,F,G,H", "WORKER_ESCALATE_MENTION": "U1"}))
    assert [line.partition(" (for ")[2] for line in lines] == [
        "'A', 'B', 'C', 'D', 'E', 4 more)",
        "'A')",
        "'B')",
    ]


def test_a_secret_file_in_one_place_and_the_secret_in_another_is_found(place: Place) -> None:
    place.write(".env", f"SLACK_BOT_TOKEN={TOKEN}\n")
    environ = {name: value for name, value in COMPLETE.items() if name != "SLACK_BOT_TOKEN"}
    (line,) = findings(place.load(environ | {"SLACK_BOT_TOKEN_FILE": "token"}))
    assert line.startswith("SLACK_BOT_TOKEN_FILE has no effect")
