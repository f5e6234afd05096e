"""Several queues, each with a channel of its own, so that one process can meet many troubles side by side."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.system.process import PATIENCE, wait_for
from worker.core.owed import State
from worker.stores.opening import open_store
from worker.stores.schema import DELIVERIES, WORKERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import timedelta
    from uuid import UUID

    from tests.system.process import Bench, Process
    from worker.core.owed import Delivery
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import Attempt, SimulatedSlack
    from worker.stores.sql import SqlStore


@dataclass(frozen=True)
class Place:
    """One queue and the channel that is told of it."""

    name: str
    queue: UUID
    channel: str


class Stage:
    """The real process between a simulated LangSmith and a simulated Slack, with as many places as a test wants."""

    def __init__(self, bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack) -> None:
        self._stack = ExitStack()
        self.bench = bench
        self.langsmith = langsmith
        self.slack = slack
        self.places: list[Place] = []
        bench.environment |= {
            "WORKER_QUEUES": "",
            "WORKER_STALE_AFTER": "never",
            "WORKER_REQUESTS_PER_SECOND": "500",
            "WORKER_DATABASE_URL": f"sqlite:///{bench.directory}/worker.db",
        }

    def add(self, name: str, **settings: str) -> Place:
        """Make a queue with a channel; `settings` are those of its table in worker.toml."""
        channel = f"C0PLACE{len(self.places):04}"
        place = Place(name, self.langsmith.add_queue(name), channel)
        self.slack.add_channel(channel, f"place-{len(self.places)}")
        self.places.append(place)
        table = {"queue": str(place.queue), "channel": channel, **settings}
        lines = [f"{setting} = {json.dumps(value)}" for setting, value in table.items()]
        with (self.bench.directory / "worker.toml").open("a") as file:
            file.writelines(f"{line}\n" for line in ["[[queues]]", *lines, ""])
        return place

    def use(self, url: str) -> None:
        """Let the process remember in another database."""
        self.bench.environment["WORKER_DATABASE_URL"] = url

    def service(self, **more: str) -> AbstractContextManager[Process]:
        """Start the real process."""
        return self.bench.service(**more)

    def close(self) -> None:
        self._stack.close()

    # LangSmith

    def run(self, place: Place, name: str, **how: Any) -> UUID:
        """Put a run into a queue; its `queue_run_id`."""
        return self.langsmith.add_run(place.queue, name=name, **how)

    # Slack

    def shown(self, place: Place) -> list[str]:
        """What people see in a channel and its threads, oldest first."""
        return [message["text"] for message in self.slack.messages(place.channel)]

    def only(self, place: Place) -> dict[str, Any]:
        """The one message that stands in a channel."""
        (message,) = self.slack.messages(place.channel)
        return message

    def wait_for_texts(self, place: Place, *parts: str, patience: float = PATIENCE) -> None:
        """Wait until a channel shows so many messages, each with its part, oldest first."""

        def fit() -> bool:
            shown = self.shown(place)
            return len(shown) == len(parts) and all(part in text for part, text in zip(parts, shown, strict=True))

        try:
            wait_for(fit, f"{parts} in {place.name}", patience=patience)
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self.shown(place)}") from None

    def attempts(self, method: str, place: Place) -> list[Attempt]:
        """The calls of a method that arrived for a channel."""
        calls = (each for each in self.slack.attempts if (each.method, each.channel) == (method, place.channel))
        return [call for call in calls if call.outcome != "late"]  # what is done late had arrived before

    # The outbox, as another process sees it

    @property
    def url(self) -> str:
        return self.bench.environment["WORKER_DATABASE_URL"]

    @cached_property
    def store(self) -> SqlStore:
        """The database that the process has made."""
        return self._stack.enter_context(closing(open_store(self.url, migrate=False)))

    def outbox(self, place: Place) -> Sequence[Delivery]:
        """What is owed, or was, to a channel, newest first."""
        return [each for each in self.store.deliveries(limit=1000) if each.destination.place == place.channel]

    def is_settled(self) -> bool:
        """Whether nothing is owed any more, neither a post nor an edit."""
        done = {State.SENT, State.WITHDRAWN, State.DEAD}
        return all(each.state in done and each.edit_at is None for each in self.store.deliveries(limit=1000))

    def let_time_pass(self, time: timedelta) -> None:
        """Make every claim and every worker's lease so much older, as if nothing had happened for so long."""
        engine = sa.create_engine(self.url)
        earlier = int(time.total_seconds() * 1_000_000)
        columns = (DELIVERIES.c.lease_until, DELIVERIES.c.due_at, DELIVERIES.c.held_until, DELIVERIES.c.edit_at)
        moved = {column: sa.type_coerce(column, sa.BigInteger) - earlier for column in columns}
        with engine.begin() as connection:
            connection.execute(sa.update(DELIVERIES).where(DELIVERIES.c.lease_until.is_not(None)).values(moved))
            connection.execute(
                sa.update(WORKERS).values(until=sa.type_coerce(WORKERS.c.until, sa.BigInteger) - earlier)
            )
        engine.dispose()

    def deliveries(self, *arguments: str) -> list[dict[str, Any]]:
        """What the command tells of the outbox."""
        told = self.bench.run("deliveries", "--json", *arguments)
        assert told.returncode == 0, told.stderr
        return list(json.loads(told.stdout)["deliveries"])
