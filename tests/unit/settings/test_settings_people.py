"""The settings of people: whose turn, the owner, where they are notified, and the table `[people]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_place import Place
from worker.core.audience import Audience, Reach
from worker.rules import rules_of
from worker.settings.loading import findings

if TYPE_CHECKING:
    from pathlib import Path

MADE_UP = "[calendars.berlin]\nzone = 'Europe/Berlin'\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def toml(place: Place, text: str) -> Place:
    place.write("worker.toml", text)
    return place


def test_nobody_is_notified_unless_a_setting_says_so(place: Place) -> None:
    defaults = place.load().defaults
    assert (defaults.people, defaults.owner, defaults.tell) == (Audience.NOBODY, "", Reach.CHANNEL)
    assert place.load().persons == {}
    assert place.load().nag_per_run == 3


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("assigned", Audience.ASSIGNED),
        (" Nobody ", Audience.NOBODY),
        ("Ada@Example.com", ("ada@example.com",)),
        ("ada@example.com; bob@example.com;", ("ada@example.com", "bob@example.com")),
        ("ada@example.com, ADA@example.com", ("ada@example.com",)),
    ],
)
def test_whose_turn_is_read_from_the_environment(place: Place, written: str, meant: object) -> None:
    assert place.load({"WORKER_PEOPLE": written}).defaults.people == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"assigned"', Audience.ASSIGNED),
        ('["assigned"]', Audience.ASSIGNED),
        ("[]", Audience.NOBODY),
        ('["Ada@Example.com", "bob@example.com"]', ("ada@example.com", "bob@example.com")),
    ],
)
def test_whose_turn_is_read_from_a_queue_of_the_file(place: Place, written: str, meant: object) -> None:
    settings = toml(place, f"[[queues]]\nqueue = 'A'\nchannel = 'c'\npeople = {written}\n").load()
    assert settings.queues[0].people == meant
    assert settings.defaults.people is Audience.NOBODY


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "WORKER_PEOPLE",
            "asigned",
            "has 'asigned', which is not an e-mail address (did you mean assigned?); write assigned",
        ),
        ("WORKER_PEOPLE", "Ada <ada@x.org>", "which is not an e-mail address (did you mean ada@x.org?)"),
        (
            "WORKER_PEOPLE",
            "assigned; ada@x.org",
            "has 'assigned', which is not an e-mail address (did you mean assigned?)",
        ),
        ("WORKER_OWNER", "<@U0LEAD00001>", "is not the Slack id of a person (did you mean U0LEAD00001?)"),
        ("WORKER_OWNER", "S0ONCALL00", "is a user group, not a person; write the member id"),
        ("WORKER_OWNER", "C0123456789", "is a channel or a conversation, not a person"),
        ("WORKER_OWNER", "@ada", "is not the Slack id of a person; write the member id"),
        ("WORKER_TELL", "dm", "is not one of channel, direct, both"),
        ("WORKER_NAG_PER_RUN", "many", "is not a whole number from 0 to 1000"),
    ],
)
def test_what_names_no_person_is_refused(place: Place, name: str, value: str, reason: str) -> None:
    (line,) = place.refusal({name: value})
    assert line.startswith(f"{name}: ")
    assert reason in line


def test_people_whose_turn_it_is_are_mentioned_beside_fixed_ids(place: Place) -> None:
    settings = place.load({"WORKER_ESCALATE_MENTION": "S0ONCALL00, Turn", "WORKER_ESCALATE_AFTER": "1d"})
    assert settings.defaults.escalate_mention == ("turn", "S0ONCALL00")
    assert [step.mention for step in rules_of(settings.defaults).policy.steps][-1] == ("turn", "S0ONCALL00")
    assert place.load({"WORKER_ESCALATE_MENTION": "turn"}).defaults.escalate_mention == ("turn",)


def test_the_table_of_people_is_read_by_e_mail_in_any_case(place: Place) -> None:
    text = MADE_UP + "[people]\n'Ada@Example.com' = { slack = 'U0ADA', calendar = 'berlin', tell = false }\n"
    persons = toml(place, text + "'bob@example.com' = {}").load().persons
    ada, bob = persons["ada@example.com"], persons["bob@example.com"]
    assert (ada.slack, ada.calendar, ada.tell) == ("U0ADA", "berlin", False)
    assert (bob.slack, bob.calendar, bob.tell) == ("", "", True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("people = 'assigned'", "people is not a table; write [people] on a line of its own"),
        ("[people]\n'a@x.org' = 'U0ADA'", "people.'a@x.org' is no table; write \"reviewer@example.com\" = { slack"),
        (
            "[people]\n'a@x.org' = { slak = 'U0ADA' }",
            "people.'a@x.org'.slak is not a setting here (did you mean slack?)",
        ),
        ("[people]\n'a@x.org' = {}\n'A@X.org' = {}", "people has two tables for 'a@x.org'; write one"),
        ("[people]\n'a@x.org' = { tell = 'maybe' }", "people.'a@x.org'.tell: 'maybe' is neither true nor false"),
        (
            MADE_UP + "[people]\n'a@x.org' = { calendar = 'berln' }",
            "people.'a@x.org'.calendar: 'berln' is not a calendar (did you mean berlin?)",
        ),
    ],
)
def test_a_table_of_people_that_cannot_be_understood_is_refused(place: Place, text: str, reason: str) -> None:
    (line,) = toml(place, text).refusal()
    assert line.startswith(f"worker.toml: {reason}")


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        (
            "'ada at x.org' = { slack = 'U0ADA' }",
            "people.'ada at x.org' is not an e-mail address; write one such as reviewer@example.com; until then it has",
            {},
        ),
        (
            "'Ada <a@x.org>' = {}",
            "people.'Ada <a@x.org>' is not an e-mail address (did you mean a@x.org?); write one such as ",
            {},
        ),
        (
            "'a@x.org' = { slack = '@ada' }",
            "people.'a@x.org'.slack: '@ada' is not the Slack id of a person; write the member id (U… or W…, in the",
            {"a@x.org": ""},
        ),
    ],
)
def test_an_e_mail_or_id_that_is_none_is_a_finding(place: Place, text: str, found: str, left: dict[str, str]) -> None:
    settings = toml(place, f"[people]\n{text}\n").load({"WORKER_PEOPLE": "assigned"})
    (line,) = findings(settings)
    assert line.startswith(f"worker.toml: {found}")
    assert {email: table.slack for email, table in settings.persons.items()} == left


def test_a_secret_in_the_table_of_people_is_not_shown(place: Place) -> None:
    settings = toml(place, "[people]\n'a@x.org' = { slack = 'xoxb-MARKED-1234' }\n").load({"WORKER_PEOPLE": "assigned"})
    assert "MARKED" not in "".join(findings(settings))


def test_settings_of_people_without_people_are_findings(place: Place) -> None:
    text = "[people]\n'a@x.org' = {}\n[defaults]\ntell = 'both'\nescalate_after = '1d'\nescalate_mention = 'turn'\n"
    lines = findings(toml(place, text).load())
    assert [line.partition(" has no effect")[0] for line in lines] == [
        "people (the table)",
        "tell",
        "escalate_mention = turn",
    ]
    assert findings(place.load({"WORKER_PEOPLE": "assigned"})) == ()


def test_the_calendar_of_a_person_is_used(place: Place) -> None:
    text = MADE_UP + "[people]\n'a@x.org' = { calendar = 'berlin' }\n"
    assert findings(toml(place, text).load({"WORKER_PEOPLE": "assigned"})) == ()
