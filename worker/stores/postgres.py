"""PostgreSQL as a store: bounded waiting on every side, and what its failures mean."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from worker.core.ports import StoreError
from worker.stores.database import Database
from worker.stores.deadlines import Deadlines
from worker.stores.sqlite import APPLICATION_ID

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_WITHIN = 3
"""Seconds for one address; a start has to give up within five."""

IDLE_IN_TRANSACTION = 10_000
"""Milliseconds after which the server takes back what a frozen worker holds: its lease ends about then too."""

MOST_SAID = 500
LOST_A_RACE = frozenset({"40001", "40P01"})  # serialization failure, deadlock
REMEDIES = {
    "55P03": "is busy: another transaction holds what this one needs; it is tried again",
    "57014": "is too slow: a statement was given up; it is tried again",
    "53100": "cannot grow: the server's disk is full. Free some space; it is tried again, and nothing is lost",
    "53300": "takes no more connections; it is tried again",
    "25006": "only reads: it is a standby or is being switched over; it is tried again",
    "28": "refuses the user or the password of WORKER_DATABASE_URL",
    "3D000": "does not exist: create it (createdb)",
    "42501": "refuses: the user of WORKER_DATABASE_URL lacks a privilege on its tables",
}


class Watch:
    """Cuts a connection whose server has not answered in time: a frozen one keeps its socket alive for ever."""

    def __init__(self, connection: psycopg.Connection[Any], deadlines: Deadlines) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self.has_cut = False

    def start(self) -> None:
        """Begin to wait for an answer."""
        self._deadlines.begin(self, self._cut)

    def stop(self) -> None:
        """The answer came."""
        self._deadlines.end(self)

    def _cut(self) -> None:
        self.has_cut = True
        with suppress(psycopg.Error, OSError):
            # Not a duplicate, which takes a free file number: it stays the connection's own.
            line = socket.socket(fileno=self._connection.fileno())
            try:
                line.shutdown(socket.SHUT_RDWR)
            finally:
                line.detach()


def connect(where: URL, *, patience: timedelta) -> Database:
    """Prepare a pool; a call ends within `patience`, and a little, whatever the server does."""
    seconds = patience.total_seconds()
    engine = sa.create_engine(
        where,
        hide_parameters=True,
        pool_timeout=seconds,
        connect_args={name: bound for name, bound in _bounds(seconds).items() if name not in where.query},
    )
    _set_up(engine, where, seconds)
    return Database(engine, again=_again, explain=lambda error: explain(error, where))


def _bounds(seconds: float) -> dict[str, int]:
    """How soon libpq and the kernel notice a server that is gone; what the URL says goes first."""
    return {
        "connect_timeout": CONNECT_WITHIN,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int(seconds * 1000),
    }


def _set_up(engine: Engine, where: URL, seconds: float) -> None:
    """Bound every call: on the server by time-outs a little shorter than the watch on our side."""
    milliseconds = int(seconds * 900)
    settings = (
        f"SET statement_timeout = {milliseconds}; SET lock_timeout = {milliseconds};"
        f" SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION};"
        # The one above does not count while rows wait for a frozen worker to receive them. No effect on a local socket.
        f" SET tcp_user_timeout = {IDLE_IN_TRANSACTION};"
        # What was told must not be forgotten by a server that is killed: it would be told again.
        " SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )

    deadlines = Deadlines(seconds)

    # Before SQLAlchemy's own first questions, which are watched too: a server may let in and then say nothing.
    @event.listens_for(engine, "connect", insert=True)
    def begin_session(connection: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
        record.info["watch"] = watch = Watch(connection, deadlines)
        watch.start()
        connection.execute(settings)
        connection.commit()

    @event.listens_for(engine, "connect")
    def session_begun(_connection: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
        record.info["watch"].stop()

    _keep_watch(engine, where, seconds)
    _end_watch(engine)


def _keep_watch(engine: Engine, where: URL, seconds: float) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    @event.listens_for(engine, "commit")
    def ask(connection: Connection, *_: object) -> None:
        connection.info["watch"].start()

    @event.listens_for(engine, "rollback")
    def ask_to_forget(connection: Connection) -> None:
        if not connection.invalidated:
            ask(connection)

    @event.listens_for(engine, "after_cursor_execute")
    def answered(connection: Connection, *_: object) -> None:
        connection.info["watch"].stop()

    @event.listens_for(engine, "handle_error")
    def failed(context: ExceptionContext) -> BaseException | None:
        if _only_reads(context.original_exception):
            # Leave every session of a server that was switched over: it would refuse for as long as it lives.
            context.is_disconnect = True
        if context.connection is None or not context.connection.info["watch"].has_cut:
            return None
        return StoreError(f"{name(where)} has not answered for {seconds:g} s; it is tried again")


def _end_watch(engine: Engine) -> None:
    @event.listens_for(engine, "invalidate")
    def done(_connection: object, record: ConnectionPoolEntry, *_: object) -> None:
        if "watch" in record.info:
            record.info["watch"].stop()

    @event.listens_for(engine, "checkin")
    def given_back(connection: object, record: ConnectionPoolEntry) -> None:
        done(connection, record)
        if "watch" in record.info and record.info["watch"].has_cut:
            record.invalidate()  # the answer came just before the cut: whoever is next must not meet it


def _again(error: DBAPIError) -> bool:
    """Whether a transaction lost against another, or found that its pooled connection had died."""
    if _only_reads(error.orig):
        return False  # a switch-over takes its time
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in LOST_A_RACE


def _only_reads(error: BaseException | None) -> bool:
    return isinstance(error, psycopg.errors.ReadOnlySqlTransaction)


def alone(connection: Connection) -> None:
    """Wait until nobody else migrates, and be the one who does to the end of the transaction."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(APPLICATION_ID)))


def name(where: URL) -> str:
    """Name a database without its user or password."""
    host = where.host or where.query.get("host") or "the local socket"
    port = f":{where.port}" if where.port else ""
    return f"the PostgreSQL database {where.database or 'of that user'} on {host}{port}"


def explain(error: BaseException, where: URL) -> str:
    """Say what a failure of PostgreSQL means and the remedy."""
    cause = getattr(error, "orig", error)
    state: str = getattr(cause, "sqlstate", None) or ""
    known = (text for prefix, text in REMEDIES.items() if state.startswith(prefix))
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{name(where)} {next(known, 'fails: ' + ' '.join(lines)[:MOST_SAID])}"
