from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from tests.support.builders import to
from tests.support.settings_place import COMPLETE, KEY, NOTHING, TOKEN, Place
from worker.settings import ALL, LangsmithApi, LogFormat, LogLevel, Need, load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    directory = tmp_path / "here"
    directory.mkdir()
    return Place(directory, tmp_path / "mount")


def reveal(secret: object) -> object:
    return secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret


# --- defaults


def test_nothing_is_required_of_a_command_that_needs_the_database_alone(place: Place) -> None:
    settings = place.load()
    assert settings.database_url == f"sqlite:///{place.directory}/worker.db"
    assert settings.langsmith_endpoint == "https://api.smith.langchain.com"
    assert settings.langsmith_web_url == "https://smith.langchain.com"
    assert settings.slack_base_url == "https://slack.com/api/"
    assert (settings.langsmith_api_key, settings.slack_bot_token, settings.heartbeat_url) == (None, None, None)
    assert (settings.langsmith_workspace_id, settings.ops_channel, settings.http_address) == (None, None, None)
    assert (settings.langsmith_api, settings.requests_per_second) == (LangsmithApi.AUTO, 20.0)
    assert (settings.keep_deliveries, settings.keep_reviews) == (timedelta(days=30), timedelta(days=90))
    assert (settings.log_level, settings.log_format) == (LogLevel.INFO, LogFormat.AUTO)
    assert (settings.allow_http, settings.all_queues, settings.queues) == (False, False, ())
    assert settings.statuses == ("needs_my_review",)
    assert settings.config is None
    assert settings.unknown_names() == ()


def test_every_single_setting_is_read(place: Place) -> None:
    settings = place.load_all(
        {
            "LANGSMITH_ENDPOINT": "http://langsmith.internal/api/v1",
            "LANGSMITH_WORKSPACE_ID": "11111111-2222-4333-8444-555555555555",
            "LANGSMITH_WEB_URL": "https://pages.internal/",
            "SLACK_BASE_URL": "https://slack-gov.com/api",
            "WORKER_STATUSES": "needs_my_review,needs_others_review",
            "WORKER_OPS_CHANNEL": "#ops",
            "WORKER_LANGSMITH_API": "items",
            "WORKER_REQUESTS_PER_SECOND": "2.5",
            "WORKER_DATABASE_URL": "postgresql://u:p@host/db",
            "WORKER_HTTP_ADDRESS": "[::1]:8814",
            "WORKER_HTTP_HOSTS": "a.example.com,b.example.com",
            "WORKER_HTTP_TOKEN": "0123456789abcdef",
            "WORKER_HTTP_OPEN": "true",
            "WORKER_HEARTBEAT_URL": "https://hc.example.com/ping/1",
            "WORKER_KEEP_DELIVERIES": "3d",
            "WORKER_KEEP_REVIEWS": "4d",
            "WORKER_LOG_LEVEL": "DEBUG",
            "WORKER_LOG_FORMAT": "json",
            "WORKER_ALLOW_HTTP": "true",
        }
    )
    assert reveal(settings.langsmith_api_key) == KEY
    assert reveal(settings.slack_bot_token) == TOKEN
    assert settings.langsmith_endpoint == "http://langsmith.internal"
    assert settings.langsmith_workspace_id == "11111111-2222-4333-8444-555555555555"
    assert settings.langsmith_web_url == "https://pages.internal"
    assert settings.slack_base_url == "https://slack-gov.com/api/"
    assert settings.statuses == ("needs_my_review", "needs_others_review")
    assert settings.ops_channel == to("ops")
    assert settings.langsmith_api is LangsmithApi.ITEMS
    assert settings.requests_per_second == 2.5
    assert settings.database_url == "postgresql+psycopg://u:p@host/db"
    assert settings.http_address == ("::1", 8814)
    assert settings.http_hosts == ("a.example.com", "b.example.com")
    assert (reveal(settings.http_token), settings.http_open) == ("0123456789abcdef", True)
    assert reveal(settings.heartbeat_url) == "https://hc.example.com/ping/1"
    assert (settings.keep_deliveries, settings.keep_reviews) == (timedelta(days=3), timedelta(days=4))
    assert (settings.log_level, settings.log_format) == (LogLevel.DEBUG, LogFormat.JSON)
    assert settings.allow_http


def test_settings_cannot_be_changed(place: Place) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        place.load().log_level = LogLevel.DEBUG  # type: ignore[misc]


def test_the_root_of_the_links_follows_the_endpoint_unless_given(place: Place) -> None:
    assert place.load({"LANGSMITH_ENDPOINT": "https://eu.api.smith.langchain.com"}).langsmith_web_url == (
        "https://eu.smith.langchain.com"
    )
    assert place.load({"LANGSMITH_ENDPOINT": "https://api.example.com"}).langsmith_web_url is None
    given = {"LANGSMITH_ENDPOINT": "https://api.example.com", "LANGSMITH_WEB_URL": "https://www.example.com"}
    assert place.load(given).langsmith_web_url == "https://www.example.com"


def test_the_tenant_id_is_the_workspace_id(place: Place) -> None:
    assert place.load({"LANGSMITH_TENANT_ID": "tenant"}).langsmith_workspace_id == "tenant"
    both = {"LANGSMITH_TENANT_ID": "tenant", "LANGSMITH_WORKSPACE_ID": "workspace"}
    assert place.load(both).langsmith_workspace_id == "workspace"


@pytest.mark.parametrize(
    ("state", "file"),
    [
        ("/var/lib/worker", "/var/lib/worker/worker.db"),
        ("/var/lib/worker:/var/lib/other", "/var/lib/worker/worker.db"),
        ("/var/lib/50%", "/var/lib/50%25/worker.db"),
    ],
)
def test_the_database_is_in_the_state_directory(place: Place, state: str, file: str) -> None:
    assert place.load({"STATE_DIRECTORY": state}).database_url == f"sqlite:///{file}"


def test_a_database_that_is_given_is_not_moved_to_the_state_directory(place: Place) -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/worker", "WORKER_DATABASE_URL": "sqlite:///mine.db"}
    assert place.load(environ).database_url == f"sqlite:///{place.directory}/mine.db"


# --- precedence


def test_the_first_place_that_has_a_setting_gives_it(place: Place) -> None:
    channels = []
    place.write("worker.toml", '[defaults]\nchannel = "from-toml"')
    channels.append(place.load().defaults.channel.place)
    place.write(".env", "WORKER_CHANNEL=from-dotenv")
    channels.append(place.load().defaults.channel.place)
    channels.append(place.load({"WORKER_CHANNEL": "from-environment"}).defaults.channel.place)
    assert channels == ["from-toml", "from-dotenv", "from-environment"]


def test_places_complete_each_other(place: Place) -> None:
    place.write("worker.toml", '[defaults]\nstale_after = "1h"\nremind_every = "2h"')
    place.write(".env", "WORKER_REMIND_EVERY=3h\nWORKER_EDIT_FOR=4d")
    defaults = place.load({"WORKER_EDIT_FOR": "5d"}).defaults
    assert (defaults.stale_after, defaults.remind_every, defaults.edit_for) == (
        timedelta(hours=1),
        timedelta(hours=3),
        timedelta(days=5),
    )


def test_the_first_place_that_has_a_secret_gives_it(place: Place) -> None:
    seen = []
    run_secrets = place.mount
    run_secrets.mkdir()
    credentials = place.directory / "credentials"
    credentials.mkdir()
    named = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "SLACK_BOT_TOKEN_FILE": str(place.write("mine", "xoxb-named\n")),
    }
    (run_secrets / "slack_bot_token").write_text("xoxb-run-secrets\n")
    seen.append(place.load().slack_bot_token)
    (credentials / "slack_bot_token").write_text("xoxb-credentials")
    seen.append(place.load({"CREDENTIALS_DIRECTORY": str(credentials)}).slack_bot_token)
    seen.append(place.load(named).slack_bot_token)
    place.write(".env", "SLACK_BOT_TOKEN=xoxb-dotenv")
    seen.append(place.load(named).slack_bot_token)
    seen.append(place.load({**named, "SLACK_BOT_TOKEN": "xoxb-environment"}).slack_bot_token)
    assert [reveal(secret) for secret in seen] == [
        "xoxb-run-secrets",
        "xoxb-credentials",
        "xoxb-named",
        "xoxb-dotenv",
        "xoxb-environment",
    ]


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_text_gives_nothing(place: Place, empty: str) -> None:
    place.write(".env", "WORKER_CHANNEL=from-dotenv\nWORKER_LOG_LEVEL=")
    settings = place.load({"WORKER_CHANNEL": empty, "WORKER_CONFIG": empty, "SLACK_BOT_TOKEN_FILE": empty})
    assert settings.defaults.channel.place == "from-dotenv"
    assert settings.log_level is LogLevel.INFO


# --- .env


def test_dotenv_is_read_literally(place: Place) -> None:
    place.write(
        ".env",
        "# a comment\n\nexport WORKER_CHANNEL=#general\nWORKER_LOG_LEVEL=debug # why\n"
        "WORKER_QUEUES='Support QA'\nSLACK_BOT_TOKEN=\"xoxb-${HOME}\"\nOTHER=x\n",
    )
    settings = place.load()
    assert settings.defaults.channel.place == "general"
    assert settings.log_level is LogLevel.DEBUG
    assert settings.listed == ("Support QA",)
    assert reveal(settings.slack_bot_token) == "xoxb-${HOME}"


def test_a_line_of_dotenv_that_is_none_is_named(place: Place) -> None:
    place.write(
        ".env", "WORKER_CHANNEL=general\n\n\nxoxb-MARKED\nSLACK BOT TOKEN=xoxb-MARKED\nWORKER_LOG_LEVEL='debug\n"
    )
    lines = place.refusal()
    assert lines == [f".env: line {line} is not NAME=value; correct it or put # before it" for line in (4, 5, 6)]


def test_dotenv_that_cannot_be_read_is_named(place: Place) -> None:
    (place.directory / ".env").mkdir()
    assert place.refusal() == [".env: cannot be read (Is a directory); make it a file that this user may read"]


def test_dotenv_that_is_not_text_is_named(place: Place) -> None:
    place.write(".env", b"WORKER_CHANNEL=x\nWORKER_QUEUES=\xff")
    assert place.refusal() == [".env: is not UTF-8 text (line 2); save it as UTF-8"]


def test_a_byte_order_mark_and_windows_line_ends_are_fine(place: Place) -> None:
    place.write(".env", b"\xef\xbb\xbfWORKER_CHANNEL=general\r\nWORKER_LOG_LEVEL=debug\r\n")
    assert place.load().defaults.channel.place == "general"
    assert place.load().log_level is LogLevel.DEBUG


def test_a_bad_value_in_dotenv_is_named_with_its_line(place: Place) -> None:
    place.write(".env", "WORKER_POLL_INTERVAL=0s\nLANGSMITH_TENANT_ID=é\n")
    lines = place.refusal()
    assert lines[0].startswith(
        ".env, line 2: LANGSMITH_TENANT_ID: 'é' contains white space or a character outside ASCII"
    )
    assert lines[1].startswith(".env, line 1: WORKER_POLL_INTERVAL: '0s' is zero; write")


# --- secret files


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANGSMITH_API_KEY", "lsv2_pt_1"),
        ("SLACK_BOT_TOKEN", "xoxb-1"),
        ("WORKER_DATABASE_URL", "postgresql+psycopg://u:p@host/db"),
        ("WORKER_HEARTBEAT_URL", "https://hc.example.com/1"),
        ("WORKER_HTTP_TOKEN", "0123456789abcdef"),
    ],
)
def test_each_secret_comes_from_a_file_too(place: Place, name: str, value: str) -> None:
    attribute = name.lower().removeprefix("worker_")
    file = place.write("secret", f"{value}\n")
    assert reveal(getattr(place.load({f"{name}_FILE": str(file)}), attribute)) == value
    assert reveal(getattr(place.load({f"{name}_FILE": "secret"}), attribute)) == value
    place.mounted(name.lower(), f"{value}\r\n")
    assert reveal(getattr(place.load(), attribute)) == value


def test_a_file_may_be_named_in_dotenv(place: Place) -> None:
    place.write("token", "xoxb-1")
    place.write(".env", "SLACK_BOT_TOKEN_FILE=token")
    assert reveal(place.load().slack_bot_token) == "xoxb-1"


def test_only_secrets_come_from_files(place: Place) -> None:
    place.mounted("worker_channel", "general")
    settings = place.load({"WORKER_CHANNEL_FILE": "channel"})
    assert settings.defaults.channel.place == ""
    assert settings.unknown_names() == (
        "WORKER_CHANNEL_FILE is not a setting and has no effect (only secrets come from files: set WORKER_CHANNEL)",
    )


def test_a_secret_file_that_cannot_be_read_is_named(place: Place) -> None:
    (line,) = place.refusal({"SLACK_BOT_TOKEN_FILE": "missing"}, frozenset({Need.SLACK}))
    assert line.startswith("SLACK_BOT_TOKEN: the file missing cannot be read (No such file or direc")
    assert line.endswith("; make it a file that this user may read")


def test_a_secret_file_of_absurd_size_is_not_read_on(place: Place) -> None:
    lines = place.refusal({"SLACK_BOT_TOKEN_FILE": os.devnull.replace("null", "zero")}, frozenset({Need.SLACK}))
    assert lines[0].endswith("is larger than 1 MiB, which no file of settings is; check that it is the right one")


def test_a_secret_file_that_the_command_does_not_need_may_be_closed_to_it(place: Place) -> None:
    environ = {"SLACK_BOT_TOKEN_FILE": "missing", "LANGSMITH_API_KEY_FILE": "missing"}
    assert place.load(environ).slack_bot_token is None
    assert [line.partition(":")[0] for line in place.refusal(environ, frozenset({Need.LANGSMITH}))] == [
        "LANGSMITH_API_KEY"
    ]


def test_a_file_with_the_databases_url_is_always_needed(place: Place) -> None:
    assert place.refusal({"WORKER_DATABASE_URL_FILE": "missing"})[0].startswith("WORKER_DATABASE_URL: the file ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("two words", "contains white space"),
        ("xoxp-1", "is a user token"),
        ("a\nb", "contains a line break"),
    ],
)
def test_what_is_wrong_in_a_secret_file_is_named_with_the_file(place: Place, content: str, reason: str) -> None:
    file = place.mounted("slack_bot_token", content)
    (line,) = place.refusal()
    assert line.startswith(f"SLACK_BOT_TOKEN (in the file {file}): the value {reason}")


def test_folders_of_secrets_that_are_not_there_or_closed_give_nothing(place: Place) -> None:
    place.write("file", "")
    for folder in ("gone", "file", "x" * 5000):
        assert place.load({"CREDENTIALS_DIRECTORY": folder}).slack_bot_token is None


# --- what is required


@pytest.mark.parametrize(
    ("needs", "names"),
    [
        (NOTHING, []),
        ({Need.LANGSMITH}, ["LANGSMITH_API_KEY"]),
        ({Need.SLACK}, ["SLACK_BOT_TOKEN"]),
        ({Need.QUEUES}, ["WORKER_QUEUES"]),
        ({Need.LANGSMITH, Need.QUEUES}, ["LANGSMITH_API_KEY", "WORKER_QUEUES"]),
        (ALL, ["LANGSMITH_API_KEY", "SLACK_BOT_TOKEN", "WORKER_QUEUES", "WORKER_CHANNEL"]),
    ],
    ids=lambda value: "+".join(sorted(value)) or "nothing",
)
def test_what_a_command_needs_is_asked_for_with_the_fix(place: Place, needs: set[Need], names: list[str]) -> None:
    if not names:
        assert place.load({}, frozenset(needs))
        return
    lines = place.refusal({}, frozenset(needs))
    assert [line.partition(":")[0] for line in lines] == names
    assert all(": is missing; " in line for line in lines)


def test_a_command_that_has_all_it_needs_starts(place: Place) -> None:
    settings = place.load_all()
    assert [(queue.queue, queue.channel.place) for queue in settings.queues] == [("Support QA", "C0123456789")]


def test_a_dry_run_needs_no_channel(place: Place) -> None:
    environ = {"LANGSMITH_API_KEY": KEY, "WORKER_QUEUES": "Support QA"}
    settings = place.load(environ, frozenset({Need.LANGSMITH, Need.QUEUES}))
    assert (settings.queues[0].channel.place, settings.queues[0].escalate_to.place) == ("", "")


@pytest.mark.parametrize(
    ("listed", "for_whom"),
    [
        ("Support QA", "for 'Support QA';"),
        ("all", "for every queue;"),
        ("Served,Support QA,all", "for 'Support QA', every queue;"),
        ("a,b,c,d,e,f,g", "for 'a', 'b', 'c', 'd', 'e', 2 more;"),
    ],
)
def test_the_queues_without_a_channel_are_named(place: Place, listed: str, for_whom: str) -> None:
    place.write("worker.toml", '[[queues]]\nqueue = "Served"\nchannel = "served"')
    environ = COMPLETE | {"WORKER_QUEUES": listed, "WORKER_CHANNEL": ""}
    (line,) = place.refusal(environ, ALL)
    assert line.startswith(f"WORKER_CHANNEL: is missing {for_whom} set the id of the Slack channel")


def test_no_common_channel_is_needed_where_each_queue_has_its_own(place: Place) -> None:
    place.write("worker.toml", '[[queues]]\nqueue = "Served"\nchannel = "served"')
    environ = COMPLETE | {"WORKER_QUEUES": "Served", "WORKER_CHANNEL": ""}
    assert [queue.channel.place for queue in place.load(environ, ALL).queues] == ["served"]


@pytest.mark.parametrize(
    ("environ", "asked", "typed"),
    [
        ({"SLACK_TOKEN": TOKEN}, "SLACK_BOT_TOKEN", "SLACK_TOKEN"),
        ({"LANGCHAIN_API_KEY": KEY}, "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"),
        ({"WORKER_QUEUE": "x"}, "WORKER_QUEUES", "WORKER_QUEUE"),
        ({"WORKER_CHANEL": "x"}, "WORKER_CHANNEL", "WORKER_CHANEL"),
    ],
)
def test_a_missing_setting_is_looked_for_among_mistyped_names(
    place: Place, environ: dict[str, str], asked: str, typed: str
) -> None:
    place.write(".env", "\n".join(f"{name}={value}" for name, value in environ.items()))
    for given in (environ, {}):
        lines = place.refusal(given, ALL)
        (line,) = (line for line in lines if line.startswith(f"{asked}:"))
        assert line.endswith(f" ({typed} is set: was this name meant?)")
        assert not any("was this name meant" in other for other in lines if other is not line)


# --- one error for all


def test_all_that_is_wrong_is_said_at_once(place: Place) -> None:
    place.write("worker.toml", '[defaults]\nstale_after = "soon"\n[[queues]]\nqueue = "A"\nshow = ["x"]\n')
    place.write(".env", "WORKER_LOG_LEVEL=loud\n")
    environ = {"WORKER_POLL_INTERVAL": "60", "SLACK_BOT_TOKEN": "xoxp-1", "LANGSMITH_ENDPOINT": "http://example.com"}
    lines = place.refusal(environ, ALL)
    beginnings = [
        "LANGSMITH_ENDPOINT: 'http://example.com' would",
        "SLACK_BOT_TOKEN: the value is a user token",
        "WORKER_POLL_INTERVAL: '60' is not",
        "worker.toml: defaults.stale_after: 'soon' is not",
        'worker.toml: queues[0].show: ["x"] names',
        ".env, line 1: WORKER_LOG_LEVEL: 'loud' is not",
        "LANGSMITH_API_KEY: is missing",
        "WORKER_CHANNEL: is missing for 'A'",
    ]
    assert [line[: len(start)] for line, start in zip(lines, beginnings, strict=True)] == beginnings


def test_a_bad_endpoint_does_not_hide_the_rest(place: Place) -> None:
    lines = place.refusal({"LANGSMITH_ENDPOINT": "x", "WORKER_ALLOW_HTTP": "perhaps", "SLACK_BASE_URL": "y"})
    assert [line.partition(":")[0] for line in lines] == ["WORKER_ALLOW_HTTP", "LANGSMITH_ENDPOINT", "SLACK_BASE_URL"]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("WORKER_STALE_AFTER", "soon", "'soon' is not a duration with its unit; write one such as 90s, 15m, 4h, 2d, "),
        ("WORKER_REMIND_EVERY", "-1d", "'-1d' is not a duration"),
        ("WORKER_ESCALATE_AFTER", "0s", "'0s' is zero"),
        ("WORKER_EDIT_FOR", "1e9d", "'1e9d' is not a duration"),
        ("WORKER_KEEP_REVIEWS", "never", "'never' is not a duration"),
        ("WORKER_KEEP_DELIVERIES", "4000d", "'4000d' is longer than 3650d"),
        ("WORKER_POLL_INTERVAL", "500ms", "'500ms' is not a duration"),
        ("WORKER_POLL_INTERVAL", "never", "'never' is not a duration"),
        ("WORKER_CHANNEL", "Support QA", "'Support QA' is neither a Slack channel's id nor its name"),
        ("WORKER_OPS_CHANNEL", "@ann", "'@ann' is neither a Slack channel's id nor its name"),
        ("WORKER_ESCALATE_TO", "S0TEAM", "'S0TEAM' is neither a Slack channel's id nor its name"),
        ("WORKER_ESCALATE_MENTION", "@ann", "'@ann' has a name that is not a Slack id"),
        ("WORKER_REMIND_RESERVED", "maybe", "'maybe' is neither true nor false"),
        ("WORKER_SHOW", "name,inputs", "'name,inputs' names something that is not one of name, type, age"),
        ("WORKER_REMIND_IN", "dm", "'dm' is not one of channel, thread, both"),
        ("WORKER_ON_UNKNOWN", "drop", "'drop' is not one of resend, hold"),
        ("WORKER_QUEUES", "a,a", "'a,a' names 'a' twice"),
        ("WORKER_STATUSES", "completed", "'completed' names a status that cannot be watched"),
        ("WORKER_LANGSMITH_API", "v2", "'v2' is not one of auto, runs, items"),
        ("WORKER_REQUESTS_PER_SECOND", "0", "'0' is not a number from 0.1"),
        ("WORKER_OPS_CHANNEL", "\udcc3\udc9c", r"'\udcc3\udc9c' is not UTF-8 text, or the locale is not one of UTF-8"),
        ("WORKER_HTTP_ADDRESS", "8814", "'8814' is not host:port"),
        ("WORKER_LOG_LEVEL", "loud", "'loud' is not one of debug, info, warning, error"),
        ("WORKER_LOG_FORMAT", "xml", "'xml' is not one of auto, console, json"),
        ("WORKER_ALLOW_HTTP", "perhaps", "'perhaps' is neither true nor false"),
        ("LANGSMITH_ENDPOINT", "http://x.com", "'http://x.com' would send secrets unencrypted"),
        ("LANGSMITH_WEB_URL", "x.com", "'x.com' is not a whole address"),
        ("LANGSMITH_WORKSPACE_ID", "a b", "'a b' contains white space"),
        ("LANGSMITH_TENANT_ID", "a b", "'a b' contains white space"),
        ("SLACK_BASE_URL", "slack.com", "'slack.com' is not a whole address"),
        ("LANGSMITH_API_KEY", "a b", "the value contains white space"),
        ("SLACK_BOT_TOKEN", "abc", "the value does not begin with xoxb-"),
        ("WORKER_DATABASE_URL", "oracle://x", "the value is neither SQLite nor PostgreSQL"),
        ("WORKER_HEARTBEAT_URL", "hc.example.com", "the value is not a whole address"),
        ("WORKER_HTTP_TOKEN", "0123456789abcde", "the value does not keep others out"),
    ],
)
def test_a_bad_value_is_named_and_shown_with_its_fix(place: Place, name: str, value: str, line: str) -> None:
    (said,) = place.refusal({name: value})
    assert said.startswith(f"{name}: {line}")
    assert "; " in said, "the fix"


def test_a_long_value_is_cut(place: Place) -> None:
    (line,) = place.refusal({"WORKER_LOG_LEVEL": "x" * 5000})
    assert line.startswith("WORKER_LOG_LEVEL: '" + "x" * 100 + "…' is not")


# --- unknown names


def test_unknown_names_of_ours_are_found(place: Place) -> None:
    place.write(".env", "WORKER_STALE=4h\nSLACK_TEAM=x\n")
    environ = {
        "WORKER_STALE_AFTR": "4h",
        "WORKER_42": "",
        "WORKER_CHANNEL": "general",
        "SLACK_BOT_TOKEN_FILE": "",
        "WORKER_DATABASE_URL_FILE": "",
        "LANGSMITH_PROJECT": "x",
        "LANGSMITH_TENANT_ID": "x",
        "worker_channel": "x",
    }
    assert place.load(environ).unknown_names() == (
        "WORKER_42 is not a setting and has no effect",
        "WORKER_STALE_AFTR is not a setting and has no effect (did you mean WORKER_STALE_AFTER?)",
        ".env, line 1: WORKER_STALE is not a setting and has no effect (did you mean WORKER_STALE_AFTER?)",
    )


LINKS = {
    "WORKER_PORT": "tcp://10.0.0.1:80",
    "WORKER_PORT_80_TCP": "tcp://10.0.0.1:80",
    "WORKER_PORT_80_TCP_PROTO": "tcp",
    "WORKER_PORT_80_TCP_PORT": "80",
    "WORKER_PORT_80_TCP_ADDR": "10.0.0.1",
    "WORKER_SERVICE_HOST": "10.0.0.1",
    "WORKER_SERVICE_PORT": "80",
    "WORKER_SERVICE_PORT_HTTP": "80",
    "WORKER_QUEUES_PORT": "udp://10.0.0.2:53",
    "WORKER_QUEUES_SERVICE_HOST": "10.0.0.2",
    "LANGSMITH_PORT": "tcp://10.0.0.3:1984",
    "LANGSMITH_API_KEY_PORT": "tcp://10.0.0.3:1984",
}
"""What Kubernetes puts into every container beside services of these names."""


def test_links_to_services_are_no_findings_and_no_names_that_may_be_meant(place: Place) -> None:
    assert place.load_all(LINKS).unknown_names() == ()
    lines = place.refusal(LINKS, ALL)
    assert all("missing" in line and "was this name meant" not in line for line in lines)


def test_what_only_looks_like_a_link_is_found(place: Place) -> None:
    (line,) = place.load({"WORKER_PORT": "8814"}).unknown_names()
    assert line.startswith("WORKER_PORT is not a setting")


def test_the_endpoint_of_the_sdk_is_noticed_where_ours_is_not_set(place: Place) -> None:
    other = {"LANGCHAIN_ENDPOINT": "https://eu.api.smith.langchain.com"}
    (line,) = place.load(other).unknown_names()
    assert "was LANGSMITH_ENDPOINT meant?" in line
    assert place.load(other | {"LANGSMITH_ENDPOINT": "https://api.smith.langchain.com"}).unknown_names() == ()
    place.write("worker.toml", 'langsmith_endpoint = "https://eu.api.smith.langchain.com"\n')
    assert place.load(other).unknown_names() == ()


# --- the process' own


def test_the_process_own_environment_and_directory_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WORKER_LOG_LEVEL=debug\n")
    program = "from worker.settings import load; s = load(frozenset()); print(s.log_level, s.log_format, s.directory)"
    environ = {"PATH": os.environ["PATH"], "WORKER_LOG_FORMAT": "json", "PYTHONPATH": os.pathsep.join(sys.path)}  # noqa: TID251  a child's
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["debug", "json", str(tmp_path)]


def test_a_relative_directory_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(NOTHING, environ={}, directory=tmp_path.relative_to(tmp_path), run_secrets=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/worker.db"


def test_reading_settings_loads_no_heavy_library() -> None:
    program = (
        "import sys, pathlib, tempfile\n"
        "from worker.settings import load\n"
        "here = pathlib.Path(tempfile.gettempdir())\n"
        "load(frozenset(), environ={'WORKER_DATABASE_URL': 'postgresql://u@h/d'}, directory=here)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    heavy = {
        "sqlalchemy",
        "httpx",
        "slack_sdk",
        "alembic",
        "apscheduler",
        "rich",
        "typer",
        "starlette",
        "uvicorn",
        "psycopg",
    }
    assert not heavy & set(done.stdout.decode().split())
