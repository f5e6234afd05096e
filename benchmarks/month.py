"""A month of a team under a clock that flies: how many messages each policy makes, and when. `make month`.

What the worker is made of takes part: settings, polls each minute, decisions, the store on SQLite, deliveries, edits,
and the rendering for Slack. Only LangSmith, Slack and the clock are made up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from math import isnan
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, percentile
from benchmarks.flight import Flight
from benchmarks.people import OWNER, PINGS, STRAY, measure_people
from benchmarks.team import CALENDAR, HOUR, MINUTE, TEAM, ZONE, berlin, scenario
from worker.clock import SystemClock
from worker.settings.model import PER_QUEUE
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from benchmarks.flight import Board, Post
    from benchmarks.team import Scenario
    from worker.core.history import Hours
    from worker.core.model import Id, Kind

LEADS = ("U0LEADANN", "U0LEADBEN")
PERFORMANCE = Path(__file__).parent.parent / "docs" / "performance.md"
PICTURE = PERFORMANCE.with_name("month.svg")
MARKS = ("<!-- The month begins: written by `make month`. -->\n", "<!-- The month ends. -->\n")

SO_FAR: Mapping[str, object] = {"announce_every": "0s"}
"""What a version does anyway that does not know the setting."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - what a disk costs is not the question here
PLANS = 100_000
SOON = 3 * HOUR
"""A run that posts of one kind speak of twice within this time was called for once too often."""

PATIENCE = 20 * MINUTE
"""A run that waited for so much open time without an outage should have been seen: a failing queue is left alone for
a quarter of an hour at most."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of every queue, and what is to be reached with them: the most of a figure, by its name."""

    name: str
    settings: Mapping[str, object]
    nag: Mapping[str, object] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)

    @property
    def lacking(self) -> list[str]:
        """The settings that this version does not know."""
        return [key for key, value in self.settings.items() if key not in PER_QUEUE and SO_FAR.get(key) != value]


POSTS, OUTSIDE, MENTIONS = (
    "posts per queue and working day",
    "posts outside 09:00 to 17:30 of working days",
    "mentions per lead and working day",
)
SHOWN, CALLED = "a run is shown after, open minutes without outages, p95", "… called for by a post after"
EDITS, LOST, TWICE = "edits per day", "runs never shown", "runs called for twice"
ALWAYS = {LOST: 0.0, TWICE: 0.0}
HOURS = {**ALWAYS, OUTSIDE: 0.0, SHOWN: 1.0}
ESCALATE: Mapping[str, object] = {"escalate_after": "1d", "escalate_mention": list(LEADS)}
FOUR: Mapping[str, object] = {"calendar": "berlin", "announce_every": "4h"}
AT_NINE: Mapping[str, object] = {**FOUR, "remind_at": ["Mon-Fri 09:00"]}
TO_PEOPLE: Mapping[str, object] = {"people": "assigned", "tell": "direct", "owner": OWNER}

POLICIES = (
    Policy("as 0.1", {"announce_every": "0s"}, most=ALWAYS),
    Policy("as 0.1, escalations", {"announce_every": "0s", **ESCALATE}, most=ALWAYS),
    Policy(
        "hours, each 1h, at 09:00", {**AT_NINE, "announce_every": "1h"}, most={**HOURS, POSTS: 8, f"{POSTS}, p95": 9}
    ),
    Policy("hours, each 4h", FOUR, most=HOURS),
    Policy(
        "hours, each 4h, at 09:00, escalations",
        {**AT_NINE, **ESCALATE},
        nag={"per_person_day": 1},
        most={**HOURS, POSTS: 3, f"{POSTS}, p95": 3, MENTIONS: 1, f"{MENTIONS}, most": 1},
    ),
    Policy(
        "direct, hours, each 1d, at 09:00",
        {**AT_NINE, **TO_PEOPLE, "announce_every": "1d"},
        nag={"per_person_day": 1},
        most={**HOURS, PINGS: 1, f"{PINGS}, most": 1, STRAY: 0},
    ),
)


def worker_toml(policy: Policy, given: Scenario) -> str:
    """The settings of a policy as they are written for a worker."""
    known = {key: value for key, value in policy.settings.items() if key in PER_QUEUE}
    tables = {"[calendars.berlin]": CALENDAR} if "calendar" in known else {}
    tables |= {"[nag]": policy.nag} if policy.nag else {}
    lines = [*_table({**tables, "[defaults]": known})]
    for queue in given.queues:
        lines += _table({"[[queues]]": {"queue": str(queue.queue_id), "channel": f"C0{queue.name.upper()}"}})
    return "\n".join(lines) + "\n"


def _table(tables: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
    return [
        line for head, keys in tables.items() for line in (head, *(f"{k} = {json.dumps(v)}" for k, v in keys.items()))
    ]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a policy; `seconds` of CPU were spent on `plans`. `hours` are the history of each queue."""

    figures: Sequence[Figure]
    posts: Sequence[Post]
    plans: int
    seconds: float
    hours: Mapping[Id, Hours]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Let the worker log nothing, and as before when it is over."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


PRESENT = Policy("hours, else the defaults", {"calendar": "berlin"})
"""What the worker of a remembered month did."""


def remember(directory: Path, end: datetime, length: timedelta) -> None:
    """Let the worker live so long until `end` by PRESENT; its settings and its database stay in a directory."""
    given = scenario(end - length, end)
    with _silence():
        text = 'keep_deliveries = "90d"\n' + worker_toml(PRESENT, given)
        (directory / "worker.toml").write_text(text, encoding="utf-8")
        with contextlib.closing(open_store(f"sqlite:///{directory / 'worker.db'}", migrate=True)) as store:
            Flight(store, given, directory).play()


def play(policy: Policy, given: Scenario) -> Played:
    """Work through a scenario by a policy, in a directory of its own."""
    place = tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
    with _silence(), place as name:
        directory = Path(name)
        (directory / "worker.toml").write_text(worker_toml(policy, given), encoding="utf-8")
        with contextlib.closing(open_store(f"sqlite:///{directory / 'worker.db'}", migrate=True)) as store:
            flight = Flight(store, given, directory)
            flight.play()
            hours = store.hours(given.begin, given.end)
    figures = measure(policy, given, flight.board)
    return Played(figures, flight.board.posts, flight.store.plans, flight.store.seconds, hours)


def is_working(day: date) -> bool:
    """Whether the team works on a day."""
    return day.weekday() < 5 and day not in {off.day for off in TEAM.days_off(berlin(1, 1))}  # noqa: PLR2004 - Saturday


def measure(policy: Policy, given: Scenario, board: Board) -> list[Figure]:
    """What of all this concerns people."""
    days = [given.begin.astimezone(ZONE).date()]
    while days[-1] < given.end.astimezone(ZONE).date():
        days.append(days[-1] + timedelta(days=1))
    working = [day for day in days if is_working(day)]
    queue_of = {stay.run.queue_run_id: stay.queue.name for stay in given.stays}
    posts: Counter[tuple[str, date]] = Counter()
    mentions: Counter[tuple[str, date]] = Counter()
    for post in board.posts:
        day = post.at.astimezone(ZONE).date()
        if not post.is_direct:
            posts.update((name, day) for name in {queue_of[run] for run in post.runs})
        mentions.update((lead, day) for lead in post.mentions)
    a_day = [posts[queue.name, day] for queue in given.queues for day in working]
    found = {
        POSTS: mean(a_day),
        f"{POSTS}, p95": percentile(a_day, 0.95),
        OUTSIDE: sum(not _is_office(post.at) for post in board.posts),
        MENTIONS: mean(mentions[lead, day] for lead in LEADS for day in working),
        f"{MENTIONS}, most": max((mentions[lead, day] for lead in LEADS for day in days), default=0),
        **_waits(given, board),
        EDITS: board.edits / len(days),
        "posts in all": len(board.posts),
        **measure_people(given, board.posts, working),
    }
    return [Figure(policy.name, name, value, "", most=policy.most.get(name)) for name, value in found.items()]


def _is_office(at: datetime) -> bool:
    wall = at.astimezone(ZONE)
    since_midnight = timedelta(hours=wall.hour, minutes=wall.minute)
    return is_working(wall.date()) and 9 * HOUR <= since_midnight < 17.5 * HOUR


def _waits(given: Scenario, board: Board) -> dict[str, float]:
    """How long runs wait until they are shown, and called for; which never were, and which once too often."""
    called: defaultdict[Id, list[Post]] = defaultdict(list)
    for post in board.posts:
        for run in post.runs:
            called[run].append(post)
    shown_after, called_after, lost, twice = [], [], 0, 0
    for stay in given.stays:
        run, since = stay.run.queue_run_id, max(stay.added_at, given.begin)
        if stay.gone_at <= given.begin:
            continue
        if run in board.shown:
            shown_after.append(_undisturbed(given, since, board.shown[run]) / MINUTE)
        elif _undisturbed(given, since, min(stay.gone_at, given.end)) >= PATIENCE:
            lost += 1
        if called[run]:
            called_after.append(TEAM.age(since, called[run][0].at) / MINUTE)
        twice += _is_called_twice(run, called[run])
    p95 = {SHOWN: percentile(shown_after, 0.95), CALLED: percentile(called_after, 0.95)}
    return {**p95, LOST: lost, TWICE: twice}


def _undisturbed(given: Scenario, since: datetime, until: datetime) -> timedelta:
    outages = (given.langsmith_out, given.slack_out)
    lost = (TEAM.age(max(since, begin), min(until, end + PATIENCE)) for begin, end in outages)
    return TEAM.age(since, until) - sum(lost, timedelta(0))


def _is_called_twice(run: Id, posts: Sequence[Post]) -> bool:
    last: dict[tuple[str, Kind], datetime] = {}
    for post in posts:
        # A message to another person calls somebody else.
        why = post.place if post.is_direct else "", post.runs[run]
        if why in last and post.at - last[why] < SOON:
            return True
        last[why] = post.at
    return False


def rows(played: Mapping[str, Played]) -> list[list[str]]:
    """A row a figure with a cell a policy, for people."""
    every = zip(*(each.figures for each in played.values()), strict=True)
    return [[figures[0].name, *(_cell(figure) for figure in figures)] for figures in every]


def _cell(figure: Figure) -> str:
    if isnan(figure.value):
        return "-"
    value = f"{figure.value:,.0f}" if figure.value >= 10 else f"{figure.value:.1f}".removesuffix(".0")  # noqa: PLR2004
    return value if figure.met is None else f"{value} ({figure.wanted}: {'reached' if figure.met else 'missed'})"


def write_down(played: Mapping[str, Played], lacking: Sequence[Policy]) -> None:
    """Put the table into the page on performance, between its marks."""
    lines = [["", *played], ["---"] * (len(played) + 1), *rows(played)]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    later = f"\nNot built yet: {'; '.join(policy.name for policy in lacking)}.\n" if lacking else ""
    before, _, rest = PERFORMANCE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PERFORMANCE.write_text(f"{before}{MARKS[0]}\n{text}{later}\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    """Play, print, and where it was the whole month, write the table and the picture into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.month", description="Count the messages of a month.")
    parser.add_argument("--quick", action="store_true", help="the week of Easter alone; nothing is written")
    parser.add_argument("--only", metavar="WORD", default="", help="policies whose names have it; nothing is written")
    parser.add_argument("--remember", metavar="DIR", help="live 34 days until now, for `simulate` there; then end")
    options = parser.parse_args()
    if options.remember:
        remember(Path(options.remember), SystemClock().now().replace(second=0, microsecond=0), timedelta(days=34))
        return
    is_quick, is_part = options.quick, options.quick or bool(options.only)
    given = scenario(berlin(3, 24), berlin(3, 31)) if is_quick else scenario(berlin(3, 15), berlin(4, 15, 17.5))
    wanted = [policy for policy in POLICIES if options.only in policy.name]
    lacking = [policy for policy in wanted if policy.lacking]
    with ProcessPoolExecutor() as pool:
        playing = {policy.name: pool.submit(play, policy, given) for policy in wanted if not policy.lacking}
        played = {name: each.result() for name, each in playing.items()}
    table = Table("", *played)
    for row in rows(played):
        table.add_row(*row)
    console = Console()
    console.print(table)
    for policy in lacking:
        console.print(f"not built yet: {policy.name} ({', '.join(policy.lacking)})")
    seconds = sum(each.seconds for each in played.values()) / sum(each.plans for each in played.values())
    cost = Figure("", f"{PLANS:,} plans, CPU seconds", seconds * PLANS, "", most=30)
    console.print(f"{cost.name}: {_cell(cost)}")
    if not is_part:
        from benchmarks.plot import draw_month  # noqa: PLC0415 - the tests have no matplotlib

        write_down(played, lacking)
        draw_month({name: each.posts for name, each in played.items()}, PICTURE)


if __name__ == "__main__":
    main()
