"""What direct messages of the month mean for each reviewer, and for the owner."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import nan
from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.team import PEOPLE, USERS, ZONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from benchmarks.flight import Post
    from benchmarks.team import Scenario, Stay
    from worker.core.model import Id

OWNER = "U0LEADANN"
PINGS, STRAY, TO_OWNER = (
    "direct messages per reviewer and working day",
    "direct messages about a run that is not the reader's turn",
    "direct messages to the owner per working day",
)
HEARD = "runs that the owner heard of, per working day"


def measure_people(given: Scenario, posts: Iterable[Post], working: Sequence[date]) -> Mapping[str, float]:
    """How often reviewers are called, and whether for runs that are theirs; how often the owner is."""
    direct = [post for post in posts if post.is_direct]
    if not direct:
        return dict.fromkeys((PINGS, f"{PINGS}, most", STRAY, TO_OWNER, HEARD), nan)
    own = [post for post in direct if not post.is_for_owner]
    days = Counter((post.place, post.at.astimezone(ZONE).date()) for post in own)
    by_run = {stay.run.queue_run_id: stay for stay in given.stays}
    owner = [post for post in direct if post.is_for_owner]
    return {
        PINGS: mean(days[user, day] for user in USERS.values() for day in working),
        f"{PINGS}, most": max(days.values(), default=0),
        STRAY: sum(not _is_theirs(post, by_run) for post in own),
        TO_OWNER: len(owner) / len(working),
        HEARD: sum(len(post.runs) for post in owner) / len(working),
    }


def _is_theirs(post: Post, stays: Mapping[Id, Stay]) -> bool:
    """Whether all runs of a message are its reader's turn, as the latest listing before it shows them."""
    listed_at = post.at - timedelta(seconds=post.at.second, microseconds=post.at.microsecond)
    return all(_owes(post.place, stays[run], listed_at) for run in post.runs)


def _owes(user: str, stay: Stay, at: datetime) -> bool:
    emails = {one.reviewer_id: one.email for one in PEOPLE}
    return user in {USERS[emails[one]] for one in stay.owing(at)}
