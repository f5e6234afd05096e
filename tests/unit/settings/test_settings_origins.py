"""What is in force, and where it says that each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_place import NOTHING, Place
from worker.commands.config import config_json, rows
from worker.settings.loading import loaded
from worker.settings.origins import in_force, places

if TYPE_CHECKING:
    from pathlib import Path

    from worker.settings.origins import AllInForce

KEY = "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789"
FILE = """
zone = "Europe/Berlin"
http_address = "127.0.0.1:9311"
[calendars.berlin]   # with hours
zone = "Europe/Berlin"
hours = ["Mon-Thu 09:00-17:30",
         "Fri 09:00-15:00"]

[defaults]
channel = "C0123456789"
calendar = "berlin"
escalate_after = "1d12h"

[[queues]]
queue = "Support QA"
'stale_after' = "90m"
remind_at = ["Mon-Fri 09:00"]

[[queues]]
queue = "Legal"
escalate_to = "C0LEADS0000"
edit_for = "never"

[people]
"Ada@Example.com" = { slack = "U0REVIEWER1" }
[nag]
per_run = 5
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def found(place: Place, environ: dict[str, str]) -> AllInForce:
    return in_force(loaded(NOTHING, environ=environ, directory=place.directory, run_secrets=place.mount))


def worker(all_of_it: AllInForce) -> dict[str, tuple[str, str]]:
    return {each.name: (each.value, each.origin) for each in (*all_of_it.worker, *all_of_it.tables)}


def test_each_setting_says_where_it_comes_from(place: Place) -> None:
    place.write("worker.toml", FILE)
    place.write(".env", f"\n# the key\nLANGSMITH_API_KEY={KEY}\n\nexport WORKER_POLL_INTERVAL='30s'\n")
    place.mounted("slack_bot_token", "xoxb-1-secret-of-slack")
    environ = {"WORKER_STALE_AFTER": "3h", "LANGSMITH_TENANT_ID": "7d0d7ee1-0000-4000-8000-000000000001"}
    everything = found(place, environ | {"STATE_DIRECTORY": "/var/lib/notifier"})
    shown = worker(everything)
    assert shown["LANGSMITH_API_KEY"] == ("set", ".env, line 3")
    assert shown["SLACK_BOT_TOKEN"] == ("set", f"the file {place.mount / 'slack_bot_token'}")
    assert shown["SLACK_APP_TOKEN"] == ("not set", "default")
    assert shown["LANGSMITH_WORKSPACE_ID"] == (environ["LANGSMITH_TENANT_ID"], "environment, as LANGSMITH_TENANT_ID")
    assert shown["WORKER_DATABASE_URL"] == ("sqlite:////var/lib/notifier/worker.db", "STATE_DIRECTORY")
    assert shown["WORKER_HTTP_ADDRESS"] == ("127.0.0.1:9311", "worker.toml, line 3")
    assert shown["WORKER_KEEP_REVIEWS"] == ("90d", "default")
    assert shown["WORKER_NAG_PER_RUN"] == ("5", "worker.toml, line 27")
    assert shown["calendars.berlin.hours"] == ("Mon-Thu 09:00-17:30, Fri 09:00-15:00", "worker.toml, line 6")
    assert shown["people.ada@example.com.slack"] == ("U0REVIEWER1", "worker.toml, line 25")
    assert shown["WORKER_QUEUES"] == ("Support QA, Legal", "worker.toml, line 14")
    support, legal = everything.queues
    assert (support.queue, legal.queue) == ("Support QA", "Legal")
    first = {each.key: (each.value, each.origin) for each in support.settings}
    assert first["stale_after"] == ("1h30m", "worker.toml, line 16")
    assert first["remind_at"] == ("Mon-Fri 09:00", "worker.toml, line 17")
    assert first["poll_interval"] == ("30s", ".env, line 5")
    assert first["escalate_to"] == ("C0123456789", "the queue's channel")
    assert first["escalate_after"] == ("1d12h", "worker.toml, line 12")
    second = {each.key: (each.value, each.origin) for each in legal.settings}
    assert second["stale_after"] == ("3h", "environment")
    assert second["escalate_to"] == ("C0LEADS0000", "worker.toml, line 21")
    assert second["edit_for"] == ("never", "worker.toml, line 22")


def test_a_secret_is_never_shown(place: Place) -> None:
    everything = found(
        place,
        {
            "LANGSMITH_API_KEY": KEY,
            "WORKER_DATABASE_URL": "postgresql+psycopg://ada:opensesame@db/worker",
            "WORKER_HEARTBEAT_URL": "https://switch.example/ping/8e1c0aa0",
            "WORKER_CHANNEL": "C0123456789",
            "WORKER_ZONE": "UTC",
        },
    )
    text = repr(everything) + repr(config_json(everything)) + repr([*rows(everything)])
    assert not any(secret in text for secret in (KEY, "opensesame", "8e1c0aa0"))
    assert worker(everything)["WORKER_DATABASE_URL"] == ("set", "environment")


def test_programs_get_every_queue_whole(place: Place) -> None:
    found_json = config_json(found(place, {"WORKER_QUEUES": "all", "WORKER_CHANNEL": "C0123456789"}))
    assert found_json["settings"]["WORKER_QUEUES"] == {"value": "all", "from": "environment"}
    assert found_json["settings"]["LANGSMITH_API_KEY"] == {"value": None, "from": "default"}
    (every,) = found_json["queues"]
    assert every["queue"] is None
    assert every["settings"]["channel"] == {"value": "C0123456789", "from": "environment"}
    assert every["settings"]["stale_after"] == {"value": "4h", "from": "default"}


def test_people_get_a_part_for_each_queue(place: Place) -> None:
    shown = [*rows(found(place, {"WORKER_QUEUES": "Support QA", "WORKER_CHANNEL": "C0123456789"}))]
    start = shown.index(("Queue Support QA", "", ""))
    assert shown[start + 1] == ("  channel", "C0123456789", "environment")
    assert ("LANGSMITH_API_KEY", "not set", "") in shown


def test_the_places_are_counted_each_setting_once(place: Place) -> None:
    place.write("worker.toml", '[defaults]\nchannel = "C0123456789"\n[[queues]]\nqueue = "A"\nstale_after = "1h"\n')
    place.write(".env", "LANGSMITH_API_KEY=abc\nWORKER_QUEUES=all\nWORKER_POLL_INTERVAL=30s\n")
    assert places(found(place, {"WORKER_LOG_LEVEL": "debug"})) == (
        "3 from .env, 1 from the environment, 2 from worker.toml"
    )


def test_the_last_of_two_lines_of_one_setting_is_the_one_in_force(place: Place) -> None:
    place.write(".env", "WORKER_POLL_INTERVAL=30s\nWORKER_POLL_INTERVAL=40s\n")
    (shown,) = [each for queue in found(place, {}).queues for each in queue.settings if each.key == "poll_interval"]
    assert (shown.value, shown.origin) == ("40s", ".env, line 2")
