"""What the page reads, from a real database beside the one that writes it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import HOUR, NOON, deciding, notice, queue, review
from tests.support.past import write_hours
from tests.support.people import ADA, BEN
from tests.support.settings_place import COMPLETE, Place
from worker.clock import SystemClock
from worker.commands.page_data import RUNS_A_PAGE, PageReader
from worker.commands.page_flow import DAYS, days_of, flow_of
from worker.core.history import Hour, hour_of
from worker.core.model import Facts, Polled
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres
    from worker.core.model import Review
    from worker.stores.sql import SqlStore

SUPPORT = queue(url="https://smith.example/q", assigned=(ADA, BEN))
HIDDEN = Facts(
    name="secret name", run_type="chain", tags=("secret tag",), error="secret error", url="https://x.example/r"
)


@contextmanager
def read(directory: Path, url: str = "", **environ: str) -> Iterator[tuple[SqlStore, PageReader]]:
    """A store that a worker writes to, and the reader of the page beside it."""
    url = url or f"sqlite:///{directory}/worker.db"
    settings = Place(directory, directory / "mount").load_all(COMPLETE | {"WORKER_DATABASE_URL": url} | environ)
    with (
        closing(open_store(settings.database_url, migrate=True)) as store,
        closing(PageReader(settings, lambda _: "")) as reader,
    ):
        yield store, reader


def waiting(store: SqlStore, *reviews: Review, **more: Any) -> None:
    """Let runs wait in the queue, as a poll writes them."""
    now = SystemClock().now()
    store.update(SUPPORT, (), deciding(*reviews, **more), now)
    store.polled([Polled(SUPPORT, completed_at=now)])


def ago(hours: float) -> Any:
    return SystemClock().now() - hours * HOUR


def test_the_first_page_counts_what_waits_and_for_whom(tmp_path: Path) -> None:
    with read(tmp_path, WORKER_PEOPLE="assigned") as (store, reader):
        waiting(store, review("a", since=ago(5)), review("b", since=ago(1)))
        (row,) = reader.front().queues
    assert (row.name, row.waiting, row.overdue) == ("Support QA", 2, 1)
    assert [(turn.name, turn.runs) for turn in row.turns] == [("Ada", 2), ("Ben", 2)]
    assert row.oldest_age_seconds is not None
    assert 5 * 3600 <= row.oldest_age_seconds < 6 * 3600


def test_runs_are_read_oldest_first_and_a_hundred_at_a_time(tmp_path: Path) -> None:
    with read(tmp_path) as (store, reader):
        waiting(store, *(review(number, since=ago(number)) for number in range(1, RUNS_A_PAGE + 6)))
        first = reader.queue(str(SUPPORT.queue_id), 0)
        rest = reader.queue(str(SUPPORT.queue_id), RUNS_A_PAGE)
    assert first is not None
    assert rest is not None
    assert [len(first.runs), len(rest.runs)] == [RUNS_A_PAGE, 5]
    assert first.runs[0].label == str(RUNS_A_PAGE + 5)
    assert rest.runs[-1].label == "1"


def test_no_text_of_a_run_is_read_but_what_a_message_may_show(tmp_path: Path) -> None:
    with read(tmp_path, WORKER_SHOW="type,age") as (store, reader):
        waiting(store, replace(review(since=ago(1)), facts=HIDDEN))
        shown = reader.queue(str(SUPPORT.queue_id), 0)
    assert shown is not None
    assert "secret" not in repr(shown)
    assert (shown.runs[0].run_type, shown.runs[0].url) == ("chain", HIDDEN.url)
    assert shown.runs[0].label.startswith("run ")


def test_addresses_of_people_are_shown_to_who_has_the_token_alone(tmp_path: Path) -> None:
    for token, emails in (({}, {None}), ({"WORKER_HTTP_TOKEN": "0123456789abcdef"}, {ADA.email, BEN.email})):
        with read(tmp_path, WORKER_PEOPLE="assigned", **token) as (store, reader):
            store.introduce((ADA, BEN), NOON)
            waiting(store, review(since=ago(1)))
            front = reader.front()
        assert {person.email for person in front.people} == emails
        assert {turn.email for turn in front.queues[0].turns} == emails
        assert ("@" in repr(front)) is bool(token)


def test_a_message_that_is_owed_stands_among_what_is_not_delivered(tmp_path: Path) -> None:
    one = review("a", since=ago(1))
    with read(tmp_path) as (store, reader):
        waiting(store, one, notices=[notice(one)])
        front, page = reader.front(), reader.queue(str(SUPPORT.queue_id), 0)
    assert [(each.state, each.queue) for each in front.undelivered] == [("pending", "Support QA")]
    assert page is not None
    assert [each.key for each in page.messages] == [front.undelivered[0].key]


def test_a_queue_that_is_not_polled_has_no_page(tmp_path: Path) -> None:
    with read(tmp_path) as (store, reader):
        waiting(store, review(since=ago(1)))
        assert reader.queue("nothing", 0) is None


def test_reading_does_not_disturb_who_writes(tmp_path: Path) -> None:
    with read(tmp_path) as (store, reader):
        waiting(store, review("a", since=ago(1)))
        reader.front()
        reader.close()
        waiting(store, review("b", since=ago(1)))
        assert reader.front().queues[0].waiting == 2


def test_it_is_read_from_postgresql_as_well(tmp_path: Path, postgres_server: Postgres) -> None:
    url = postgres_server.migrated()
    with read(tmp_path, url, WORKER_PEOPLE="assigned") as (store, reader):
        waiting(store, review("a", since=ago(5)))
        page = reader.queue(str(SUPPORT.queue_id), 0)
        assert [row.waiting for row in reader.front().queues] == [1]
    assert page is not None
    assert [(run.label, run.waits_for) for run in page.runs] == [("a", ["Ada", "Ben"])]


def test_the_past_is_read_with_its_gaps(tmp_path: Path) -> None:
    at = hour_of(SystemClock().now()) - HOUR
    with read(tmp_path) as (store, reader):
        waiting(store, review(since=ago(1)))
        write_hours(store, SUPPORT, {at: Hour(came=3, reviewed=1, waiting=2)})
        page = reader.queue(str(SUPPORT.queue_id), 0)
    assert page is not None
    assert len(page.flow.days) == DAYS
    assert page.flow.came >= 3
    assert page.flow.days[0].waiting is None


def test_the_days_are_those_of_the_zone_up_to_today() -> None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - for this one

    zone = ZoneInfo("Pacific/Auckland")  # NOON is one o'clock in the morning of the next day there
    days = days_of({NOON: Hour(came=1, waiting=1)}, zone, NOON)
    assert (days[-1].day, days[-1].came, days[-2].waiting) == (NOON.date() + timedelta(days=1), 1, None)


def test_what_is_older_than_the_days_shown_counts_nowhere() -> None:
    old, new = NOON - timedelta(days=DAYS), NOON - HOUR
    zone = NOON.tzinfo
    assert zone is not None
    found = flow_of({old: Hour(came=5, waiting=1), new: Hour(came=2, waiting=1)}, zone, NOON)
    assert (found.came, sum(day.came for day in found.days)) == (2, 2)
    assert sum(cell.came for hours in found.week for cell in hours) == 2
