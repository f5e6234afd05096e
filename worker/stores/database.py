"""One engine, the rules of a transaction on it, and statements that both databases take."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from worker.core.ports import RefusedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from sqlalchemy.dialects import postgresql
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.sql import ColumnElement

_T = TypeVar("_T")

ATTEMPTS = 5
"""How often a transaction is tried that lost against another one, or whose pooled connection was found dead."""


class Database:
    """Runs functions as transactions. Thread-safe.

    `again` says of a failure whether the whole function may be run again; `explain` what it means and the fix;
    `refuses` whether the database's administrator alone can end it, such as by a privilege.
    `queued` lets the writers of this process wait in line here: SQLite's own waiting is a lottery.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        again: Callable[[DBAPIError], bool],
        explain: Callable[[BaseException], str],
        refuses: Callable[[DBAPIError], bool] = lambda _: False,
        queued: float | None = None,
    ) -> None:
        self.engine = engine
        self._writer = engine.execution_options(writing=True)
        self._again = again
        self.explain = explain
        self._refuses = refuses
        self._queued = queued
        self._turn = Lock()

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` on one consistent state of the database."""
        return self._attempt(self.engine, work)

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` and commit; it may be run again from the start, so it must do nothing else."""
        with self._in_turn():
            return self._attempt(self._writer, work)

    def write_in_steps(self, step: Callable[[Connection], int]) -> int:
        """Commit a step after the other until one has done nothing; how much was done. No other writer waits long."""
        total = 0
        while done := self.write(step):
            total += done
        return total

    def _attempt(self, engine: Engine, work: Callable[[Connection], _T]) -> _T:
        for left in reversed(range(ATTEMPTS)):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                # The whole function again, on a new transaction: nothing of the first attempt was kept.
                if left and self._again(error):
                    continue
                if self._refuses(error):
                    raise RefusedError(self.explain(error)) from error
                if _is_bug(error):
                    raise
                raise StoreError(self.explain(error)) from error
            except NoConnectionError as error:
                raise StoreError("all connections to the database are in use: it answers too slowly") from error
        raise AssertionError  # the last attempt returned or raised

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if self._queued is None:
            yield
            return
        if not self._turn.acquire(timeout=self._queued):
            raise StoreError("the database is busy with another transaction of this process; it is tried again")
        try:
            yield
        finally:
            self._turn.release()


def _is_bug(error: DBAPIError) -> bool:
    """Whether the statement can never work; else the database does not work at present."""
    return not (isinstance(error, OperationalError | InterfaceError | InternalError) or type(error) is DatabaseError)


CHUNK = 1000
"""Far below the parameters that SQLite (32,766 by default) and PostgreSQL (65,535) allow in one statement."""


def chunks(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Cut into lists of at most `size`, in order; nothing for nothing."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def filled(values: Collection[_T]) -> list[_T]:
    """The values of an IN, with the last one repeated up to a power of two.

    Each length makes a statement of its own, and the driver keeps those of each connection: of a list of channels
    that gets shorter with every post it kept 50 MB.
    """
    some = list(values)
    return some + some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some)) if some else some


def lists(values: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """The values of an IN, cut into lists of at most `size` before each is filled up; no list for no values."""
    return map(filled, chunks(values, size))


def insert(dialect: sa.Dialect, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT; both databases write it alike, SQLAlchemy keeps them apart."""
    if dialect.name != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  most never need it, and a start should be quick

    return postgresql.insert(table)


def latest(dialect: str, *instants: ColumnElement[Any]) -> ColumnElement[Any]:
    """The greatest of several values, none of which may be NULL."""
    return sa.func.greatest(*instants) if dialect == "postgresql" else sa.func.max(*instants)


def insert_many(connection: Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows that have a value for each of these columns."""
    # A column at a time, past SQLAlchemy's own way to the parameters of a row: that costs more than the insert itself.
    keeps = _keeps(table, tuple(columns), connection.dialect)
    kept = dict(zip(columns, map(_kept, keeps, zip(*rows, strict=True)), strict=True))
    # What is nothing in every row is left out: SQLite's driver takes longer over NULLs than over numbers.
    kept = {name: values for name, values in kept.items() if values[0] is not None or not _is_one(values)}
    statement, is_positional = _inserting(table, tuple(kept), connection.dialect)
    every = list(zip(*kept.values(), strict=True))
    connection.exec_driver_sql(
        statement, every if is_positional else [dict(zip(kept, row, strict=True)) for row in every]
    )


def _kept(keep: Callable[[Any], Any] | None, values: Sequence[Any]) -> Sequence[Any]:
    """The values of a column as the driver takes them."""
    if keep is None:
        return values
    return [keep(values[0])] * len(values) if _is_one(values) else list(map(keep, values))


def _is_one(values: Sequence[Any]) -> bool:
    """Whether it is one object all the way, as in most columns of new rows: the queue's id, the present, nothing."""
    return values[0] is values[-1] and len(set(map(id, values))) == 1


@lru_cache
def _keeps(table: sa.Table, columns: Sequence[str], dialect: sa.Dialect) -> Sequence[Callable[[Any], Any] | None]:
    """What makes of the values of each column those that are kept."""
    return [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns]


@lru_cache
def _inserting(table: sa.Table, columns: Sequence[str], dialect: sa.Dialect) -> tuple[str, bool]:
    """The INSERT of a database's driver, and whether its parameters go by places."""
    compiled = sa.insert(table).values({name: sa.bindparam(name) for name in columns}).compile(dialect=dialect)
    if compiled.positional and tuple(compiled.positiontup or ()) != tuple(columns):
        raise AssertionError  # the columns are to be named in the order of the table
    return str(compiled), compiled.positional
