"""The real process is killed at every step of a post and of an edit: nothing is lost, nothing is seen twice."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.system.crashing import (
    ANSWER_TRAVELS,
    Witness,
    database_locked_from,
    deaf_slack,
    is_claimed,
    is_sent,
    meet,
)
from tests.system.crashing_at_random import Crashes
from tests.system.process import stays, wait_for
from worker.core.delivery import LEASE
from worker.core.owed import State
from worker.demo.slack.server import ALL_SCOPES, Mode

if TYPE_CHECKING:
    from tests.system.process import Process
    from tests.system.stage import Stage

STEPS = ("recorded", "claimed", "arrived", "committed", "answered")
FEW = 4
"""Crashes at random moments that every run of the tests can afford; `make crashes` makes many."""


@pytest.fixture(params=["sqlite", "postgres"])
def remembering(stage: Stage, request: pytest.FixtureRequest) -> Stage:
    """The stage on either database."""
    if request.param == "postgres":
        stage.use(request.getfixturevalue("migrated_postgres"))
    return stage


def kill(stage: Stage, process: Process) -> None:
    """On PostgreSQL nobody can know that the process is gone before its leases have lapsed."""
    process.kill()
    if stage.url.startswith("postgresql"):
        stage.let_time_pass(LEASE)


class Lives:
    """One process after another. Each is killed at a step of a post in one place and of an edit in another."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.posts = {step: stage.add(f"post {step}") for step in STEPS}
        self.edits = {step: stage.add(f"edit {step}") for step in STEPS}
        self.runs = {step: stage.run(place, f"edited when {step}") for step, place in self.edits.items()}

    def owe(self, step: str) -> None:
        """Give the process something to post and something to edit."""
        self.owe_post(step)
        self.owe_edit(step)

    def owe_post(self, step: str) -> None:
        self.stage.run(self.posts[step], f"posted when {step}")

    def owe_edit(self, step: str) -> None:
        self.stage.langsmith.complete(self.runs[step])

    # One life each

    def recorded(self) -> None:
        with self.stage.service() as process:
            wait_for(lambda: all(self.stage.shown(place) for place in self.edits.values()), "every first message")
            self.owe_edit("recorded")
            wait_for(lambda: "Reviewed" in self.stage.only(self.edits["recorded"])["text"], "the edit")
            self.owe_post("recorded")
            wait_for(lambda: is_sent(self.stage, self.posts["recorded"], "posted when"), "the post is written down")
            kill(self.stage, process)

    def claimed(self) -> None:
        with deaf_slack() as nowhere, self.stage.service(SLACK_BASE_URL=nowhere) as process:
            self.owe("claimed")
            wait_for(lambda: is_claimed(self.stage, self.posts["claimed"]), "the post is claimed")
            wait_for(lambda: is_claimed(self.stage, self.edits["claimed"]), "the edit is claimed")
            kill(self.stage, process)

    def under_way(self, step: str, mode: Mode) -> None:
        post_arrived = meet(self.stage, "chat.postMessage", self.posts[step], mode)
        edit_arrived = meet(self.stage, "chat.update", self.edits[step], mode)
        with self.stage.service() as process:
            self.owe(step)
            wait_for(post_arrived, f"the post that is {step}")
            wait_for(edit_arrived, f"the edit that is {step}")
            kill(self.stage, process)

    def post_answered(self) -> None:
        place = self.posts["answered"]
        with database_locked_from(self.stage, "post", place) as is_locked, self.stage.service() as process:
            self.owe_post("answered")
            wait_for(is_locked, "Slack has posted it")
            time.sleep(ANSWER_TRAVELS)
            process.kill()
        assert is_claimed(self.stage, place)

    def edit_answered(self) -> None:
        place = self.edits["answered"]
        with database_locked_from(self.stage, "edit", place) as is_locked, self.stage.service() as process:
            self.owe_edit("answered")
            wait_for(is_locked, "Slack has edited it")
            time.sleep(ANSWER_TRAVELS)
            process.kill()
        assert is_claimed(self.stage, place)


@pytest.mark.long(40)
def test_killed_at_every_step_it_loses_nothing_and_nobody_sees_anything_twice(remembering: Stage) -> None:
    lives = Lives(remembering)
    lives.recorded()
    lives.claimed()
    lives.under_way("arrived", Mode.HANG)
    lives.under_way("committed", Mode.COMMIT_THEN_HANG)
    lives.post_answered()
    lives.edit_answered()
    with remembering.service() as last:
        if remembering.url.startswith("postgresql"):
            wait_for(lambda: last.logged("started"), "the start")
            stays(lambda: is_claimed(remembering, lives.edits["answered"]), 2, "another worker may be alive still")
            remembering.let_time_pass(LEASE)
        wait_for(remembering.is_settled, "all is settled")
    for step in STEPS:
        assert [step in text for text in remembering.shown(lives.posts[step])] == [True], step
        assert "Reviewed in" in remembering.only(lives.edits[step])["text"], step
        assert "metadata" in remembering.only(lives.edits[step]), step


ENTRIES = ("owed", "claimed", "arrived", "committed", "answered", "unsure")


class Entries:
    """One process after another. Each is killed while a run enters, by an edit, the message that opened a window."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.places = {step: stage.add(f"enter {step}") for step in ENTRIES}
        stage.bench.environment["WORKER_ANNOUNCE_EVERY"] = "1h"

    def owe(self, step: str) -> None:
        self.stage.run(self.places[step], f"later when {step}")

    def is_owed(self, step: str) -> bool:
        return any(each.edit_at for each in self.stage.outbox(self.places[step]))

    def is_known(self, step: str) -> bool:
        return self.stage.store.standing(self.places[step].queue, None).waiting == 2

    # One life each

    def windows_open(self) -> None:
        hosts = [step for step in ENTRIES if step != "unsure"]
        for step in hosts:
            self.stage.run(self.places[step], f"first when {step}")
        with self.stage.service() as process:
            wait_for(lambda: all(self.stage.shown(self.places[step]) for step in hosts), "every first message")
            wait_for(self.stage.is_settled, "they are written down")
            kill(self.stage, process)

    def claimed(self) -> None:
        with deaf_slack() as nowhere, self.stage.service(SLACK_BASE_URL=nowhere) as process:
            self.owe("claimed")
            wait_for(lambda: is_claimed(self.stage, self.places["claimed"]), "the edit is claimed")
            kill(self.stage, process)

    def arrived_and_owed(self) -> None:
        has_arrived = meet(self.stage, "chat.update", self.places["arrived"], Mode.HANG)
        with self.stage.service() as process:
            self.owe("arrived")
            wait_for(has_arrived, "the edit has arrived")
            self.owe("owed")
            wait_for(lambda: self.is_owed("owed"), "an edit waits behind the one that hangs")
            assert not is_claimed(self.stage, self.places["owed"])
            kill(self.stage, process)

    def committed_and_unsure(self) -> None:
        """The message that a run would enter may be posted or not, too."""
        is_edited = meet(self.stage, "chat.update", self.places["committed"], Mode.COMMIT_THEN_HANG)
        is_posted = meet(self.stage, "chat.postMessage", self.places["unsure"], Mode.COMMIT_THEN_HANG)
        with self.stage.service() as process:
            self.stage.run(self.places["unsure"], "first when unsure")
            self.owe("committed")
            wait_for(is_posted, "the first message is posted")
            self.owe("unsure")
            wait_for(lambda: is_edited() and self.is_known("unsure"), "the edit is made, the later run is known")
            kill(self.stage, process)

    def answered(self) -> None:
        place = self.places["answered"]
        with database_locked_from(self.stage, "edit", place) as is_locked, self.stage.service() as process:
            self.owe("answered")
            wait_for(is_locked, "Slack has edited it")
            time.sleep(ANSWER_TRAVELS)
            process.kill()
        kill(self.stage, process)

    def recovered(self) -> None:
        with self.stage.service() as process:
            for step, place in self.places.items():
                self.stage.wait_for_texts(place, f"later when {step}")
            kill(self.stage, process)

    def windows_over(self) -> None:
        with self.stage.service(WORKER_ANNOUNCE_EVERY="1s"):
            for step, place in self.places.items():
                self.stage.wait_for_texts(place, f"first when {step}", f"later when {step}")


@pytest.mark.long(18)
def test_killed_at_every_step_of_an_entry_by_edit_every_run_is_shown_and_called_for_once(remembering: Stage) -> None:
    witness, entries = Witness(remembering.slack), Entries(remembering)
    entries.windows_open()
    entries.claimed()
    entries.arrived_and_owed()
    entries.committed_and_unsure()
    entries.answered()
    entries.recovered()
    entries.windows_over()
    assert not witness.repeated()
    for step in ENTRIES:
        assert (witness.called(f"first when {step}"), witness.entered(f"first when {step}")) == (1, 0), step
        assert (witness.called(f"later when {step}"), witness.entered(f"later when {step}")) == (1, 1), step


@pytest.mark.long(17)
def test_where_history_cannot_be_read_a_crash_repeats_at_most_once_or_waits_for_a_person(stage: Stage) -> None:
    repeated = stage.add("repeated", on_unknown="resend")
    held = stage.add("held", on_unknown="hold")
    unsent = stage.add("unsent", on_unknown="hold")
    stage.slack.scopes = ALL_SCOPES - {"channels:history", "groups:history"}
    for place, mode in [
        (repeated, Mode.COMMIT_THEN_HANG),
        (held, Mode.COMMIT_THEN_HANG),
        (unsent, Mode.HANG),
    ]:
        has_arrived = meet(stage, "chat.postMessage", place, mode)
        with stage.service() as process:
            stage.run(place, f"a run in {place.name}")
            wait_for(has_arrived, f"the post to {place.name}")
            process.kill()
    with stage.service():
        wait_for(lambda: len(stage.shown(repeated)) == 2, "it is sent again")
        wait_for(lambda: stage.outbox(held)[0].state is State.HELD, "it is held")
        wait_for(lambda: stage.outbox(unsent)[0].state is State.HELD, "it is held")
        advised = {told["channel"]: told for told in stage.deliveries("--state", "held")}
        assert advised.keys() == {held.channel, unsent.channel}
        for told in advised.values():
            assert "look into the channel" in told["error"]
            assert f"review-notifier retry {told['key']}" in told["error"]
            assert told["next_attempt_at"] is None
        assert stage.bench.run("retry", advised[unsent.channel]["key"]).returncode == 0
        stage.wait_for_texts(unsent, "a run in unsent")
    assert len(stage.shown(repeated)) == 2
    assert len(stage.shown(held)) == 1


@pytest.mark.long(10)
def test_killed_at_random_moments_it_loses_nothing_and_nobody_sees_anything_twice(
    remembering: Stage, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: int | None = pytestconfig.getoption("--crashes", None)
    figures = Crashes(remembering, random.Random()).happen(asked or FEW)  # noqa: S311 - nothing is kept secret by it
    if asked:
        with capsys.disabled():
            print(f"\n{remembering.url.partition(':')[0]}: {figures}")  # noqa: T201 - somebody asked
    assert (figures.lost, figures.twice) == (0, 0)
