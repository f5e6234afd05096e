from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from tests.support.settings_place import COMPLETE, NOTHING, Place
from worker.core.ports import ConfigError
from worker.settings import ALL, secrets
from worker.settings.layers import TOP_KEYS, read_text
from worker.settings.loading import masked, shown
from worker.settings.model import EVERY, PER_QUEUE

MARKED = {
    "LANGSMITH_API_KEY": "lsv2_sk_MARKED",
    "SLACK_BOT_TOKEN": "xoxb-MARKED",
    "SLACK_APP_TOKEN": "xapp-MARKED",
    "WORKER_DATABASE_URL": "postgresql://user:MARKED%40word@host/db",
    "WORKER_HEARTBEAT_URL": "https://hc.example.com/ping/MARKED",
    "WORKER_HTTP_TOKEN": "MARKED0123456789abcdef",
}
OPEN = [name.env for name in EVERY.values() if not name.secret]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def everything_said(place: Place, environ: dict[str, str]) -> str:
    """All that could be printed of what becomes of these settings: the settings, or the error with its traceback."""
    try:
        settings = place.load(environ, ALL)
    except ConfigError as error:
        behind = [error.__cause__, error.__context__]
        return "".join([*traceback.format_exception(error), repr(behind)])
    return f"{settings!r} {settings} {settings.queues} {settings.defaults}"


def in_environment(place: Place, name: str, value: str) -> dict[str, str]:
    del place
    return {name: value}


def in_dotenv(place: Place, name: str, value: str) -> dict[str, str]:
    place.write(".env", f"{name}={value}\n")
    return {name: ""}


def in_mount(place: Place, name: str, value: str) -> dict[str, str]:
    place.mounted(name.lower(), value)
    return {name: ""}


def in_named_file(place: Place, name: str, value: str) -> dict[str, str]:
    return {f"{name}_FILE": str(place.write("secret", value)), name: ""}


PLACES = [in_environment, in_dotenv, in_mount, in_named_file]


@pytest.mark.parametrize("put", PLACES, ids=lambda put: put.__name__)
@pytest.mark.parametrize(("name", "value"), MARKED.items(), ids=list(MARKED))
def test_a_good_secret_is_never_shown(place: Place, put: object, name: str, value: str) -> None:
    environ = COMPLETE | put(place, name, value)  # type: ignore[operator]
    assert "MARKED" not in everything_said(place, environ)
    assert any("MARKED" in secret for secret in secrets(place.load(environ, ALL))), "it was read"


def test_pydantics_error_which_holds_the_values_does_not_travel_with_ours(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        place.load({"SLACK_BOT_TOKEN": "MARKED"})
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("put", PLACES, ids=lambda put: put.__name__)
@pytest.mark.parametrize("bad", ["xoxp-MARKED", "MARKED key", "'MARKED", "MARKEDé", "mysql://u:MARKED@h/d", "MARKED"])
@pytest.mark.parametrize("name", MARKED)
def test_a_bad_secret_is_never_shown(place: Place, put: object, name: str, bad: str) -> None:
    said = everything_said(place, COMPLETE | put(place, name, bad))  # type: ignore[operator]
    assert "MARKED" not in said


@pytest.mark.parametrize("value", MARKED.values(), ids=list(MARKED))
@pytest.mark.parametrize("name", OPEN)
def test_a_secret_in_the_wrong_setting_is_not_shown_in_an_error(place: Place, name: str, value: str) -> None:
    for form in (value, f"{value} x", f"x{value}", f"0,{value}", "x" * 95 + value):
        with pytest.raises(ConfigError) as caught:
            place.load(MARKED | {name: form, "WORKER_LOG_LEVEL": form, "WORKER_LOG_FORMAT": "none"}, ALL)
        assert "MARKED" not in str(caught.value)


@pytest.mark.parametrize("value", MARKED.values(), ids=list(MARKED))
def test_a_secret_where_a_path_belongs_is_not_shown_in_an_error(place: Place, value: str) -> None:
    for name in ("WORKER_CONFIG", "SLACK_BOT_TOKEN_FILE", "WORKER_DATABASE_URL_FILE"):
        without = {key: text for key, text in MARKED.items() if f"{key}_FILE" != name}
        assert "MARKED" not in "\n".join(place.refusal(without | {name: value}, ALL))


@pytest.mark.parametrize("key", [*TOP_KEYS, *PER_QUEUE])
@pytest.mark.parametrize("value", MARKED.values(), ids=list(MARKED))
def test_a_secret_in_the_file_is_not_shown_in_an_error(place: Place, key: str, value: str) -> None:
    section = "[defaults]\n" if key in PER_QUEUE else ""
    for written in (f"'{value}'", f"['{value}']", f"{{ a = '{value}' }}"):
        place.write(
            "worker.toml", f"log_format = 'none'\n{section}{key} = {written}\n" if key != "log_format" else "x=1"
        )
        assert "MARKED" not in "\n".join(place.refusal(MARKED))


def test_an_unknown_setting_is_told_without_its_value(place: Place) -> None:
    settings = place.load({"WORKER_TOKEN": "xoxb-MARKED"})
    assert settings.unknown_names()
    assert "MARKED" not in repr(settings)


def test_the_log_is_told_every_secret(place: Place) -> None:
    settings = place.load(
        {
            "LANGSMITH_API_KEY": "lsv2_sk_1",
            "SLACK_BOT_TOKEN": "xoxb-1",
            "WORKER_DATABASE_URL": "postgresql://user:pass%40word@host/db?sslpassword=key",
            "WORKER_HEARTBEAT_URL": "https://hc.example.com/ping/8e1c?rid=1",
        }
    )
    found = secrets(settings)
    assert set(found) == {
        "lsv2_sk_1",
        "xoxb-1",
        "pass%40word",
        "pass@word",
        "key",
        "https://hc.example.com/ping/8e1c?rid=1",
        "ping/8e1c?rid=1",
    }
    assert list(found) == sorted(found, key=len, reverse=True), "a secret inside another would leave half of that one"


@pytest.mark.parametrize("url", ["https://hc.example.com", "https://hc.example.com/", "https://hc.example.com/up"])
def test_a_short_end_of_an_address_is_no_secret_by_itself(place: Place, url: str) -> None:
    assert secrets(place.load({"WORKER_HEARTBEAT_URL": url})) == (url,)


def test_no_settings_no_secrets(place: Place) -> None:
    assert secrets(place.load({}, NOTHING)) == ()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("use xoxb-0123 here", "use *** here"),
        ("XOXB-0123", "***"),
        ("xoxe.xoxp-1-abcd", "***"),
        ("xapp-1-A0-0123", "***"),
        ("(lsv2_pt_0a1b_2c3d)", "(***)"),
        ("ls__0123", "***"),
        ("https://u:p@host/x", "https://***@host/x"),
        ("'postgresql://u:a/b@c@host'", "'postgresql://***@host'"),
        ("set the token (xoxb-…), not xoxp-.", "set the token (xoxb-…), not xoxp-."),
        ("https://host/a@b is fine?", "https://***@b is fine?"),
        ("Support QA", "Support QA"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, kept: str) -> None:
    assert masked(text, ()) == kept


def test_known_secrets_are_masked_unless_they_are_words() -> None:
    assert masked("a hunter2hunter2 b short", {"hunter2hunter2", "hunter2h", "short"}) == "a *** b short"


def test_a_bare_scheme_is_masked_in_no_fix() -> None:
    assert masked("write sqlite:///worker.db", {"sqlite://"}) == "write sqlite:///worker.db"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("soon", "'soon'"),
        ("it's", '"it\'s"'),
        ("a\nb", r"'a\nb'"),
        (True, "true"),
        (60, "60"),
        (["ä"], '["ä"]'),
        ("x" * 101, "'" + "x" * 100 + "…'"),
        (["x" * 101], '["' + "x" * 98 + "…"),
        ("x" * 95 + "xoxb-0123456789", "'" + "x" * 95 + "***'"),
    ],
)
def test_a_value_is_shown_as_its_user_would_know_it(value: object, text: str) -> None:
    assert shown(value, ()) == text


def test_a_pipe_is_read_where_something_writes_to_it_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a pipe that holds nothing"):
        read_text(tmp_path / "pipe")
    read, write = os.pipe()
    os.write(write, b"marked")
    os.close(write)
    assert read_text(Path(f"/dev/fd/{read}")) == "marked"
    os.close(read)
