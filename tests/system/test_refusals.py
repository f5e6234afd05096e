"""Slack refuses: a channel, the token, a message, an edit. What is owed is kept, and told once it works again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import LEADS
from tests.system.process import wait_for
from tests.system.watched import free_port
from worker.core.owed import State

if TYPE_CHECKING:
    from tests.system.process import Process
    from tests.system.stage import Place, Stage

POST, EDIT = "chat.postMessage", "chat.update"


def reports(stage: Stage) -> list[str]:
    """What the operators were told."""
    return [message["text"] for message in stage.slack.messages(LEADS)]


def states(stage: Stage, place: Place) -> list[State]:
    return [each.state for each in stage.outbox(place)]


def retry(stage: Stage, place: Place) -> None:
    """Do as an operator does who has fixed something: again, where the service was just at this delivery itself."""

    def is_put_back() -> bool:
        held = stage.outbox(place)[0]
        # The service tries such a channel again by itself, too, and may have been the first.
        return held.state is State.SENT or stage.bench.run("retry", str(held.key)).returncode == 0

    wait_for(is_put_back, "it is put back")


def polled(service: Process) -> int:
    """How many polls have found something new."""
    return len(service.logged("queue_polled"))


@pytest.mark.long(10)
def test_channels_that_refuse_are_held_with_all_they_are_owed_and_told_of_once(stage: Stage) -> None:
    archived, kicked, fine = stage.add("archived"), stage.add("kicked"), stage.add("fine")
    with stage.service(WORKER_OPS_CHANNEL=LEADS) as service:
        first = stage.run(archived, "the first")
        stage.wait_for_texts(archived, "the first")
        stage.slack.archive(archived.channel)
        stage.slack.kick(kicked.channel)
        stage.run(kicked, "into the void")
        for number in range(6):
            before = polled(service)
            gone = stage.run(archived, f"news {number}")
            wait_for(lambda before=before: polled(service) > before, "the poll")
        stage.langsmith.complete(gone)
        stage.langsmith.complete(first)
        stage.run(fine, "all is well here")
        stage.wait_for_texts(fine, "all is well here")
        wait_for(lambda: len(reports(stage)) == 2, "the operators know")
        wait_for(lambda: set(states(stage, archived)) == {State.HELD, State.SENT}, "what is owed is held")
        assert len(stage.attempts(POST, archived)) + len(stage.attempts(POST, kicked)) == 1 + 1 + 1

        stage.slack.archive(archived.channel, archived=False)
        stage.slack.invite(kicked.channel)
        retry(stage, kicked)
        stage.wait_for_texts(kicked, "into the void")
        stage.wait_for_texts(archived, "the first", "5 new runs")
        wait_for(lambda: len(reports(stage)) == 4, "the operators know that it works again")
    told = reports(stage)
    for place, code in [(archived, "is_archived"), (kicked, "not_in_channel")]:
        assert [code in text for text in told if f"Posting to <#{place.channel}> fails" in text] == [True]
        assert [code in text for text in told if f"Posting to <#{place.channel}> works again" in text] == [True]


def test_a_revoked_token_holds_everything_and_loses_nothing(stage: Stage) -> None:
    places = [stage.add("one"), stage.add("two")]
    port = free_port()
    with stage.service(WORKER_OPS_CHANNEL=LEADS, WORKER_HTTP_ADDRESS=f"127.0.0.1:{port}") as service:
        stage.run(places[0], "before")
        stage.wait_for_texts(places[0], "before")
        stage.slack.token_error = "token_revoked"
        for place in places:
            stage.run(place, f"owed to {place.name}")
        wait_for(lambda: service.logged("destination_held"), "everything is held")
        wait_for(lambda: all(State.HELD in states(stage, place) for place in places), "every notice is held")
        stage.slack.token_error = ""
        refused = [each for each in stage.slack.posts if each.outcome == "token_revoked"]
        assert len(refused) == 1
        retry(stage, places[1])
        stage.wait_for_texts(places[0], "before", "owed to one")
        stage.wait_for_texts(places[1], "owed to two")
        wait_for(lambda: len(reports(stage)) == 2, "the operators know")
    assert "Posting to Slack fails" in reports(stage)[0]
    assert "token_revoked" in reports(stage)[0]
    assert "Posting to Slack works again" in reports(stage)[1]


def test_a_message_that_is_refused_goes_as_plain_text_and_then_is_given_up(stage: Stage) -> None:
    plain, dead = stage.add("plain"), stage.add("dead")
    stage.slack.fail(POST, channel=plain.channel, error="invalid_blocks", times=1)
    stage.slack.fail(POST, channel=dead.channel, error="invalid_blocks_format", times=2)
    with stage.service(WORKER_OPS_CHANNEL=LEADS):
        stage.run(plain, "in plain words")
        stage.run(dead, "in vain")
        stage.wait_for_texts(plain, "in plain words")
        assert not stage.only(plain)["blocks"]
        wait_for(lambda: states(stage, dead) == [State.DEAD], "it is given up")
        wait_for(lambda: reports(stage), "the operators know")
        assert "could not be delivered" in reports(stage)[0]
        assert "invalid_blocks_format" in reports(stage)[0]
        assert stage.bench.run("status").returncode == 1
        retry(stage, dead)
        stage.wait_for_texts(dead, "in vain")
        assert stage.only(dead)["blocks"]
        assert len(reports(stage)) == 1


def test_edits_that_are_refused_end_and_what_comes_next_is_a_new_message(stage: Stage) -> None:
    deleted, closed, archived = stage.add("deleted"), stage.add("closed"), stage.add("archived")
    runs = {place: stage.run(place, f"first in {place.name}") for place in (deleted, closed, archived)}
    stage.slack.fail(EDIT, channel=closed.channel, error="edit_window_closed")
    with stage.service() as service:
        for place in runs:
            stage.wait_for_texts(place, f"first in {place.name}")
        stage.slack.delete(deleted.channel, stage.only(deleted)["ts"])
        stage.slack.archive(archived.channel)
        for run in runs.values():
            stage.langsmith.complete(run)
        wait_for(lambda: len(service.logged("edits_given_up")) == 3, "the edits are given up")
        stage.slack.archive(archived.channel, archived=False)
        for place in runs:
            stage.run(place, f"second in {place.name}")
        stage.wait_for_texts(deleted, "second in deleted")
        stage.wait_for_texts(closed, "first in closed", "second in closed")
        stage.wait_for_texts(archived, "first in archived", "second in archived")
        assert all(len(stage.attempts(EDIT, place)) == 1 for place in runs)
        assert not service.logged("destination_held")
