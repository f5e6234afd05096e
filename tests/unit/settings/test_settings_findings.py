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
            {"WORKER_HTTP_OPEN": "true"},
            "WORKER_HTTP_TOKEN and WORKER_HTTP_OPEN have no effect without WORKER_HTTP_ADDRESS; set it too",
        ),
        (
            {"WORKER_HTTP_ADDRESS": ":80", "WORKER_HTTP_OPEN": "true", "WORKER_HTTP_TOKEN": "0123456789abcdef"},
            "WORKER_HTTP_OPEN has no effect: WORKER_HTTP_TOKEN is set, so the page asks for it; remove one of them",
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
            {"WORKER_REQUESTS_PER_SECOND": "0.1", "WORKER_POLL_INTERVAL": "5s"},
            "WORKER_REQUESTS_PER_SECOND is 0.1, but these polls need 0.2 and will come late; raise it, or poll less",
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


OFFICE = {"WORKER_ZONE": "Europe/Berlin", "WORKER_HOURS": "Mon-Fri 09:00-12:00, 13:00-17:30"}


@pytest.mark.parametrize(
    ("hours", "remind_at", "written", "nearest"),
    [
        pytest.param(OFFICE, "Mon-Fri 08:30", "Mon-Fri 08:30", "Mon-Fri 09:00", id="before the opening"),
        pytest.param(OFFICE, "Fri 18:00", "Fri 18:00", "Fri 17:29", id="after the closing"),
        pytest.param(OFFICE, "Mon,Wed 17:30", "Mon,Wed 17:30", "Mon,Wed 17:29", id="at the closing"),
        pytest.param(OFFICE, "Mon 12:30; Tue 10:00", "Mon 12:30", "Mon 13:00", id="between two stretches"),
        pytest.param(OFFICE, "Sun 20:00", "Sun 20:00", "Mon 09:00", id="over the end of the week"),
        pytest.param({"WORKER_HOURS": "22:00-06:00"}, "07:00", "Mon-Sun 07:00", "Mon-Sun 05:59", id="nights"),
    ],
)
def test_a_time_to_remind_at_outside_hours_is_a_finding_with_the_nearest_within(
    place: Place, hours: dict[str, str], remind_at: str, written: str, nearest: str
) -> None:
    found = [line for line in findings(place.load_all(hours | {"WORKER_REMIND_AT": remind_at})) if "remind_at" in line]
    line = (
        f"remind_at has {written!r}, which is outside hours: what is due then waits for the next opening; "
        f"write {nearest!r}, the nearest time within them (for 'Support QA')"
    )
    assert found == [line]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param(OFFICE | {"WORKER_REMIND_AT": "Mon-Fri 09:00; Fri 17:29"}, id="within"),
        pytest.param({"WORKER_REMIND_AT": "Sun 03:00"}, id="no hours"),
        pytest.param(
            {"WORKER_HOURS": "Sat 22:00-06:00", "WORKER_ZONE": "UTC", "WORKER_REMIND_AT": "Sun 05:00"}, id="night"
        ),
    ],
)
def test_a_time_within_hours_is_no_finding(place: Place, environ: dict[str, str]) -> None:
    assert findings(place.load_all(environ)) == ()


def test_quiet_is_outside_hours_too(place: Place) -> None:
    place.write(
        "worker.toml",
        '[calendars.x]\nzone = "UTC"\nquiet = ["12:00-13:00"]\n[defaults]\ncalendar = "x"\nremind_at = "Mon 12:10"\n',
    )
    (line,) = findings(place.load_all())
    assert "write 'Mon 11:59'" in line
