"""Who the identities are that runs name: the workspace's members, by their ids and e-mail addresses."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.model import Reviewer
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import unlawful
from worker.sources.langsmith.queues import EMAIL_CHARACTERS
from worker.sources.langsmith.rows import person, text
from worker.sources.langsmith.wire import MemberRow, UnlawfulError, page

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from worker.core.ports import Clock
    from worker.sources.langsmith.http import Http

log = structlog.get_logger(__name__)

_PATH = "/api/v1/workspaces/current/members/active"
_WHAT = "looking members up"
_PAGE = 500
_MOST_PAGES = 100
_UNAVAILABLE_FOR = timedelta(days=1)
"""A right that is missing, and a route of a newer server, come with an act of somebody's: a day is soon enough."""


class Membership:
    """The members by what is known of them. Thread-safe. Nothing of them is kept."""

    def __init__(self, http: Http, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._again = Cooldown()
        self._has_said = False

    def find(self, sought: Collection[str]) -> Mapping[str, Reviewer] | None:
        """See `Members.members` in the ports."""
        if not sought:
            return {}
        if not self._again.is_over(self._clock.monotonic()):
            return None
        try:
            return self._find(sought)
        except SourceError as error:
            if error.trouble not in {Trouble.REFUSED, Trouble.MISSING}:
                raise
            self._say_once(error)
        return None

    def _find(self, sought: Collection[str]) -> Mapping[str, Reviewer]:
        """Read the members until all that are sought are found."""
        # Not by the filters of this endpoint: they know one of a member's three ids, and nothing promises that it is
        # the one which runs name, or that the case of an address does not count.
        wanted: dict[str, list[str]] = defaultdict(list)
        for one in sought:
            wanted[_key(one)].append(one)
        found: dict[str, Reviewer] = {}
        for row in self._rows():
            for key in _keys(row):
                found |= dict.fromkeys(wanted.pop(key, ()), _reviewer(row))
            if not wanted:
                break
        return found

    def _rows(self) -> Iterator[MemberRow]:
        for number in range(_MOST_PAGES):
            rows, size = self._page(number * _PAGE)
            yield from rows
            if size < _PAGE:
                return
        raise unlawful(_WHAT, "the list has no end")

    def _page(self, offset: int) -> tuple[Sequence[MemberRow], int]:
        with self._http.get(_PATH, {"limit": _PAGE, "offset": offset}, what=_WHAT) as answer:
            try:
                found = page(answer.body, MemberRow)
            except UnlawfulError as error:
                raise unlawful(_WHAT, str(error)) from None
        return found.rows, found.size

    def _say_once(self, error: SourceError) -> None:
        with self._lock:
            said, self._has_said = self._has_said, True
            self._again = Cooldown.of(_UNAVAILABLE_FOR, self._clock.monotonic())
        if not said:
            log.info("members_unknown", error=str(error))


def _key(sought: str) -> str:
    """An id as `person` writes it, an address in the case of none."""
    return sought.strip().casefold() if "@" in sought else person(sought)


def _keys(row: MemberRow) -> set[str]:
    """All by which a member is known; nothing of one who may not work here any more, or has no id to be named by."""
    if row.is_disabled is True or not _id(row):
        return set()
    address = text(row.email, EMAIL_CHARACTERS).strip().casefold()
    return {person(row.id), person(row.ls_user_id), person(row.user_id), address} - {""}


def _id(row: MemberRow) -> str:
    return person(row.id) or person(row.ls_user_id) or person(row.user_id)


def _reviewer(row: MemberRow) -> Reviewer:
    name = text(row.display_name).strip() or text(row.full_name).strip()
    return Reviewer(_id(row), name, text(row.email, EMAIL_CHARACTERS).strip())
