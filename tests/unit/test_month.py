"""A few hours of the month that `make month` plays, so that it stays playable."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from benchmarks.flight import Board, Post
from benchmarks.month import EDITS, LOST, POLICIES, POSTS, SHOWN, TWICE, measure, play, remember, rows
from benchmarks.people import OWNER, PINGS, STRAY, measure_people
from benchmarks.soak import Clock
from benchmarks.team import MINUTE, PEOPLE, QUEUES, USERS, Scenario, berlin, scenario
from worker.core.history import total
from worker.core.model import Kind
from worker.settings import load

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = berlin(3, 23, 10)


@pytest.fixture(scope="module")
def given() -> Scenario:
    return scenario(BEGIN, BEGIN + timedelta(hours=3), queues=QUEUES[:1])


def test_a_policy_is_played_and_measured(given: Scenario) -> None:
    played = play(POLICIES[0], given)
    found = {figure.name: figure.value for figure in played.figures}
    assert len(played.posts) == found["posts in all"] > 3
    assert found[LOST] == found[TWICE] == 0
    assert found[EDITS] > 0
    assert played.plans > 3
    assert [row[0] for row in rows({"as 0.1": played})] == list(found)
    ((_, hours),) = played.hours.items()
    past = total(hours.values())
    came = [stay for stay in given.stays if given.begin + MINUTE < stay.added_at < given.end]
    # The last poll is a minute before the end.
    left = [stay for stay in given.stays if given.begin < stay.gone_at <= given.end - MINUTE]
    assert (len(hours), past.came, past.reviewed) == (3, len(came), len(left)), "the history counts what is true"


def test_runs_that_are_never_shown_or_called_for_again_are_counted(given: Scenario) -> None:
    board = Board(Clock(BEGIN), given.slack_out)
    waiting = [stay.run.queue_run_id for stay in given.stays if stay.gone_at > given.end]
    again = dict.fromkeys(waiting[:2], Kind.ANNOUNCEMENT)
    board.posts += [Post(BEGIN + number * MINUTE, Kind.ANNOUNCEMENT, (), again) for number in range(2)]
    board.shown |= dict.fromkeys(again, BEGIN)
    found = {figure.name: figure.value for figure in measure(POLICIES[0], given, board)}
    assert found[TWICE] == 2
    assert found[SHOWN] == 0
    assert found[LOST] >= len(waiting) - 2 - 1


def test_people_are_called_for_what_is_their_turn(given: Scenario) -> None:
    played = play(POLICIES[-1], given)
    found = {figure.name: figure.value for figure in played.figures}
    direct = [post for post in played.posts if post.is_direct]
    assert {post.place for post in direct} <= {*USERS.values(), OWNER}
    assert 0 < found[PINGS] <= found[f"{PINGS}, most"] == 1
    assert found[STRAY] == found[LOST] == found[TWICE] == 0
    assert found[POSTS] == 1


def test_a_message_about_the_turn_of_another_is_counted(given: Scenario) -> None:
    stay = next(stay for stay in given.stays if stay.moved_at < stay.gone_at < given.end)
    last, run = USERS[PEOPLE[stay.reviewer].email], {stay.run.queue_run_id: Kind.ANNOUNCEMENT}
    there = stay.moved_at + MINUTE
    posts = [Post(at, Kind.DIRECT, (), run, last) for at in (stay.added_at - MINUTE, there, stay.gone_at + MINUTE)]
    assert measure_people(given, posts, [there.date()])[STRAY] == 2


def test_a_remembered_month_has_its_settings_and_its_database(tmp_path: Path) -> None:
    remember(tmp_path, BEGIN, timedelta(0))
    settings = load(frozenset(), environ={}, directory=tmp_path, run_secrets=tmp_path)
    assert {queue.queue for queue in settings.queues} == {str(queue.queue_id) for queue in QUEUES}
    assert (tmp_path / "worker.db").exists()
