"""The commands, each run to its end as a user would."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support.builders import delivery
from tests.system.conftest import CHANNEL, LEADS
from tests.system.process import Bench, wait_for
from tests.system.watched import dead_mans_switch
from worker.clock import SystemClock
from worker.core.model import Kind
from worker.core.overview import LATE_AFTER
from worker.core.owed import State
from worker.demo.langsmith.server import How
from worker.stores.opening import open_store
from worker.stores.schema import HEAD

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

NO_QUEUE = uuid4()


def test_poll_posts_once_and_a_second_poll_repeats_nothing(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue, name="waiting")
    assert bench.run("poll").returncode == 0
    assert bench.run("poll").returncode == 0
    assert "Nothing to post" in bench.run("poll", "--dry-run").stdout
    assert len(slack.posts) == 1


def test_migrate_moves_to_postgres_and_nothing_is_posted_again(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID, postgres_url: str
) -> None:
    langsmith.add_run(queue, name="waiting")
    assert bench.run("poll").returncode == 0
    moved = bench.run("migrate", "--from", "worker.db", WORKER_DATABASE_URL=postgres_url)
    assert (moved.returncode, moved.stdout[:44]) == (0, "Moved 1 queues, 1 reviews and 1 deliveries. "), moved.stderr
    done = bench.run("poll", "--dry-run", WORKER_DATABASE_URL=postgres_url)
    assert (done.returncode, done.stdout) == (0, "Nothing to post.\n"), done.stderr


def test_dry_run_prints_and_remembers_nothing_and_needs_no_slack(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue, name="waiting")
    for _ in range(2):
        done = bench.run("poll", "--dry-run", SLACK_BOT_TOKEN="")
        assert done.returncode == 0, done.stderr
        assert "waiting" in done.stdout
        assert "baseline" in done.stdout
    assert not slack.attempts
    assert not list(bench.directory.iterdir())


def test_a_dry_run_shows_what_waits_to_be_posted_too(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    assert bench.run("poll").returncode == 0
    slack.kick(CHANNEL)
    reviewed, _ = [langsmith.add_run(queue, name=name) for name in ("reviewed", "the first")]
    assert bench.run("poll").returncode == 1
    with closing(open_store(f"sqlite:///{bench.directory}/worker.db", migrate=False)) as store:
        now = SystemClock().now()
        store.owe(delivery(kind=Kind.OPS, channel=CHANNEL, text="trouble of the worker's own", created_at=now))
    langsmith.complete(reviewed)
    langsmith.add_run(queue, name="the second")
    shown = bench.run("poll", "--dry-run").stdout
    slack.invite(CHANNEL)
    assert bench.run("poll").returncode == 0
    posted = [message["text"] for message in slack.messages(CHANNEL)]
    assert [("the first" in text, "the second" in text, "reviewed" in text) for text in (shown, *posted)] == [
        (True, True, False),
        (True, True, False),
        (False, False, False),
    ]
    assert (shown.count("2 new runs"), "trouble of the worker's own" in shown) == (1, True)


def test_poll_fails_where_a_queue_fails(bench: Bench, langsmith: SimulatedLangSmith) -> None:
    langsmith.fail(status=500)
    done = bench.run("poll")
    assert done.returncode == 1
    assert "queue_failing" in done.stderr


def test_poll_fails_where_a_delivery_fails_and_keeps_it(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    slack.kick(CHANNEL)
    assert bench.run("poll").returncode == 1
    shown = bench.run("deliveries", "--json")
    assert shown.returncode == 0, shown.stderr
    (delivery,) = json.loads(shown.stdout)["deliveries"]
    assert delivery["state"] == "held"
    assert "not_in_channel" in delivery["error"]
    slack.invite(CHANNEL)
    assert bench.run("retry", str(uuid4())).returncode == 1
    assert bench.run("retry", delivery["key"]).returncode == 0
    assert bench.run("poll").returncode == 0
    assert len(slack.messages(CHANNEL)) == 1


def test_status_tells_how_each_queue_stands(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.add_run(queue)
    bench.run("poll", WORKER_POLL_INTERVAL="60s")
    done = bench.run("status", "--json", WORKER_POLL_INTERVAL="60s")
    assert done.returncode == 0
    (status,) = json.loads(done.stdout)["queues"]
    assert status["queue"] == "Support QA"
    assert status["waiting"] == 1
    assert not status["late"]
    assert "Support QA" in bench.run("status", WORKER_POLL_INTERVAL="60s").stdout


def test_status_is_red_where_something_is_dead_that_no_queue_shows(bench: Bench, queue: UUID) -> None:  # noqa: ARG001
    assert bench.run("poll").returncode == 0
    with closing(open_store(f"sqlite:///{bench.directory}/worker.db", migrate=False)) as store:
        store.owe(delivery(kind=Kind.OPS, text="trouble of the worker's own", state=State.DEAD))
    done = bench.run("status", "--json", WORKER_POLL_INTERVAL="60s")
    found = json.loads(done.stdout)
    assert (done.returncode, found["dead"], found["ok"]) == (1, 1, False)
    assert "1 delivery is dead" in bench.run("status", WORKER_POLL_INTERVAL="60s").stdout


def test_status_is_red_where_polls_have_failed_for_long(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.add_run(queue)
    bench.run("poll")
    time.sleep(LATE_AFTER)  # intervals of a second
    assert bench.run("status").returncode == 1


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_that_the_terminal_cannot_show_is_no_failure(
    bench: Bench, langsmith: SimulatedLangSmith, encoding: str
) -> None:
    langsmith.add_queue("Ünï ✓")
    for arguments in (["queues"], ["queues", "--json"]):
        done = bench.run(*arguments, cold=True, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
    assert "Ünï ✓" in {one["queue"] for one in json.loads(done.stdout)["queues"]}


def test_a_result_that_cannot_be_written_is_a_failure(bench: Bench, queue: UUID) -> None:  # noqa: ARG001
    command = [sys.executable, "-m", "worker", "queues"]
    with open("/dev/full", "w") as full:  # noqa: PTH123 - no path, but a device
        where = {"cwd": bench.directory, "env": bench.environment, "stdout": full, "stderr": subprocess.PIPE}
        done: Any = subprocess.run(command, **where, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "review-notifier: the result cannot be written: No space left on device\n",
    )


def test_a_result_that_nobody_wants_is_no_failure(bench: Bench, queue: UUID) -> None:  # noqa: ARG001
    closed = ["/bin/sh", "-c", 'exec "$0" -m worker queues >&- 2>&-', sys.executable]
    assert subprocess.run(closed, cwd=bench.directory, env=bench.environment, check=False).returncode == 0


def test_a_pass_reports_to_the_dead_man_s_switch_when_every_queue_was_polled(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    beats: list[str] = []
    with dead_mans_switch(beats) as switch:
        langsmith.fail(status=503)
        assert bench.run("poll", WORKER_HEARTBEAT_URL=f"{switch}/ping").returncode == 1
        assert beats == []
        langsmith.heal()
        langsmith.add_run(queue)
        assert bench.run("poll", WORKER_HEARTBEAT_URL=f"{switch}/ping").returncode == 0
    assert beats == ["/ping"]


def test_a_port_that_is_taken_is_found_before_anything_is_made(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = bench.run("run", WORKER_HTTP_ADDRESS=f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 78
    assert "WORKER_HTTP_ADDRESS: cannot listen" in done.stderr
    assert not (bench.directory / "worker.db").exists()


@pytest.mark.parametrize("command", [["check"], ["status"], ["poll", "--dry-run"], ["run"]], ids=" ".join)
def test_a_folder_in_the_place_of_the_database_is_named(bench: Bench, command: list[str]) -> None:
    (bench.directory / "worker.db").mkdir()
    done = bench.run(*command)
    assert done.returncode == (1 if command == ["check"] else 78)
    assert "disk" not in done.stdout + done.stderr
    assert "worker.db" in done.stdout + done.stderr


def test_why_tells_the_story_of_a_run(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    run = langsmith.add_run(queue, name="the one")
    bench.run("poll")
    langsmith.complete(run)
    bench.run("poll")
    story = bench.run("why", str(run)).stdout
    assert "the one in Support QA" in story
    assert "baseline" in story
    assert slack.messages(CHANNEL)[0]["ts"] in story
    assert "closed" in story
    assert bench.run("why", str(uuid4())).returncode == 1


def test_retry_reaches_a_running_service_before_the_pause_is_over(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    slack.kick(CHANNEL)
    with bench.service() as service:
        wait_for(lambda: service.logged("delivery_held"), "the channel refuses")
        (held,) = json.loads(bench.run("deliveries", "--json", "--state", "held").stdout)["deliveries"]
        slack.invite(CHANNEL)
        assert bench.run("retry", held["key"]).returncode == 0
        wait_for(lambda: slack.messages(CHANNEL), "the message")


def test_queues_lists_what_the_key_can_see(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.add_run(queue)
    done = bench.run("queues", "--json", WORKER_QUEUES="", WORKER_CHANNEL="", SLACK_BOT_TOKEN="")
    assert json.loads(done.stdout) == {"queues": [{"queue_id": str(queue), "queue": "Support QA", "waiting": 1}]}
    assert "Support QA" in bench.run("queues").stdout


def test_check_is_content_with_a_good_configuration(bench: Bench) -> None:
    done = bench.run("check")
    assert done.returncode == 0, done.stdout
    assert "FINDING" not in done.stdout


def test_check_live_reports_what_only_the_service_can_tell_and_no_content(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.add_run(queue, name="a private name")
    langsmith.add_run(queue)
    langsmith.deprecate()
    done = bench.run("check", "--live")
    assert done.returncode == 0, done.stdout
    for told in ("2 of 2 in runs are in items too", "with a zone", "ascending", "sunset", "needs_my_review: 2"):
        assert told in done.stdout
    assert "a private name" not in done.stdout
    langsmith.serve_the_seed_alone()
    assert "the server does not count" in bench.run("check", "--live").stdout


@pytest.mark.parametrize(
    ("settings", "findings"),
    [
        pytest.param({"LANGSMITH_API_KEY": "lsv2_pt_wrong"}, ["LANGSMITH_API_KEY"], id="a wrong key"),
        pytest.param(
            {
                "WORKER_QUEUES": f"{NO_QUEUE},No such",
                "WORKER_CHANNEL": "C0NOWHERE00",
                "WORKER_STALE_AFTRE": "1h",
            },
            [str(NO_QUEUE), "no queue has this name", "channel_not_found", "WORKER_STALE_AFTER"],
            id="an unknown queue, an unknown name, an unknown channel, a misspelt setting",
        ),
    ],
)
def test_check_finds_what_is_wrong(bench: Bench, settings: dict[str, str], findings: list[str]) -> None:
    done = bench.run("check", "--json", **settings)
    assert done.returncode == 1
    wrong = [one for one in json.loads(done.stdout)["checks"] if not one["ok"]]
    for finding in findings:
        assert any(one["fix"] for one in wrong if finding in json.dumps(one)), finding


def test_check_says_which_listing_is_read_only_where_a_queue_was_read(bench: Bench) -> None:
    def names(**settings: str) -> set[str]:
        return {one["check"] for one in json.loads(bench.run("check", "--json", **settings).stdout)["checks"]}

    assert "LangSmith listing" in names()
    away = names(LANGSMITH_ENDPOINT="http://127.0.0.1:9")
    assert "LangSmith" in away
    assert "LangSmith listing" not in away


def test_check_tells_people_the_fix(bench: Bench) -> None:
    done = bench.run("check", SLACK_BOT_TOKEN="xoxb-wrong")
    assert done.returncode == 1
    assert "FINDING" in done.stdout
    assert "SLACK_BOT_TOKEN" in done.stdout


def test_a_backup_made_while_the_service_runs_tells_at_most_one_digest_when_it_is_restored(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    reviewed = langsmith.add_run(queue, name="the old one")
    with bench.service():
        wait_for(lambda: slack.messages(CHANNEL), "a message")
        assert bench.run("backup", "copy.db").returncode == 0
        assert bench.run("backup", "copy.db").returncode != 0
        for number, name in enumerate(("one", "another"), 2):
            langsmith.add_run(queue, name=name)
            wait_for(lambda number=number: len(slack.messages(CHANNEL)) == number, f"the message of {name}")
        langsmith.complete(reviewed)
    for _ in range(2):
        restored = bench.run("poll", WORKER_DATABASE_URL="sqlite:///copy.db")
        assert restored.returncode == 0, restored.stderr
    first, *_, digest = texts = [message["text"] for message in slack.messages(CHANNEL)]
    assert len(texts) == 4
    assert "Reviewed" in first
    assert "one" in digest
    assert "another" in digest
    assert "the old one" not in digest


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(["--help"], 0, id="help"),
        pytest.param(["run", "--help"], 0, id="help of a command"),
        pytest.param(["--version"], 0, id="version"),
        pytest.param(["nonsense"], 2, id="unknown command"),
        pytest.param(["deliveries", "--state", "nonsense"], 2, id="not a state"),
    ],
)
def test_exit_status_of_usage(bench: Bench, arguments: list[str], status: int) -> None:
    assert bench.run(*arguments).returncode == status


LAWLESS = {
    "empty": b"",
    "a page": b"<html>hello</html>",
    "an object": b'{"detail": "hello"}',
    "cut off": b"[{",
    "a string": b'"text"',
}


@pytest.mark.long(10)
def test_a_lawless_answer_fails_the_poll_and_forgets_nothing(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    queues = {queue: "good", **{langsmith.add_queue(name): name for name in LAWLESS}}
    for each in queues:
        langsmith.add_run(each)
    bench.environment["WORKER_QUEUES"] = ",".join(str(each) for each in queues)
    assert bench.run("poll").returncode == 0
    for each, name in queues.items():
        if name in LAWLESS:
            langsmith.fail(How.STATUS, path=f"{each}/runs", status=200, body=LAWLESS[name])
    langsmith.add_run(queue, name="in spite of them")
    done = bench.run("poll")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    failing = {json.loads(line)["queue"] for line in done.stderr.splitlines() if "queue_failing" in line}
    assert failing == set(LAWLESS)
    langsmith.heal()
    assert bench.run("poll").returncode == 0
    posted = slack.messages(CHANNEL)
    assert len(posted) == 2
    assert f"{len(queues)} runs are waiting in {len(queues)} queues" in posted[0]["text"]
    assert "in spite of them" in posted[-1]["text"]
    assert not any("edited" in message for message in posted)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"this is no database " * 100, id="foreign file"),
        pytest.param(b"SQLite format 3\0" * 99, id="corrupt"),
    ],
)
def test_an_unusable_database_is_refused_and_left_alone(bench: Bench, slack: SimulatedSlack, content: bytes) -> None:
    file = bench.directory / "worker.db"
    file.write_bytes(content)
    done = bench.run("run")
    assert done.returncode == 78
    assert "worker.db" in done.stderr
    assert file.read_bytes() == content
    assert not slack.attempts


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"LANGSMITH_API_KEY": ""}, "LANGSMITH_API_KEY", id="no key"),
        pytest.param({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN", id="no token"),
        pytest.param({"WORKER_CHANNEL": ""}, "WORKER_CHANNEL", id="no channel"),
        pytest.param({"WORKER_STALE_AFTER": "soon"}, "WORKER_STALE_AFTER", id="no duration"),
        pytest.param({"LANGSMITH_ENDPOINT": "http://langsmith.example"}, "LANGSMITH_ENDPOINT", id="not encrypted"),
    ],
)
def test_bad_settings_end_with_78_and_a_name(bench: Bench, settings: dict[str, str], named: str) -> None:
    done = bench.run("run", **settings)
    assert done.returncode == 78
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_check_says_the_revision_and_changes_nothing(bench: Bench) -> None:
    before = bench.run("migrate", "--check")
    assert (before.returncode, "has no tables yet" in before.stdout) == (1, True)
    assert not (bench.directory / "worker.db").exists()
    assert bench.run("migrate").returncode == 0
    after = bench.run("migrate", "--check")
    assert (after.returncode, after.stdout) == (0, f"The database has revision {HEAD}, the newest.\n")
    assert bench.run("migrate", "--check", "--from", "worker.db").returncode == 2


HOURS = {"WORKER_ZONE": "Europe/Berlin", "WORKER_HOURS": "Mon-Fri 09:00-17:30", "WORKER_HOLIDAYS": "DE-BE"}


def test_hours_shows_when_a_calendar_is_open_without_a_database_and_without_a_key(bench: Bench) -> None:
    shown = bench.run("hours", "--json", "--at", "2026-04-02T17:30", **HOURS, LANGSMITH_API_KEY="", SLACK_BOT_TOKEN="")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["open"], found["next_opening"]) == (False, "2026-04-07T07:00:00Z")
    assert found["holidays"][:2] == [
        {"date": "2026-04-03", "name": "Good Friday", "by": "DE-BE"},
        {"date": "2026-04-06", "name": "Easter Monday", "by": "DE-BE"},
    ]
    assert "No hours" not in bench.run("hours", **HOURS).stdout
    assert bench.run("hours", "--at", "tomorrow", **HOURS).returncode == 2
    assert bench.run("hours", "no such queue", **HOURS).returncode == 1


def test_hours_of_a_queue_by_its_name_and_its_id(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    (bench.directory / "worker.toml").write_text('[calendars.n]\nhours = "22:00-06:00"\n[defaults]\ncalendar = "n"\n')
    assert bench.run("poll").returncode == 0
    for wanted in (str(queue), langsmith.queues[0].name):
        shown = bench.run("hours", wanted)
        assert shown.stdout.startswith("Calendar: n, zone UTC, "), shown.stderr


def test_a_calendar_that_is_never_open_is_refused_before_anything_is_touched(
    bench: Bench, langsmith: SimulatedLangSmith
) -> None:
    (bench.directory / "worker.toml").write_text('[calendars.n]\nclosed = "2020-01-01..2099-12-31"\n')
    refused = bench.run("poll")
    assert refused.returncode == 78
    assert "calendars.n is never open in the next year; take days out of closed" in refused.stderr
    assert not langsmith.requests
    assert not (bench.directory / "worker.db").exists()


def test_test_posts_edits_looks_up_and_deletes_without_langsmith_and_outside_hours(
    bench: Bench, slack: SimulatedSlack
) -> None:
    bench.environment = {name: bench.environment[name] for name in ("SLACK_BOT_TOKEN", "SLACK_BASE_URL")}
    missing = bench.run("test")
    assert (missing.returncode, "WORKER_CHANNEL: is missing" in missing.stderr) == (78, True)
    closed = {"WORKER_HOURS": "Mon 00:00-00:01", "WORKER_ZONE": "UTC"}
    done = bench.run("test", "--json", WORKER_CHANNEL=CHANNEL, **closed)
    found = {each["check"].partition(" in ")[0]: each["ok"] for each in json.loads(done.stdout)["checks"]}
    assert (done.returncode, found) == (0, dict.fromkeys(("post", "edit", "look up", "delete"), True))
    assert not slack.messages(CHANNEL)
    assert not list(bench.directory.iterdir())
    slack.kick(LEADS)
    refused = bench.run("test", "--channel", LEADS, WORKER_CHANNEL=CHANNEL)
    assert (refused.returncode, "/invite" in refused.stdout) == (1, True)
    assert len(slack.posts) == 2


def test_init_goes_from_nothing_to_the_first_message(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue, name="waiting")
    given = bench.environment
    bench.environment = {name: given[name] for name in ("LANGSMITH_ENDPOINT", "SLACK_BASE_URL")}
    missing = bench.run("init")
    assert (missing.returncode, "--key" in missing.stderr) == (2, True)
    options = ["--queues", "Support QA", "--channel", "support", "--yes", "--test"]
    secrets = {name: given[name] for name in ("LANGSMITH_API_KEY", "SLACK_BOT_TOKEN")}
    done = bench.run("init", *options, **secrets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "next poll: 1 queue: 1 baseline" in done.stdout
    assert "delete in #support" in done.stdout
    bench.environment = {}
    assert bench.run("poll").returncode == 0
    assert [message["text"].split("\n")[0] for message in slack.messages(CHANNEL)] == ["1 run is waiting in Support QA"]
    again = bench.run("init", *options, **secrets)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
