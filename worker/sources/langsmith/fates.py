"""How runs left their queue: asked of LangSmith within a small budget, and only believed where it can know."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from worker.core.cooldown import Cooldown
from worker.core.model import Fate
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import unlawful
from worker.sources.langsmith.rows import identity
from worker.sources.langsmith.wire import Placed, Row, UnlawfulError, one, page

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from worker.core.model import Id
    from worker.core.ports import Clock
    from worker.sources.langsmith.http import Http

QUESTIONS = 20
"""Requests that one poll may spend on this."""

_PATIENCE_SECONDS = 5.0
"""How long one question may take, and after which no further one is asked: others wait for this thread."""

PAUSE = timedelta(hours=1)
_WHAT = "asking how a run left"
ARCHIVED, COMPLETED, OTHERS = "archived", "completed", "needs_others_review"
GLANCE = 25
"""Rows of a section that are looked at; they are whole runs."""

FRUITLESS = 3
"""Glances in a row that showed nothing: this server's order does not help, so it is left alone."""


class Sections:
    """Looks into the other sections of the older listing, for servers that do not know placements. Thread-safe.

    One page of each: no order is promised, so a run that is not there may have been reviewed all the same.
    """

    def __init__(self, http: Http, *, statuses: Collection[str]) -> None:
        """`statuses` are the sections that count as waiting."""
        self._http = http
        self._reviewed = [status for status in (COMPLETED, OTHERS) if status not in statuses]
        self._fruitless = 0
        self._sought: dict[Id, frozenset[Id]] = {}

    def how_left(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:
        """Those that are seen to be reviewed; nothing where the same were sought before. Raises SourceError."""
        sought = frozenset(queue_run_ids)
        # Asked once for each set: no order is promised, and a page of whole runs is dear.
        if self._fruitless >= FRUITLESS or sought <= self._sought.get(queue_id, frozenset()):
            return {}
        seen = {found for status in self._reviewed for found in self._page(queue_id, status)}
        left = dict.fromkeys(sought & seen, Fate.REVIEWED)
        self._fruitless = 0 if left else self._fruitless + 1
        self._sought[queue_id] = sought
        return left

    def _page(self, queue_id: Id, status: str) -> Sequence[Id | None]:
        path = f"/api/v1/annotation-queues/{queue_id}/runs"
        params: dict[str, str | int] = {"status": status, "limit": GLANCE}
        with self._http.get(path, params, what=_WHAT, seconds=_PATIENCE_SECONDS) as answer:
            try:
                return [identity(row.queue_run_id) for row in page(answer.body, Row).rows]
            # A glance is a bonus: what it cannot read costs the poll nothing.
            except UnlawfulError:
                return ()


class Placement:
    """Asks for the section that an item is in now. Thread-safe."""

    def __init__(self, http: Http, *, clock: Clock, statuses: Collection[str]) -> None:
        """`statuses` are the sections that count as waiting."""
        self._http = http
        self._clock = clock
        self._reviewed = {ARCHIVED, OTHERS} - set(statuses)
        self._lock = threading.Lock()
        self._works = False
        self._missing = Cooldown()

    @property
    def is_missing(self) -> bool:
        """Whether this server was found not to know the question, within the last hour."""
        return not self._missing.is_over(self._clock.monotonic())

    def how_left(self, queue_id: Id, queue_run_ids: Collection[Id], waiting: tuple[Id, Id] | None) -> Mapping[Id, Fate]:
        """How those left that were asked about; UNKNOWN where the answer says nothing of it.

        `waiting` is any queue and a run that waits in it: the test of the question. Raises SourceError where LangSmith
        answers neither yes nor no, unless something was found out before.
        """
        left: dict[Id, Fate] = {}
        patience = self._clock.monotonic() + _PATIENCE_SECONDS
        for queue_run_id in islice(queue_run_ids, QUESTIONS):
            if self.is_missing or self._clock.monotonic() >= patience:
                break
            try:
                how = self._ask(queue_id, queue_run_id, waiting)
            except SourceError:
                # What was found out by earlier questions must not be lost to a failure of a later one.
                if not left:
                    raise
                break
            if how is not None:
                left[queue_run_id] = how
        return left

    def _ask(self, queue_id: Id, queue_run_id: Id, waiting: tuple[Id, Id] | None) -> Fate | None:
        section = self._section(queue_id, queue_run_id)
        if section is None:
            return Fate.REMOVED if self._is_to_be_believed(waiting) else None
        return Fate.REVIEWED if section in self._reviewed else Fate.UNKNOWN

    def _section(self, queue_id: Id, queue_run_id: Id) -> str | None:
        """The section of an item; None where there is no such item, or no such question."""
        path = f"/api/v1/platform/annotation-queues/{queue_id}/items/{queue_run_id}/placement"
        try:
            with self._http.get(path, what=_WHAT, seconds=_PATIENCE_SECONDS) as answer:
                section = one(answer.body, Placed).section
        except UnlawfulError as error:
            raise unlawful(_WHAT, str(error)) from None
        except SourceError as error:
            if error.trouble is Trouble.MISSING:
                return None
            raise
        # One answer shows for good that the server knows the question.
        self._works = True
        return section if isinstance(section, str) else ""

    def _is_to_be_believed(self, waiting: tuple[Id, Id] | None) -> bool:
        """Whether "not found" means that there is no such item, and not that the server has no such endpoint."""
        if self._works:
            return True
        if waiting is None:
            return False
        # A run that surely waits: a server that does not find it either does not know the question.
        if self._section(*waiting) is None:
            with self._lock:
                self._missing = Cooldown.of(PAUSE, self._clock.monotonic())
        return self._works
