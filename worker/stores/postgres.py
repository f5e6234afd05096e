"""PostgreSQL as a store: bounded waiting on every side, and what its failures mean."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from worker.clock import SystemClock
from worker.core.ports import DATABASE_URL, RefusedError, StoreError
from worker.stores import postgres_errors
from worker.stores.database import Database
from worker.stores.sqlite import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_WITHIN = 3
"""Seconds for one address; a start has to give up within five."""

IDLE_IN_TRANSACTION = 10_000
"""Milliseconds after which the server takes back what a frozen worker holds: its lease ends about then too."""

LOST_A_RACE = frozenset({"40001", "40P01"})  # serialization failure, deadlock


class _Watch:
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


ALWAYS: dict[str, Any] = {
    # A pooler gives each transaction to another session: one that prepared a statement is not the one that is asked for
    # it. And a session whose table was altered refuses what it had prepared for as long as it lives.
    "prepare_threshold": None,
    # `_begin` says how a transaction begins, in the same message as its first settings.
    "autocommit": True,
    # A database in SQL_ASCII would give bytes.
    "client_encoding": "utf8",
}


def connect_to_server(where: URL, *, patience: timedelta, setting: str = DATABASE_URL) -> Database:
    """Prepare a pool; a call ends within `patience`, and a little, whatever the server does.

    Nothing is kept in a session from one transaction to the next, so a pooler may stand in between. Raises ConfigError
    for an option of the URL that cannot be used. `setting` is what people know the URL by.
    """
    postgres_errors.check_options(where)
    seconds = patience.total_seconds()
    engine = sa.create_engine(
        where,
        hide_parameters=True,
        pool_timeout=seconds,
        use_native_hstore=False,
        connect_args=ALWAYS | {name: bound for name, bound in _bounds(seconds).items() if name not in where.query},
    )
    explain = partial(postgres_errors.explain_server_error, where=where, setting=setting)
    _set_up(engine, where, seconds, explain)
    return Database(engine, again=_again, explain=explain, refuses=postgres_errors.is_refusal)


def _bounds(seconds: float) -> dict[str, int]:
    """How soon libpq and the kernel notice a server that is gone; what the URL says goes first."""
    return {
        "connect_timeout": CONNECT_WITHIN,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int(seconds * 1000),
    }


def _set_up(engine: Engine, where: URL, seconds: float, explain: Callable[[BaseException], str]) -> None:
    """Bound every call: on the server by time-outs a little shorter than the watch on our side."""
    begin_with = _begin(int(seconds * 900))
    deadlines = Deadlines(seconds)

    # Before SQLAlchemy's own first questions, which are watched too: a server may let in and then say nothing.
    @event.listens_for(engine, "connect", insert=True)
    def begin_session(connection: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
        record.info["watch"] = watch = _Watch(connection, deadlines)
        watch.start()
        connection.execute("SELECT 1")  # SQLAlchemy would take a server that answers nothing for a mistake of ours

    @event.listens_for(engine, "connect")
    def session_begun(_connection: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
        record.info["watch"].stop()

    @event.listens_for(engine, "do_connect")
    def connect_to(*given: Any) -> psycopg.Connection[Any]:  # noqa: ANN401  as psycopg has it
        *_, parameters = given
        try:
            return psycopg.connect(**parameters)
        except ValueError:
            # Not chained: what cannot be encoded may be the password.
            raise psycopg.OperationalError("a host, user, password or option is not one that could be sent") from None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin_with)

    _keep_watch(engine, where, seconds, explain)
    _end_watch(engine)


def _begin(milliseconds: int) -> str:
    """How each transaction begins, whatever the role's own settings are: one message, and valid to its end."""
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED;"
        f" SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds};"
        f" SET LOCAL idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION};"
        # The one above does not count while rows wait for a frozen worker to receive them. No effect on a local socket.
        f" SET LOCAL tcp_user_timeout = {IDLE_IN_TRANSACTION};"
        # What was posted must not be forgotten by a server that is killed: it would be posted again.
        " SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
    )


def _keep_watch(engine: Engine, where: URL, seconds: float, explain: Callable[[BaseException], str]) -> None:
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
        if context.connection is None:
            return _no_connection(context.original_exception, explain)
        if not context.connection.info["watch"].has_cut:
            return None
        return StoreError(
            f"{postgres_errors.database_name(where)} has not answered for {seconds:g} s; it is tried again"
        )


def _no_connection(error: BaseException, explain: Callable[[BaseException], str]) -> StoreError:
    """What is said where no connection comes about; that is never a bug, whatever class the driver gives it."""
    kind = RefusedError if postgres_errors.is_refusal(error) else StoreError
    said = kind(explain(error))
    said.__cause__ = error
    return said


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


def migrate_alone(connection: Connection) -> None:
    """Wait until no other process migrates, and be the one who does to the end of the transaction."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(APPLICATION_ID)))


def is_exposed(connection: Connection) -> bool:
    """Whether what is said to the server can be read on the way: over a network, and without TLS."""
    line = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
    address = line.hostaddr.decode()
    is_local = not address or line.host.startswith((b"/", b"@")) or ip_address(address.partition("%")[0]).is_loopback
    return not (is_local or line.ssl_in_use)


LINGER = 30.0
"""Seconds for which the thread stays with nothing to do."""


class Deadlines:
    """Calls what is still waited for after `seconds`. Thread-safe; the thread comes and goes by itself."""

    def __init__(self, seconds: float, *, linger: float = LINGER) -> None:
        """All waits are equally long, so the oldest is the first to be due."""
        self._seconds = seconds
        self._linger = linger
        self._clock = SystemClock()
        self._waits: dict[object, tuple[float, Callable[[], None]]] = {}
        self._changed = Condition()
        self._has_thread = False
        self._is_idle = False

    def begin(self, who: object, overdue: Callable[[], None]) -> None:
        """Wait for `who`, from now on where it was waited for already; `overdue` must be quick and raise nothing."""
        with self._changed:
            if not self._has_thread:
                Thread(target=self._keep, name="database-deadlines", daemon=True).start()
                self._has_thread = True
            elif self._is_idle:
                self._changed.notify()
            self._waits.pop(who, None)
            self._waits[who] = (self._clock.monotonic() + self._seconds, overdue)

    def end(self, who: object) -> None:
        """Wait for `who` no longer; once this has returned, it is not called."""
        with self._changed:
            self._waits.pop(who, None)

    def _keep(self) -> None:
        with self._changed:
            try:
                while self._waits or self._comes():
                    self._call_overdue()
            finally:
                self._has_thread = False

    def _comes(self) -> bool:
        self._is_idle = True
        self._changed.wait(self._linger)
        self._is_idle = False
        return bool(self._waits)

    def _call_overdue(self) -> None:
        who, (due, overdue) = next(iter(self._waits.items()))
        left = due - self._clock.monotonic()
        if left > 0:
            self._changed.wait(min(left, self._linger))
        else:
            del self._waits[who]
            overdue()
