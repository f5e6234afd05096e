"""One engine and the rules of a transaction on it: who begins it, how often it is tried, what its failure is called."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from worker.core.ports import RefusedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection, Engine

T = TypeVar("T")

ATTEMPTS = 5
"""How often a transaction is tried that lost against another one, or whose pooled connection was found dead."""


class Database:
    """Runs functions as transactions. Thread-safe.

    `again` says of a failure whether the whole function may be run again; `explain` what it means and the remedy;
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

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent state of the database."""
        return self._attempt(self.engine, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` and commit; it may be run again from the start, so it must do nothing else."""
        with self._in_turn():
            return self._attempt(self._writer, work)

    def _attempt(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        for left in reversed(range(ATTEMPTS)):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
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
    """Tell a statement that can never work from a database that does not work at present."""
    return not (isinstance(error, OperationalError | InterfaceError | InternalError) or type(error) is DatabaseError)
