from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.support.builders import to
from tests.support.settings_place import COMPLETE, Place
from worker.core.audience import Audience, Reach
from worker.core.delivery import OnUnknown
from worker.core.filters import Conditions, Order
from worker.core.model import RemindIn, Show
from worker.settings import ALL, LangsmithApi
from worker.settings.layers import TABLE_KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from worker.settings import PerQueue

QUEUE_ID = "c0ffee00-1111-4222-8333-444455556666"
OTHER_ID = "deadbeef-1111-4222-8333-444455556666"

CONTRACT = """
[defaults]
channel = "C0123456789"
stale_after = "4h"

[[queues]]
queue = "Support QA"              # id or name
channel = "C0SUPPORT00"
poll_interval = "30s"
stale_after = "2h"
remind_every = "1d"
escalate_after = "1d"
escalate_to = "C0LEADS0000"
escalate_mention = ["S0ONCALL00"]
remind_reserved = false
show = ["name", "type", "age", "tags"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def toml(place: Place, text: str) -> Place:
    place.write("worker.toml", text)
    return place


def refusal(place: Place, text: str) -> list[str]:
    return toml(place, text).refusal()


# --- what it gives


def named(queue: PerQueue) -> dict[str, object]:
    """What the file can say of a queue; a field without a name is none of its keys."""
    return {key: value for key, value in queue if key in TABLE_KEYS}


def test_the_file_of_the_contract_is_read(place: Place) -> None:
    settings = toml(place, CONTRACT).load()
    assert [named(queue) for queue in settings.queues] == [
        {
            "queue": "Support QA",
            "channel": to("C0SUPPORT00"),
            "poll_interval": timedelta(seconds=30),
            "calendar": "",
            "announce_every": timedelta(hours=1),
            "stale_after": timedelta(hours=2),
            "remind_every": timedelta(days=1),
            "escalate_after": timedelta(days=1),
            "escalate_every": None,
            "escalate_outside_hours": False,
            "escalate_to": to("C0LEADS0000"),
            "escalate_mention": ("S0ONCALL00",),
            "people": Audience.NOBODY,
            "owner": "",
            "tell": Reach.CHANNEL,
            "remind_reserved": False,
            "show": frozenset({Show.NAME, Show.TYPE, Show.AGE, Show.TAGS}),
            "remind_at": None,
            "report_at": None,
            "remind_in": RemindIn.CHANNEL,
            "edit_for": timedelta(days=7),
            "on_unknown": OnUnknown.RESEND,
            "only": None,
            "skip": None,
            "order": (),
        }
    ]
    assert (settings.defaults.channel.place, settings.defaults.stale_after) == ("C0123456789", timedelta(hours=4))
    assert settings.config == place.directory / "worker.toml"
    assert not settings.all_queues


def test_every_key_of_a_queue_is_read(place: Place) -> None:
    text = f"""
        [[queues]]
        queue = "{QUEUE_ID}"
        channel = "#general"
        poll_interval = "1s"
        calendar = "always"
        announce_every = "0s"
        stale_after = "never"
        remind_every = "never"
        escalate_after = "never"
        escalate_every = "2d"
        escalate_outside_hours = true
        escalate_to = "leads"
        escalate_mention = "U1,S2"
        people = "ada@example.com"
        owner = "U0LEAD00001"
        tell = "direct"
        remind_reserved = true
        show = "cost"
        remind_at = ["Mon 09:00, 14:00"]
        report_at = "Tue 08:00"
        remind_in = "both"
        edit_for = "never"
        on_unknown = "hold"
        only = {{ error = false }}
        skip = {{ tags = "test" }}
        order = "age"
    """
    (queue,) = toml(place, text).load().queues
    assert named(queue) == {
        "queue": QUEUE_ID,
        "channel": to("general"),
        "poll_interval": timedelta(seconds=1),
        "calendar": "always",
        "announce_every": timedelta(0),
        "stale_after": None,
        "remind_every": None,
        "escalate_after": None,
        "escalate_every": timedelta(days=2),
        "escalate_outside_hours": True,
        "escalate_to": to("leads"),
        "escalate_mention": ("U1", "S2"),
        "people": ("ada@example.com",),
        "owner": "U0LEAD00001",
        "tell": Reach.DIRECT,
        "remind_reserved": True,
        "show": frozenset({Show.COST}),
        "remind_at": ((timedelta(hours=9), timedelta(hours=14)), (), (), (), (), (), ()),
        "report_at": ((), (timedelta(hours=8),), (), (), (), (), ()),
        "remind_in": RemindIn.BOTH,
        "edit_for": None,
        "on_unknown": OnUnknown.HOLD,
        "only": Conditions(error=False),
        "skip": Conditions(tags=("test",)),
        "order": (Order.AGE,),
    }


def test_a_queue_gets_the_defaults_for_what_its_table_leaves_out(place: Place) -> None:
    toml(place, '[defaults]\nchannel = "common"\nstale_after = "1h"\n[[queues]]\nqueue = "A"\nremind_every = "2h"')
    (queue,) = place.load({"WORKER_EDIT_FOR": "1d", "WORKER_REMIND_EVERY": "9h"}).queues
    assert (queue.channel.place, queue.stale_after) == ("common", timedelta(hours=1))
    assert (queue.remind_every, queue.edit_for) == (timedelta(hours=2), timedelta(days=1))


def test_a_table_is_stronger_than_the_environment_and_that_than_the_defaults(place: Place) -> None:
    toml(place, '[defaults]\nchannel = "d"\nstale_after = "3h"\n[[queues]]\nqueue = "A"\nchannel = "a"')
    settings = place.load({"WORKER_CHANNEL": "e"})
    assert (settings.queues[0].channel.place, settings.defaults.channel.place) == ("a", "e")
    assert settings.defaults.stale_after == timedelta(hours=3)


def test_a_table_can_take_a_default_back(place: Place) -> None:
    toml(
        place,
        '[defaults]\nescalate_after = "1d"\nescalate_mention = ["U1"]\nshow = ["cost"]\n'
        '[[queues]]\nqueue = "A"\nescalate_after = "never"\nescalate_mention = []\nshow = []\n',
    )
    (queue,) = place.load().queues
    assert (queue.escalate_after, queue.escalate_mention, queue.show) == (None, (), frozenset())


@pytest.mark.parametrize(
    ("defaults", "table", "goes_to"),
    [
        ("", "", "common"),
        ("", 'channel = "own"', "own"),
        ('escalate_to = "leads"', 'channel = "own"', "leads"),
        ('escalate_to = "leads"', 'escalate_to = "bosses"', "bosses"),
    ],
)
def test_escalations_go_to_the_queues_channel_unless_told_otherwise(
    place: Place, defaults: str, table: str, goes_to: str
) -> None:
    toml(place, f'[defaults]\nchannel = "common"\n{defaults}\n[[queues]]\nqueue = "A"\n{table}\n')
    assert place.load().queues[0].escalate_to == to(goes_to)


def test_single_settings_may_stand_at_the_top(place: Place) -> None:
    settings = toml(
        place,
        'langsmith_api = "runs"\nrequests_per_second = 5\nallow_http = true\nops_channel = "#ops"\n'
        'langsmith_endpoint = "http://langsmith.internal/api"\nstatuses = ["needs_my_review"]\nkeep_reviews = "5d"\n',
    ).load()
    assert (settings.langsmith_api, settings.requests_per_second) == (LangsmithApi.RUNS, 5.0)
    assert (settings.allow_http, settings.ops_channel) == (True, to("ops"))
    assert settings.langsmith_endpoint == "http://langsmith.internal"
    assert settings.keep_reviews == timedelta(days=5)


def test_queues_may_be_a_plain_list(place: Place) -> None:
    assert toml(place, 'queues = ["Support, QA", "B"]').load().listed == ("Support, QA", "B")
    assert toml(place, 'queues = "all"').load().all_queues
    assert toml(place, "queues = []").load().queues == ()


def test_an_empty_file_gives_nothing(place: Place) -> None:
    assert toml(place, "").load().queues == ()


# --- which queues are polled


def test_queues_of_the_file_and_of_the_environment_are_polled(place: Place) -> None:
    toml(place, f'[[queues]]\nqueue = "{QUEUE_ID}"\nchannel = "a"\n[[queues]]\nqueue = "B"\nchannel = "b"\n')
    settings = place.load_all({"WORKER_QUEUES": f"C,B,{QUEUE_ID.upper()}", "WORKER_CHANNEL": "common"})
    assert [(queue.queue, queue.channel.place) for queue in settings.queues] == [
        (QUEUE_ID, "a"),
        ("B", "b"),
        ("C", "common"),
    ]
    assert not settings.all_queues


def test_all_adds_every_queue_to_those_with_a_table(place: Place) -> None:
    toml(place, '[[queues]]\nqueue = "A"\nchannel = "a"\n')
    settings = place.load_all({"WORKER_QUEUES": "All"})
    assert settings.all_queues
    assert [queue.queue for queue in settings.queues] == ["A"]


@pytest.mark.parametrize("listed", [QUEUE_ID, "Support QA", f"{QUEUE_ID},Support QA", "all"])
@pytest.mark.parametrize("table", [QUEUE_ID, "Support QA"])
def test_a_queue_has_the_settings_of_its_table_however_it_is_listed(place: Place, listed: str, table: str) -> None:
    toml(place, f'[[queues]]\nqueue = "{table}"\nchannel = "C0TABLE0000"\n')
    settings = place.load(COMPLETE | {"WORKER_QUEUES": listed})
    assert settings.for_queue(UUID(QUEUE_ID), "Support QA").channel.place == "C0TABLE0000"
    assert not settings.has_two_tables(UUID(QUEUE_ID), "Support QA")


def test_two_tables_for_one_queue_are_known_as_such(place: Place) -> None:
    toml(place, f'[[queues]]\nqueue = "{QUEUE_ID}"\n[[queues]]\nqueue = "Support QA"\n')
    settings = place.load(COMPLETE)
    assert settings.has_two_tables(UUID(QUEUE_ID), "Support QA")
    assert not settings.has_two_tables(UUID(OTHER_ID), "Support QA")


def test_tables_are_enough(place: Place) -> None:
    toml(place, '[[queues]]\nqueue = "A"\nchannel = "a"\n')
    environ = {name: COMPLETE[name] for name in ("LANGSMITH_API_KEY", "SLACK_BOT_TOKEN")}
    assert [queue.queue for queue in place.load(environ, ALL).queues] == ["A"]


def test_a_queue_finds_its_settings_by_id_then_by_name_then_the_defaults(place: Place) -> None:
    toml(
        place,
        f'[defaults]\nchannel = "common"\n[[queues]]\nqueue = "{QUEUE_ID.upper()}"\nchannel = "by-id"\n'
        '[[queues]]\nqueue = "Support QA"\nchannel = "by-name"\n',
    )
    settings = place.load({"WORKER_QUEUES": "all"})
    for_queue = settings.for_queue
    assert for_queue(UUID(QUEUE_ID), "Support QA").channel.place == "by-id"
    assert for_queue(UUID(OTHER_ID), "Support QA").channel.place == "by-name"
    assert for_queue(UUID(OTHER_ID), "support qa") is settings.defaults
    assert settings.defaults.queue == ""
    assert settings.defaults.queue_id is None


def test_a_queue_whose_name_is_not_known_yet_is_found_by_its_id(place: Place) -> None:
    settings = place.load({"WORKER_QUEUES": QUEUE_ID, "WORKER_CHANNEL": "c"})
    assert settings.for_queue(UUID(QUEUE_ID), QUEUE_ID).queue_id == UUID(QUEUE_ID)


# --- where it is


def test_another_file_may_be_named(place: Place) -> None:
    toml(place, "broken")
    place.write("mine.toml", '[defaults]\nchannel = "mine"\nstale_after = "x"')
    assert place.refusal({"WORKER_CONFIG": "mine.toml"})[0].startswith("mine.toml: defaults.stale_after: 'x' is not")
    absolute = str(place.write("mine.toml", '[defaults]\nchannel = "mine"'))
    for config in ("mine.toml", absolute):
        settings = place.load({"WORKER_CONFIG": config})
        assert settings.defaults.channel.place == "mine"
        assert settings.config == place.directory / "mine.toml"
    place.write(".env", "WORKER_CONFIG=mine.toml")
    assert place.load().defaults.channel.place == "mine"


def test_a_named_file_that_is_not_there_is_an_error(place: Place) -> None:
    assert place.refusal({"WORKER_CONFIG": "mine.toml"}) == [
        "WORKER_CONFIG: there is no file mine.toml; name the right one, or leave it out"
    ]


# --- what it refuses


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param("a = 1\nb =", "(at the end, line 2)", id="half a line"),
        pytest.param("[defaults]\nstale_after = 4h\n", "line 2", id="no quotation marks"),
        pytest.param('[defaults]\nchannel = "a"\nchannel = "b"\n', "line 3", id="a key twice"),
        pytest.param("[defaults]\n[defaults]\n", "line 2", id="a table twice"),
        pytest.param("[[queues]\n", "line 1", id="half a bracket"),
    ],
)
def test_what_is_not_toml_is_said_with_file_and_line(place: Place, text: str, where: str) -> None:
    (line,) = refusal(place, text)
    assert line.startswith("worker.toml: the file is not TOML: ")
    assert where in line
    assert line.endswith("; correct that line")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("a = " + "[" * 100_000, "is nested too deeply", id="a deep list"),
        pytest.param("a = " + "9" * 5_000, "holds a number that is too long", id="a long number"),
    ],
)
def test_what_no_file_of_settings_holds_is_refused(place: Place, text: str, reason: str) -> None:
    (line,) = refusal(place, text)
    assert line == f"worker.toml: the file {reason} for any setting; check that it is the right one"


def test_a_file_that_cannot_be_read_is_named(place: Place) -> None:
    (place.directory / "worker.toml").mkdir()
    assert place.refusal() == [
        "worker.toml: the file cannot be read (Is a directory); make it a file that this user may read"
    ]


def test_a_file_that_is_not_text_is_named(place: Place) -> None:
    place.write("worker.toml", b"\n\nqueues = '\xff'")
    assert place.refusal() == ["worker.toml: the file is not UTF-8 text (line 3); save it as UTF-8"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stael_after = '4h'", "stael_after is not a setting here (did you mean stale_after?)"),
        (
            "stale_after = '4h'",
            "stale_after is not a setting here; it belongs under [defaults] or into a table [[queues]]",
        ),
        ("opschannel = 'x'", "opschannel is not a setting here (did you mean ops_channel?)"),
        ("WORKER_OPS_CHANNEL = 'x'", "WORKER_OPS_CHANNEL is not a setting here; write ops_channel"),
        (
            "config = 'x'",
            "config is not a setting here; known are defaults, queues, calendars, people, nag, actions, allow_http, ",
        ),
        ("listed = ['x']", "listed is not a setting here"),
        ("tables = []", "tables is not a setting here"),
        ("directory = '/'", "directory is not a setting here"),
        ("[default]\nchannel = 'x'", "default is not a setting here (did you mean defaults?)"),
        ("[queue]\nqueue = 'x'", "queue is not a setting here (did you mean queues?)"),
        ("[defaults]\nstael_after = '4h'", "defaults.stael_after is not a setting here (did you mean stale_after?)"),
        ("[defaults]\nWORKER_CHANNEL = 'x'", "defaults.WORKER_CHANNEL is not a setting here; write channel"),
        (
            "[defaults]\nops_channel = 'x'",
            "defaults.ops_channel is not a setting here; it belongs at the top of the file",
        ),
        ("[defaults]\nqueue = 'x'", "defaults.queue is not a setting here"),
        ("[[queues]]\nqueue = 'A'\nchanel = 'x'", "queues[0].chanel is not a setting here (did you mean channel?)"),
        ("[[queues]]\nqueue = 'A'\nname = 'x'", "queues[0].name is not a setting here; known are queue, channel"),
        ("[[queues]]\nchannel = 'x'", "queues[0].queue is missing; name the queue by its id or its name"),
        ("defaults = 1", "defaults is not a table; write [defaults] on a line of its own"),
        ("[[defaults]]", "defaults is not a table"),
        ("queues = 1", "queues is not a list of tables; write [[queues]]"),
        ("[queues]\nqueue = 'A'", "queues is not a list of tables; write [[queues]]"),
        ("queues = ['A', {queue = 'B'}]", "queues is not a list of tables; write [[queues]]"),
        ("[[queues]]\nqueue = 'A'\n[[queues]]\nqueue = 'A'", "queues has two tables for 'A'; write one"),
        (
            f"[[queues]]\nqueue = '{QUEUE_ID}'\n[[queues]]\nqueue = '{QUEUE_ID.upper()}'",
            f"queues has two tables for '{QUEUE_ID.upper()}'; write one",
        ),
        ("queues = ['A', 'A']", 'queues: ["A", "A"] names \'A\' twice'),
    ],
)
def test_a_file_of_another_shape_is_refused(place: Place, text: str, line: str) -> None:
    (said,) = refusal(place, text)
    assert said.startswith(f"worker.toml: {line}")


@pytest.mark.parametrize(
    ("key", "env"),
    [
        ("langsmith_api_key", "LANGSMITH_API_KEY"),
        ("LANGSMITH_API_KEY", "LANGSMITH_API_KEY"),
        ("slack_bot_token", "SLACK_BOT_TOKEN"),
        ("slack_app_token", "SLACK_APP_TOKEN"),
        ("database_url", "WORKER_DATABASE_URL"),
        ("worker_heartbeat_url", "WORKER_HEARTBEAT_URL"),
    ],
)
@pytest.mark.parametrize("section", ["", "[defaults]\n", "[[queues]]\nqueue = 'A'\n"])
def test_a_secret_in_the_file_is_refused(place: Place, section: str, key: str, env: str) -> None:
    (line,) = refusal(place, f"{section}{key} = 'xoxb-MARKED'")
    assert line.endswith(f"; a secret must not be in this file: set {env}, or name its file in {env}_FILE")
    assert "MARKED" not in line


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("channel", "5", "5 is not text; put it in quotation marks"),
        ("channel", "''", "'' is empty; write a value, or leave the setting out"),
        ("poll_interval", "60", "60 is not a duration with its unit"),
        ("poll_interval", "'0s'", "'0s' is zero"),
        (
            "stale_after",
            "false",
            "false is not a duration with its unit; write one such as 90s, 15m, 4h, 2d, 1d12h, or never",
        ),
        ("stale_after", "2026-01-01", '"2026-01-01" is not a duration'),
        ("remind_every", "{ days = 1 }", '{"days": 1} is not a duration'),
        ("escalate_after", "'0s'", "'0s' is zero"),
        ("escalate_to", "'@ann'", "'@ann' is neither a Slack channel's id nor its name"),
        ("escalate_mention", "['@ann']", '["@ann"] has a name that is not a Slack id'),
        ("escalate_mention", "[5]", "[5] is not text"),
        ("remind_reserved", "'maybe'", "'maybe' is neither true nor false"),
        ("remind_reserved", "1", "1 is neither true nor false"),
        ("show", "['inputs']", '["inputs"] names something that is not one of name'),
        ("remind_in", "'dm'", "'dm' is not one of channel, thread, both"),
        ("edit_for", "'0d'", "'0d' is zero"),
        ("on_unknown", "true", "true is not text"),
    ],
)
def test_a_bad_value_is_named_by_its_place(place: Place, key: str, value: str, reason: str) -> None:
    (line,) = refusal(place, f"[defaults]\n{key} = {value}\n")
    assert line.startswith(f"worker.toml: defaults.{key}: {reason}")
    (line,) = refusal(place, f"[[queues]]\nqueue = 'A'\n[[queues]]\nqueue = 'B'\n{key} = {value}\n")
    assert line.startswith(f"worker.toml: queues[1].{key}: {reason}")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("'all'", "'all' is not a single queue"),
        ("5", "5 is not text"),
        ("''", "'' is empty"),
        (f"'{QUEUE_ID[:-1]}'", f"'{QUEUE_ID[:-1]}' looks like a queue's id but is not a complete one"),
    ],
)
def test_a_bad_queue_is_named_by_its_place(place: Place, value: str, reason: str) -> None:
    (line,) = refusal(place, f"[[queues]]\nqueue = {value}\n")
    assert line.startswith(f"worker.toml: queues[0].queue: {reason}")


def test_all_that_is_wrong_in_the_file_is_said_at_once(place: Place) -> None:
    text = "x = 1\n[defaults]\ny = 2\nshow = 'z'\n[[queues]]\nqueue = 'A'\nz = 3\nedit_for = 4\n[[queues]]\nw = 5\n"
    assert [line.split(" ")[1] for line in refusal(place, text)] == [
        "x",
        "defaults.y",
        "queues[0].z",
        "queues[1].w",
        "queues[1].queue",
        "defaults.show:",
        "queues[0].edit_for:",
    ]


def test_nothing_is_called_missing_that_may_be_in_a_broken_file(place: Place) -> None:
    toml(place, "[defaults]\nchanel = 'x'\n")
    lines = place.refusal({}, ALL)
    assert [line.partition(":")[0] for line in lines] == ["worker.toml", "LANGSMITH_API_KEY", "SLACK_BOT_TOKEN"]


def test_the_budget_of_a_person_is_read(place: Place) -> None:
    assert (
        toml(place, '[nag]\nper_person_day = 0\n[[queues]]\nqueue = "A"\nchannel = "a"').load().nag_per_person_day == 0
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("[nag]\nper_person_day = 1.5", "nag.per_person_day: 1.5 is not a whole number", id="a fraction"),
        pytest.param("[nag]\nper_person_day = -1", "nag.per_person_day: -1 is not a whole number", id="less than none"),
        pytest.param("[nag]\nper_day = 1", "nag.per_day", id="another name"),
        pytest.param("nag = 3", "nag is not a table", id="no table"),
    ],
)
def test_a_budget_that_is_none_is_refused(place: Place, text: str, found: str) -> None:
    (said,) = refusal(place, text)
    assert said.startswith(f"worker.toml: {found}")
