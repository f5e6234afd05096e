"""What `simulate` makes of a past equals what the worker did then, under a clock that flies past both."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from benchmarks.flight import Flight
from benchmarks.month import Policy, worker_toml
from benchmarks.team import QUEUES, berlin, scenario
from tests.support.builders import to
from worker.commands.simulate import columns, figure_rows, heading, play_policies, simulation_json
from worker.core.actions import OPERATOR, Act, Action, Record
from worker.core.history import Hour
from worker.core.model import Polled, Review
from worker.core.simulation import Past, gaps_of, outages_of, past_from
from worker.settings import load
from worker.stores.opening import open_store
from worker.stores.past import recall_past

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from benchmarks.flight import Post
    from worker.commands.simulate import Played
    from worker.core.model import Id
    from worker.settings import Settings

BEGIN = berlin(3, 23, 15)
GIVEN = scenario(BEGIN, BEGIN + timedelta(hours=2, minutes=45), queues=QUEUES[:2])
"""From the afternoon until after closing, which is at half past five."""

LADDER: dict[str, Any] = {
    "calendar": "berlin",
    "announce_every": "30m",
    "stale_after": "1h",
    "remind_every": "1h",
    "escalate_after": "2h",
    "escalate_mention": ["U0LEADANN"],
}
DIRECT = LADDER | {"people": "assigned", "tell": "direct", "owner": "U0OWNER"}


def settings_of(directory: Path, policy: Policy, more: str = "") -> Settings:
    (directory / "worker.toml").write_text(worker_toml(policy, GIVEN) + more, encoding="utf-8")
    return load(frozenset(), environ={}, directory=directory, run_secrets=directory)


def lived(directory: Path, policy: Policy) -> tuple[list[Post], Past, Settings]:
    """The posts that the worker made, and what it remembers of that time."""
    settings = settings_of(directory, policy)
    with closing(open_store(f"sqlite:///{directory / 'worker.db'}", migrate=True)) as store:
        flight = Flight(store, GIVEN, directory)
        flight.play()
        past = store.search(lambda connection: recall_past(connection, BEGIN, BEGIN, GIVEN.end))
    return flight.board.posts, past, settings


@pytest.fixture(scope="module")
def by_ladder(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Post], Past, Settings]:
    return lived(tmp_path_factory.mktemp("ladder"), Policy("ladder", LADDER))


def figures(past: Past, settings: Settings) -> Played:
    (played,) = play_policies(past, [(None, settings)])
    return played


def test_the_present_policy_makes_the_posts_that_were_made(by_ladder: tuple[list[Post], Past, Settings]) -> None:
    posts, past, settings = by_ladder
    played = figures(past, settings)
    assert {queue.queue.queue_id: queue.posts for queue in played.figures.queues} == past.sent
    assert sum(past.sent.values()) == len(posts) > 9
    assert {kind.value for kind in Counter(post.kind for post in posts)} >= {"baseline", "announcement", "escalation"}
    assert played.figures.calls == past.calls == {"U0LEADANN": sum(bool(post.mentions) for post in posts)}
    assert played.figures.every is not None
    assert played.figures.every.shown.p95 is not None
    assert played.figures.every.shown.p95 < timedelta(minutes=1)


def test_people_are_called_as_often_as_they_were(tmp_path: Path) -> None:
    posts, past, settings = lived(tmp_path, Policy("direct", DIRECT, nag={"per_person_day": 30}))
    played = figures(past, settings)
    called = Counter(
        post.place if post.is_direct else name for post in posts for name in post.mentions or (post.place,)
    )
    in_fact, simulated = sum(past.calls.values()), sum(played.figures.calls.values())
    assert abs(simulated - in_fact) <= max(1, in_fact * 0.05)
    assert played.figures.direct > 9
    assert set(played.figures.calls) <= set(called)


def test_another_policy_is_played_on_the_same_past(
    tmp_path: Path, by_ladder: tuple[list[Post], Past, Settings]
) -> None:
    _, past, present = by_ladder
    calmer = settings_of(tmp_path, Policy("calmer", {"calendar": "berlin", "announce_every": "4h"}))
    both = play_policies(past, [(None, present), (tmp_path / "calmer.toml", calmer)])
    ladder, calm = (each.figures.every for each in both)
    assert ladder is not None
    assert calm is not None
    assert calm.posts < ladder.posts
    assert calm.came == ladder.came > 9
    assert calm.days == ladder.days == 2
    shown = list(figure_rows(past, both))
    assert columns(both) == ["", "Present policy", "calmer.toml", "In fact"]
    assert {len(row) for row in shown} == {4}
    in_fact = f"{sum(past.sent.values()) / 2:.1f}"
    assert shown[0] == ["Posts per queue and working day", in_fact, f"{calm.posts / 2:.1f}", in_fact]


def test_what_people_did_is_done_again(by_ladder: tuple[list[Post], Past, Settings]) -> None:
    _, past, settings = by_ladder
    mute = Record(BEGIN + timedelta(minutes=1), Action(Act.MUTE, OPERATOR, QUEUES[0].queue_id, until=GIVEN.end))
    muted = figures(replace(past, records=[mute]), settings)
    (first, second) = (queue.posts for queue in muted.figures.queues)
    assert first < past.sent[QUEUES[0].queue_id]
    assert second == past.sent[QUEUES[1].queue_id]


@cache
def overnight() -> Past:
    """From the afternoon until the next morning, as polls each minute would have remembered it."""
    given = scenario(BEGIN, BEGIN + timedelta(hours=20), queues=QUEUES[:2])
    reviews: dict[Id, list[Review]] = {queue.queue_id: [] for queue in given.queues}
    for stay in given.stays:
        seen_at = max(_polled_after(stay.added_at), BEGIN)
        closed_at = _polled_after(stay.gone_at) if stay.gone_at < given.end else None
        if seen_at < given.end and (closed_at is None or closed_at > seen_at):
            run = stay.run
            review = Review(run.queue_run_id, run.added_at, run.run_id, stay.added_at, seen_at, who=run.who)
            reviews[stay.queue.queue_id].append(replace(review, closed_at=closed_at))
    polls = [Polled(queue, baselined_at=BEGIN) for queue in given.queues]
    return Past(BEGIN, BEGIN, given.end, polls, reviews)


def _polled_after(at: datetime) -> datetime:
    return BEGIN + -((BEGIN - at) // timedelta(minutes=1)) * timedelta(minutes=1)


@pytest.mark.parametrize("ladder", [LADDER | {"announce_every": "4h"}, DIRECT])
def test_what_comes_in_closed_hours_need_not_be_seen_one_by_one(tmp_path: Path, ladder: dict[str, Any]) -> None:
    """Where a person has hours of their own, each run is looked at as it comes: the outcome is the same."""
    away = (BEGIN + timedelta(hours=16.5), BEGIN + timedelta(hours=18.5))
    past = replace(overnight(), gaps={QUEUES[0].queue_id: [away]})
    at_once = settings_of(tmp_path, Policy("ladder", ladder))
    own_hours = '[people]\n"nobody@example.org" = { slack = "U0NOBODY", calendar = "berlin" }\n'
    one_by_one = settings_of(tmp_path, Policy("ladder", ladder), own_hours)
    played = figures(past, at_once)
    assert played == figures(past, one_by_one)
    assert played.figures.every is not None
    assert played.figures.every.posts + played.figures.direct > 9


def test_an_act_on_a_run_that_came_in_closed_hours_counts(tmp_path: Path) -> None:
    past, settings = overnight(), settings_of(tmp_path, Policy("ladder", LADDER))
    night = BEGIN + timedelta(hours=10)
    acts = [
        Record(night, Action(Act.SNOOZE, OPERATOR, queue_id, review.queue_run_id, until=past.end + timedelta(days=1)))
        for queue_id, reviews in past.reviews.items()
        for review in reviews
        if BEGIN + timedelta(hours=3) < review.first_seen_at < night
    ]
    spared, called = (figures(each, settings).figures.every for each in (replace(past, records=acts), past))
    assert len(acts) > 9
    assert spared is not None
    assert called is not None
    # No message calls for them in the morning; those that did not come by night are called for within the hour.
    assert spared.called_wall.p50 is not None
    assert called.called_wall.p50 is not None
    assert spared.called_wall.p50 < timedelta(hours=1) < called.called_wall.p50


def test_nothing_is_decided_while_nothing_was_polled(by_ladder: tuple[list[Post], Past, Settings]) -> None:
    _, past, settings = by_ladder
    early = {of: [one for one in every if one.first_seen_at <= BEGIN] for of, every in past.reviews.items()}
    free = replace(past, reviews=early)
    away = replace(free, gaps={QUEUES[0].queue_id: [(BEGIN + timedelta(minutes=5), GIVEN.end)]})
    reminded, blind = ([queue.posts for queue in figures(each, settings).figures.queues] for each in (free, away))
    assert reminded[0] > blind[0] == 2
    assert reminded[1] == blind[1]
    seen = [BEGIN + timedelta(hours=number) for number in (0, 1, 4, 5)]
    hours = dict.fromkeys(seen, Hour(waiting=1)) | {seen[1] + timedelta(hours=1): Hour(came=1)}
    assert gaps_of(hours) == [(BEGIN + timedelta(hours=2), BEGIN + timedelta(hours=4))]
    assert gaps_of({}) == []


def test_nothing_is_posted_while_nothing_got_through(by_ladder: tuple[list[Post], Past, Settings]) -> None:
    _, past, settings = by_ladder
    place, soon, until = to("C0BILLING"), BEGIN + timedelta(minutes=1), BEGIN + timedelta(hours=2)
    assert outages_of([(place, BEGIN, BEGIN), (place, BEGIN, soon)]) == {}
    # Where one was posted meanwhile, others could have been.
    late = [(place, BEGIN - timedelta(hours=1), until), (place, BEGIN, soon)]
    assert outages_of(late) == {place: [(soon, until)]}
    out = replace(past, outages={place: [(soon, until)]})
    played, whole = (figures(each, settings).figures.queues for each in (out, past))
    assert whole[0].posts > played[0].posts > 1
    assert played[1] == whole[1]


def test_a_queue_of_which_nothing_is_remembered_is_named(
    tmp_path: Path, by_ladder: tuple[list[Post], Past, Settings]
) -> None:
    _, past, _ = by_ladder
    named = settings_of(tmp_path, Policy("as 0.1", {"announce_every": "0s"}))
    without = replace(past, polls=[each for each in past.polls if each.queue != QUEUES[1]])
    assert figures(without, named).missing == [str(QUEUES[1].queue_id)]


def test_a_past_that_is_shorter_than_was_asked_for_is_said_to_be(
    by_ladder: tuple[list[Post], Past, Settings],
) -> None:
    _, past, settings = by_ladder
    played = [figures(past, settings)]
    lines = list(heading(past, 30, played, GIVEN.begin.tzinfo))  # type: ignore[arg-type]
    assert "Only 2 h of the 30 days are remembered." in lines
    assert simulation_json(past, 30, played)["remembered_days"] == 0.115
    kept = BEGIN + timedelta(hours=1)
    assert past_from(past.polls, kept) == kept
    assert past_from(past.polls, BEGIN - timedelta(days=9)) == BEGIN
    assert past_from([], kept) is None
