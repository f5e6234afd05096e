"""Slack loses answers, breaks off, throttles: people see each message once, whatever the worker got to hear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.process import wait_for
from worker.core.owed import State
from worker.demo.slack.server import Mode

if TYPE_CHECKING:
    from tests.system.stage import Place, Stage

POST, LOOK, EDIT = "chat.postMessage", "conversations.history", "chat.update"


@dataclass(frozen=True)
class Trouble:
    """What one post meets: each fault once, by the method that it hits; and how many posts Slack is asked for."""

    name: str
    posts: int
    faults: tuple[tuple[str, dict[str, Any]], ...] = field(default=())


def trouble(name: str, posts: int, *faults: dict[str, Any], **post: Any) -> Trouble:
    """The first fault is that of the post; each of the others names its method as `of`."""
    others = [(fault["of"], {name: value for name, value in fault.items() if name != "of"}) for fault in faults]
    return Trouble(name, posts, ((POST, post), *others))


LOST = [
    trouble("cut off after it was posted", 1, mode=Mode.COMMIT_THEN_DROP),
    trouble("half an answer", 1, mode=Mode.HALF_ANSWER),
    trouble("status 500 after it was posted", 1, mode=Mode.STATUS_500_AFTER_COMMIT),
    trouble("no word of where it was posted", 1, mode=Mode.NO_TS),
    trouble("a page of HTML after it was posted", 1, mode=Mode.HTML_AFTER_COMMIT),
    trouble("posted late", 1, mode=Mode.LATE_COMMIT, delay=3.0),
]
REFUSED = [
    trouble("cut off before", 2, mode=Mode.DROP_BEFORE),
    trouble("an error of Slack's own", 2, error="internal_error"),
    trouble("out of service", 2, error="service_unavailable"),
    trouble(
        "posted, cut off, and the look is throttled",
        1,
        {"of": LOOK, "mode": Mode.RATELIMITED, "retry_after": 2},
        mode=Mode.COMMIT_THEN_DROP,
    ),
    trouble("posted, half an answer, and the look breaks", 1, {"of": LOOK, "status": 500}, mode=Mode.HALF_ANSWER),
    trouble("a page of HTML, then posted and cut off", 2, {"of": POST, "mode": Mode.COMMIT_THEN_DROP}, mode=Mode.HTML),
]


@pytest.mark.long(40)
@pytest.mark.parametrize(
    "troubles",
    [
        pytest.param(LOST, id="the answer is lost"),
        pytest.param(REFUSED, id="it was not posted, or two troubles come together"),
    ],
)
def test_everything_is_seen_once(stage: Stage, troubles: list[Trouble]) -> None:
    places = {each.name: stage.add(each.name) for each in troubles}
    calm = stage.add("calm")
    with stage.service():
        for each in troubles:
            _meet(stage, places[each.name], each)
            stage.run(calm, f"after {each.name}")
            # Others go on; and Slack is not in trouble for so long that it would be left alone for minutes.
            wait_for(lambda each=each: any(f"after {each.name}" in text for text in stage.shown(calm)), each.name)
        wait_for(stage.is_settled, "everything is settled")
    for each in troubles:
        assert ["told in" in text for text in stage.shown(places[each.name])] == [True], each.name
        assert len(stage.attempts(POST, places[each.name])) == each.posts, each.name
        assert stage.outbox(places[each.name])[0].state is State.SENT


def _meet(stage: Stage, place: Place, trouble: Trouble) -> None:
    for method, how in trouble.faults:
        stage.slack.fail(method, channel=place.channel, times=1, **how)
    stage.run(place, f"told in {place.name}")
    wait_for(lambda: stage.attempts(POST, place), f"a post to {place.name}")


@pytest.mark.long(15)
def test_throttled_again_and_again_it_asks_no_more_than_it_may_and_edits_go_on(stage: Stage) -> None:
    edited, first, second = stage.add("edited"), stage.add("first"), stage.add("second")
    run = stage.run(edited, "the reviewed one")
    with stage.service() as service:
        stage.wait_for_texts(edited, "the reviewed one")
        stage.slack.fail(POST, mode=Mode.RATELIMITED, retry_after=3, times=3)
        stage.run(first, "one")
        stage.run(second, "two")
        wait_for(lambda: stage.attempts(POST, first) + stage.attempts(POST, second), "a post is throttled")
        stage.langsmith.complete(run)
        stage.wait_for_texts(edited, "Reviewed")
        assert not stage.shown(first) + stage.shown(second)
        stage.wait_for_texts(first, "one")
        stage.wait_for_texts(second, "two")
        assert len(service.logged("delivery_pending")) == 3
    assert len(stage.attempts(POST, first) + stage.attempts(POST, second)) == 3 + 2
