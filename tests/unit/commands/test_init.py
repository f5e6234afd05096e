"""`init`: each answer is tried, asked for again where it does not hold, and nothing is written before the last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.settings_place import Place
from worker.clock import SystemClock
from worker.commands.asking import UnansweredError
from worker.commands.init import MissingError, UnfinishedError, Wishes, set_up
from worker.commands.init_proof import zone_of
from worker.demo.langsmith.server import SERVICE_KEY, SimulatedLangSmith
from worker.demo.serve import serving
from worker.demo.slack.server import ALL_SCOPES, SimulatedSlack
from worker.settings import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from worker.settings import Settings

SUPPORT, LEADS, PRIVATE = "C0SUPPORT00", "C0LEADS0000", "C0PRIVATE00"
TOKEN = "xoxb-simulated"
Answer = str | bool | type[BaseException]


@dataclass
class Person:
    """Gives one answer after the other, and keeps what was said; an exception is what the keyboard does."""

    answers: list[Answer]
    heard: list[str] = field(default_factory=list)

    def say(self, *lines: str) -> None:
        self.heard += lines

    def ask(self, question: str, default: str = "") -> str:
        answer = self._next(question)
        return str(answer) or default

    def secret(self, question: str) -> str:
        return str(self._next(question))

    def confirm(self, question: str, *, default: bool) -> bool:
        answer = self._next(question)
        return default if answer == "" else bool(answer)

    def _next(self, question: str) -> str | bool:
        self.heard.append(question)
        if not self.answers:
            raise UnansweredError
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            raise answer
        return answer

    @property
    def said(self) -> str:
        return "\n".join(self.heard)


class World:
    """A LangSmith with two queues, a Slack with three channels, and a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.langsmith = SimulatedLangSmith(SystemClock())
        self.queues = [self.langsmith.add_queue(name) for name in ("Support QA", "RAG, answers")]
        self.slack = SimulatedSlack(SystemClock(), token=TOKEN)
        self.slack.add_channel(SUPPORT, "support")
        self.slack.add_channel(LEADS, "leads")
        self.slack.add_channel(PRIVATE, "private", private=True, member=False)
        self.roots: dict[str, str] = {}

    def go(self, *answers: Answer, given: dict[str, str] | None = None, **wishes: Any) -> Person:
        """Be asked, and give these answers."""
        person = Person([*answers])
        set_up(Wishes({}, self.folder, **wishes), self.roots | (given or {}), person)
        assert not person.answers
        return person

    def unattended(self, **changes: str) -> dict[str, str]:
        """All that is needed where nobody is asked."""
        complete = {
            "LANGSMITH_API_KEY": SERVICE_KEY,
            "SLACK_BOT_TOKEN": TOKEN,
            "WORKER_QUEUES": "all",
            "WORKER_CHANNEL": "#support",
        }
        return self.roots | complete | changes

    def settings(self) -> Settings:
        """What the worker reads."""
        return Place(self.folder, self.folder / "mount").load({}, ALL)

    def written(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()}


class Door:
    """A server whose service changes with each test: to start one takes longer than a test."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[tuple[Door, str], tuple[Door, str]]]:
    langsmith, slack = Door(), Door()
    with serving(cast("Starlette", langsmith)) as one, serving(cast("Starlette", slack)) as other:
        yield (langsmith, one), (slack, other)


@pytest.fixture
def world(tmp_path: Path, doors: tuple[tuple[Door, str], tuple[Door, str]]) -> World:
    made = World(tmp_path)
    (langsmith, langsmith_root), (slack, slack_root) = doors
    langsmith.app, slack.app = made.langsmith.app, made.slack.app
    made.roots = {"LANGSMITH_ENDPOINT": langsmith_root, "SLACK_BASE_URL": f"{slack_root}/api/"}
    return made


STRAIGHT = [SERVICE_KEY, "1", TOKEN, "2", "Mon-Fri 08:00-16:00", "DE-BE", "Europe/Berlin"]


def test_the_answers_become_settings_that_the_worker_reads(world: World) -> None:
    person = world.go(*STRAIGHT)
    settings = world.settings()
    assert [queue.queue_id for queue in settings.queues] == [world.queues[0]]
    assert (settings.defaults.channel.place, settings.zone) == (SUPPORT, "Europe/Berlin")
    assert (settings.holidays, settings.hours is None) == (("DE-BE",), False)
    assert "The key can see 2 queues" in person.said
    assert "1 Support QA" in person.said.replace("  ", " ")
    assert (world.folder / ".env").stat().st_mode & 0o777 == 0o600
    assert "# When the team works" in (world.folder / ".env").read_text()
    assert SERVICE_KEY not in person.said
    assert TOKEN not in person.said


def test_enter_takes_what_is_proposed(world: World) -> None:
    world.slack.kick(LEADS)
    world.go(SERVICE_KEY, "", TOKEN, "", "", "", "")
    settings = world.settings()
    assert (settings.all_queues, settings.defaults.channel.place, settings.holidays) == (True, SUPPORT, ())
    assert settings.hours is not None


@pytest.mark.parametrize("answered", range(len(STRAIGHT)))
def test_an_end_at_any_question_writes_nothing(world: World, answered: int) -> None:
    with pytest.raises(UnfinishedError):
        world.go(*STRAIGHT[:answered], UnansweredError if answered % 2 else KeyboardInterrupt)
    assert not world.written()


@pytest.mark.parametrize(
    ("number", "wrong", "said"),
    [
        (0, ["lsv2_sk_wrong", "", ""], "LangSmith answered 401"),
        (0, ["xoxb-1-2-3"], "is a Slack token"),
        (1, ["3"], "the key sees no queue '3'"),
        (1, ["suport qa"], "did you mean Support QA?"),
        (2, ["https://hooks.slack.com/services/T0/B0/x"], "the address of an incoming webhook"),
        (2, ["xoxb-12 34"], "white space"),
        (2, ["xoxb-wrong"], "SLACK_BOT_TOKEN is not valid"),
        (2, [""], "https://api.slack.com/apps?new_app=1&manifest_yaml=display_information"),
        (3, ["nowhere"], "No public channel is named nowhere"),
        (3, ["suport"], "did you mean #support (C0SUPPORT00)?"),
        (3, ["C0NOWHERE00"], "channel_not_found"),
        (3, [PRIVATE], "send /invite @review-notifier there"),
        (4, ["Mo-Fr 9-17"], "did you mean Mon?"),
        (5, ["Deutschland"], "WORKER_HOLIDAYS"),
        (6, ["Berlin"], "did you mean Europe/Berlin?"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_hold_is_asked_for_again(
    world: World, number: int, wrong: list[str], said: str
) -> None:
    person = world.go(*STRAIGHT[:number], *wrong, *STRAIGHT[number:])
    assert said in person.said
    assert world.settings().defaults.channel.place == SUPPORT


def test_blanks_and_quotes_around_a_secret_are_no_part_of_it(world: World) -> None:
    world.go(f'"{SERVICE_KEY}"', "all", f"'{TOKEN}'", "#support", "always", "none")
    token = world.settings().slack_bot_token
    assert token is not None
    assert token.get_secret_value() == TOKEN


def test_a_key_of_another_region_is_tried_there(world: World) -> None:
    here = world.roots.pop("LANGSMITH_ENDPOINT")
    with serving(SimulatedLangSmith(SystemClock()).app) as elsewhere:
        world.roots["LANGSMITH_ENDPOINT"] = elsewhere
        world.go("lsv2_sk_wrong", here, "", *STRAIGHT)
    assert world.settings().langsmith_endpoint == here


def test_an_outage_is_no_reason_to_give_an_answer_up(world: World) -> None:
    world.langsmith.fail(status=503)
    world.go(SERVICE_KEY, True, str(world.queues[0]), *STRAIGHT[2:])
    assert [queue.queue_id for queue in world.settings().queues] == [world.queues[0]]


def test_channels_that_cannot_be_listed_are_given_by_id(world: World) -> None:
    world.slack.scopes = ALL_SCOPES - {"channels:read", "groups:read"}
    assert "cannot be listed" in world.go(*STRAIGHT[:3], LEADS, *STRAIGHT[4:]).said
    assert world.settings().defaults.channel.place == LEADS


def test_with_toml_the_secrets_alone_stay_in_the_env(world: World) -> None:
    world.go(*STRAIGHT, is_toml=True)
    settings = world.settings()
    assert [(queue.queue_id, queue.channel.place) for queue in settings.queues] == [(world.queues[0], SUPPORT)]
    assert (settings.zone, settings.holidays) == ("Europe/Berlin", ("DE-BE",))
    assert TOKEN not in (world.folder / "worker.toml").read_text()
    set_lines = [line for line in (world.folder / ".env").read_text().splitlines() if line[:1].isalpha()]
    assert {line.partition("=")[0] for line in set_lines if not line.endswith("=")} == {
        "LANGSMITH_API_KEY",
        "SLACK_BOT_TOKEN",
        "LANGSMITH_ENDPOINT",
        "SLACK_BASE_URL",
    }


def test_a_file_that_is_there_stays_unless_somebody_says_otherwise(world: World) -> None:
    (world.folder / ".env").write_text("MINE=1\n")
    with pytest.raises(UnfinishedError, match="stays as it is"):
        world.go(False)
    with pytest.raises(UnfinishedError, match="--force"):
        set_up(Wishes({}, world.folder, is_unattended=True), world.unattended(), None)
    with pytest.raises(UnfinishedError):
        world.go(True, *STRAIGHT[:3], KeyboardInterrupt)
    assert (world.folder / ".env").read_text() == "MINE=1\n"
    world.go(True, *STRAIGHT)
    set_up(Wishes({}, world.folder, is_forced=True), world.unattended(), None)
    kept = [file.read_text() for file in world.folder.glob(".env.before-*")]
    assert "MINE=1\n" in kept
    assert world.settings().all_queues


def test_a_folder_that_cannot_be_written_to_is_said_before_the_first_question(world: World) -> None:
    (world.folder / "file").write_text("")
    person = Person([])
    with pytest.raises(UnfinishedError, match="--to DIR"):
        set_up(Wishes({}, world.folder / "file" / "below"), world.roots, person)
    assert not person.heard


def test_without_a_terminal_all_that_is_missing_is_named_at_once(world: World) -> None:
    with pytest.raises(MissingError) as missing:
        set_up(Wishes({}, world.folder), world.roots | {"SLACK_BOT_TOKEN": TOKEN}, None)
    named = [option in str(missing.value) for option in ("--key", "--queues", "--channel", "--token")]
    assert named == [True, True, True, False]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"LANGSMITH_API_KEY": "lsv2_wrong"}, "--key: .*401"),
        ({"WORKER_QUEUES": "Support"}, "--queues: the key sees no queue 'Support'"),
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "--token: .*invalid_auth"),
        ({"WORKER_CHANNEL": PRIVATE}, "--channel: .*channel_not_found|--channel: the app is not in"),
        ({"WORKER_HOURS": "Mo-Fr 9-17"}, "^WORKER_HOURS: 'Mo-Fr 9-17' has 'Mo'"),
    ],
)
def test_an_answer_that_cannot_be_proven_ends_it_where_nobody_is_asked(
    world: World, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(UnfinishedError, match=said):
        set_up(Wishes({}, world.folder), world.unattended(**changes), None)
    assert not world.written()


def test_where_no_queues_can_be_listed_their_ids_prove_the_key(world: World) -> None:
    world.langsmith.switch_off("/api/v1/annotation-queues")
    for unproven in ("RAG, answers", "all", "6f1c2f0e-0d0c-4f57-9d0a-2f4c7c1b9a10"):
        with pytest.raises(UnfinishedError, match=r"^--key: .*404"):
            set_up(Wishes({}, world.folder), world.unattended(WORKER_QUEUES=unproven), None)
    set_up(Wishes({}, world.folder), world.unattended(WORKER_QUEUES=str(world.queues[1])), None)
    assert [queue.queue_id for queue in world.settings().queues] == world.queues[1:]


def test_without_hours_none_are_set(world: World) -> None:
    set_up(Wishes({}, world.folder), world.unattended(WORKER_QUEUES="RAG, answers"), None)
    settings = world.settings()
    assert (settings.hours, settings.zone, [queue.queue_id for queue in settings.queues]) == (
        None,
        "",
        world.queues[1:],
    )


@pytest.mark.parametrize(
    ("given", "link", "zone"),
    [
        ("Europe/Berlin", "/usr/share/zoneinfo/Asia/Tokyo", "Europe/Berlin"),
        (":America/New_York", "", "America/New_York"),
        ("CET-1CEST", "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("", "/usr/share/zoneinfo/posix/Asia/Tokyo", "Asia/Tokyo"),
        ("", "/usr/share/zoneinfo/Etc/UTC", "UTC"),
        ("", "/etc/localtime", ""),
    ],
)
def test_the_zone_is_that_of_the_machine(given: str, link: str, zone: str) -> None:
    assert zone_of(given, link) == zone


def test_a_secret_in_a_file_is_proven_and_stays_there(world: World) -> None:
    token = world.folder / "token"
    token.write_text(f"{TOKEN}\n")
    given = world.unattended(SLACK_BOT_TOKEN_FILE=str(token))
    del given["SLACK_BOT_TOKEN"]
    set_up(Wishes({}, world.folder), given, None)
    written = (world.folder / ".env").read_text()
    assert TOKEN not in written
    assert f"\nSLACK_BOT_TOKEN_FILE={token}\n" in written
    assert (found := world.settings().slack_bot_token) is not None
    assert found.get_secret_value() == TOKEN


def test_a_secret_that_is_given_wins_over_its_file(world: World) -> None:
    given = world.unattended(SLACK_BOT_TOKEN_FILE=str(world.folder / "nothing"))
    set_up(Wishes({}, world.folder), given, None)
    assert f"\nSLACK_BOT_TOKEN={TOKEN}\n" in (world.folder / ".env").read_text()


def test_a_file_of_a_secret_that_cannot_be_read_is_named(world: World) -> None:
    given = world.unattended(LANGSMITH_API_KEY_FILE=str(world.folder / "nothing"))
    del given["LANGSMITH_API_KEY"]
    with pytest.raises(UnfinishedError, match=r"LANGSMITH_API_KEY: the file .*nothing cannot be read"):
        set_up(Wishes({}, world.folder), given, None)
    assert world.written() == set()
