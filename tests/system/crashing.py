"""The moments at which the real process is killed: seen from outside, by what arrives at Slack and in the database."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.owed import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.system.stage import Place, Stage
    from worker.demo.slack.server import Mode, SimulatedSlack
    from worker.demo.slack.workspace import Event

ANSWER_TRAVELS = 0.5
"""Seconds in which an answer on loopback surely arrives."""


class Witness:
    """Everything that people have ever seen in Slack, also where an edit has taken it away since."""

    def __init__(self, slack: SimulatedSlack) -> None:
        self.posts: Counter[str] = Counter()
        """How often each delivery was posted."""
        self._texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        slack.subscribe(self._see)

    def _see(self, event: Event) -> None:
        message = event.message
        self._texts[event.channel, message["ts"]].append(message["text"])
        if event.kind == "post":
            self.posts[message["metadata"]["event_payload"]["delivery_key"]] += 1

    def called(self, name: str) -> int:
        """How many messages were posted with a run in them: each of them has called people to it."""
        return sum(name in first for first, *_ in list(self._texts.values()))

    def entered(self, name: str) -> int:
        """How many messages a run has entered by an edit."""
        return sum(name not in texts[0] and name in "".join(texts) for texts in list(self._texts.values()))

    def seen(self, names: Iterable[str]) -> set[str]:
        """Those of some runs that any message has ever shown."""
        every = "\n".join(text for texts in list(self._texts.values()) for text in texts)
        return {name for name in names if name in every}

    def repeated(self) -> int:
        """How many deliveries were posted more than once."""
        return sum(count > 1 for count in list(self.posts.values()))


@contextmanager
def deaf_slack() -> Iterator[str]:
    """An address at which nobody accepts: whoever wants to send waits for the connection. Yields its root."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        for one in waiting:
            one.close()


def meet(stage: Stage, method: str, place: Place, mode: Mode) -> Callable[[], bool]:
    """Let the next call of a method for a channel end in `mode`; tells whether it has arrived."""
    before = len(stage.attempts(method, place))
    stage.slack.fail(method, mode=mode, channel=place.channel, times=1)
    return lambda: len(stage.attempts(method, place)) > before


def is_claimed(stage: Stage, place: Place) -> bool:
    """Whether the process has taken something for this channel."""
    return any(each.lease_until for each in stage.outbox(place))


def is_sent(stage: Stage, place: Place, name: str) -> bool:
    """Whether the message that tells of a run is written down as sent."""
    told = any(name in text for text in stage.shown(place))
    return told and stage.outbox(place)[0].state is State.SENT


@contextmanager
def database_locked_from(stage: Stage, kind: str, place: Place) -> Iterator[Callable[[], bool]]:
    """From the first post or edit in a channel on nothing can be written down, until the end; tells whether it is so.

    Slack's answer is sent only after that.
    """
    engine = sa.create_engine(stage.url, isolation_level="AUTOCOMMIT")
    statement = "BEGIN; LOCK TABLE deliveries" if engine.name == "postgresql" else "BEGIN IMMEDIATE"
    held: list[sa.Connection] = []

    def lock(event: Event) -> None:
        if not held and (event.kind, event.channel) == (kind, place.channel):
            held.append(engine.connect())
            held[0].exec_driver_sql(statement)

    unsubscribe = stage.slack.subscribe(lock)
    try:
        yield lambda: bool(held)
    finally:
        unsubscribe()
        for connection in held:
            connection.close()
        engine.dispose()
