"""Hours in the running program: what is held at night, what the commands say of it, and the opening."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for
from worker.clock import SystemClock

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CALM = {"WORKER_POLL_INTERVAL": "60s"}


def in_two_days() -> str:
    """Hours that begin in two days."""
    day = WEEKDAYS[(SystemClock().now() + timedelta(days=2)).weekday()]
    return f"{day} 09:00-17:00"


def shown(bench: Bench, *arguments: str, **more: str) -> Any:
    done = bench.run(*arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_first_start_at_night_holds_the_baseline_and_every_command_says_until_when(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    bench.environment |= {"WORKER_ZONE": "Europe/Berlin", "WORKER_HOURS": in_two_days()}
    langsmith.add_run(queue, name="the first")
    with bench.service() as service:
        (line,) = wait_for(lambda: service.logged("queue_held"), "it is held")
        langsmith.add_run(queue, name="the second")
        wait_for(lambda: len(shown(bench, "runs", **CALM)["runs"]) == 2, "the second is known")
        assert len(service.logged("queue_held")) == 1
        assert service.stop() == 0
    assert (line["notice"], line["runs"]) == ("baseline", 1)
    until = line["held_until"]
    assert until.endswith(" 09:00 (Europe/Berlin)")
    (one,) = shown(bench, "status", **CALM)["queues"]
    assert one["open"] is False
    assert f"Support QA: 2 runs held until {until}" in bench.run("status", **CALM).stdout
    assert {run["next"]["held_until"] for run in shown(bench, "runs")["runs"]} == {one["held_until"]}
    (story,) = shown(bench, "why", "the second")["runs"]
    assert (story["next"]["kind"], story["next"]["held_from"]) == ("baseline", story["first_seen_at"])
    assert f"until {until}" in bench.run("why", "the second").stdout
    count = f"1 queue: nothing to post now; held until {until}: 1 baseline to {CHANNEL}"
    assert f"next poll: {count}" in bench.run("check").stdout
    rehearsed = bench.run("poll", "--dry-run").stdout
    assert rehearsed.endswith(f"{count}\n")
    assert "2 runs are waiting in Support QA" in rehearsed
    assert bench.run("poll").returncode == 0
    assert not slack.posts


@pytest.mark.long(15)
def test_the_opening_posts_what_was_held_and_a_later_run_enters_it_by_an_edit(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    assert bench.run("hours").returncode == 0  # the first start of all takes long
    opens_at = (SystemClock().now() + timedelta(seconds=7)).replace(microsecond=0)
    day, before = (f"{opens_at - timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
    (bench.directory / "worker.toml").write_text(
        f'[calendars.soon]\nzone = "UTC"\nclosed = ["{before}..{day}"]\nopen = ["{day} {opens_at:%H:%M:%S}-24:00"]\n'
    )
    more = {"WORKER_CALENDAR": "soon", "WORKER_ANNOUNCE_EVERY": "1h"}
    langsmith.add_run(queue, name="the first")
    with bench.service(**more) as service:
        wait_for(lambda: service.logged("queue_held"), "it is held")
        assert not slack.posts
        wait_for(lambda: slack.posts, "the opening")
        assert SystemClock().now() >= opens_at
        langsmith.add_run(queue, name="the second")
        wait_for(lambda: "the second" in slack.messages(CHANNEL)[0]["text"], "the second enters by an edit")
        (story,) = shown(bench, "why", "the second", **more)["runs"]
        said = bench.run("why", "the second", **more).stdout
        assert service.stop() == 0
    assert len(slack.posts) == 1
    assert (story["deliveries"][0]["entered_by_edit"], story["deliveries"][0]["purpose"]) == (True, "announcement")
    assert "posted before, shows it as new by an edit" in said
    assert "next: announcement in 59 min: shown by an edit, announced at" in said


def test_a_retry_at_night_says_that_it_is_held(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    slack.kick(CHANNEL)
    assert bench.run("poll").returncode == 1
    (held,) = shown(bench, "deliveries")["deliveries"]
    done = bench.run("retry", held["key"], WORKER_ZONE="Europe/Berlin", WORKER_HOURS=in_two_days())
    assert done.returncode == 0, done.stderr
    assert "It is held until " in done.stdout
    assert "09:00 (Europe/Berlin). No service is running: the next `run` or `poll` posts it then" in done.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"WORKER_ZONE": "Europe/Berln"}, "did you mean Europe/Berlin?", id="zone"),
        pytest.param({"WORKER_HOURS": "Mon-Fry 09:00-17:00"}, "did you mean Fri?", id="day"),
        pytest.param({"WORKER_HOURS": "Mon 09:00-12:00, 11:00-13:00"}, "write Mon 09:00-13:00", id="overlap"),
        pytest.param({"WORKER_HOURS": "Mon 09:00-09:00"}, "write 00:00-24:00", id="empty"),
        pytest.param({"WORKER_HOLIDAYS": "Germny"}, "did you mean DE?", id="country"),
        pytest.param({"WORKER_HOLIDAYS": "GB"}, "write one of GB-ENG", id="subdivision"),
        pytest.param({"WORKER_CALENDAR": "berln"}, "write always", id="calendar"),
        pytest.param({"WORKER_REMIND_AT": "Mon-Fry 09:00"}, "did you mean Fri?", id="time to remind at"),
    ],
)
def test_hours_that_cannot_be_end_with_78_and_nothing_is_made_or_asked(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID, settings: dict[str, str], said: str
) -> None:
    langsmith.add_run(queue)
    done = bench.run("run", **settings)
    assert (done.returncode, said in done.stderr) == (78, True), done.stderr
    ((name, value),) = settings.items()
    assert f"{name}: {value!r}" in done.stderr
    assert not list(bench.directory.iterdir())
    assert not slack.attempts


def test_a_calendar_that_is_never_open_ends_with_78(bench: Bench, slack: SimulatedSlack) -> None:
    (bench.directory / "worker.toml").write_text(
        '[calendars.x]\nzone = "UTC"\nclosed = ["2020-01-01..2100-01-01"]\n[defaults]\ncalendar = "x"\n'
    )
    done = bench.run("run")
    assert done.returncode == 78
    assert "calendars.x is never open in the next year" in done.stderr
    assert [path.name for path in bench.directory.iterdir()] == ["worker.toml"]
    assert not slack.attempts
