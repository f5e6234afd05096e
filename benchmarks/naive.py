"""What one would write in an afternoon: the langsmith SDK, an ORM, a row at a time."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING

from langsmith import Client
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.contender import Task


class Table(DeclarativeBase):
    """Every table."""


class Review(Table):
    """One run in one queue."""

    __tablename__ = "reviews"

    queue_id: Mapped[str] = mapped_column(primary_key=True)
    queue_run_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    closed: Mapped[bool] = mapped_column(default=False)


def prepare(task: Task) -> Callable[[], int]:
    """One call polls every queue once; how many runs came or went."""
    engine = create_engine(f"sqlite:///{task.database}")
    Table.metadata.create_all(engine)
    runs = (_items if task.api == "items" else _listing)(task.url)

    def poll(queue_id: str) -> int:
        changed, seen = 0, set()
        with Session(engine) as session:
            for queue_run_id, name in runs(queue_id):
                seen.add(queue_run_id)
                if session.get(Review, (queue_id, queue_run_id)) is None:
                    session.add(Review(queue_id=queue_id, queue_run_id=queue_run_id, name=name))
                    changed += 1
            waiting = select(Review).where(Review.queue_id == queue_id, Review.closed.is_(False))
            for review in session.scalars(waiting):
                if review.queue_run_id not in seen:
                    review.closed = True
                    changed += 1
            session.commit()
        return changed

    return lambda: sum(poll(queue_id) for queue_id in task.queue_ids)


def _listing(url: str) -> Callable[[str], Iterable[tuple[str, str]]]:
    warnings.simplefilter("ignore", DeprecationWarning)
    client = Client(api_url=f"{url}/api/v1", api_key="naive")

    def runs(queue_id: str) -> Iterable[tuple[str, str]]:
        listed = client.list_runs_from_annotation_queue(queue_id, status="needs_my_review")
        return ((str(run.id), run.name) for run in listed)

    return runs


def _items(url: str) -> Callable[[str], Iterable[tuple[str, str]]]:
    """The same by cursor, where rows have no names; none is looked up."""
    client = Client(api_url=f"{url}/api/v1", api_key="naive")

    async def every(queue_id: str) -> list[tuple[str, str]]:
        pages = client.annotation_queues.items.list(queue_id, status="needs_my_review", page_size=100)
        return [(str(item.id), "") async for item in pages]

    # One loop for all, since the connections of the client belong to it.
    loop = asyncio.new_event_loop()
    return lambda queue_id: loop.run_until_complete(every(queue_id))
