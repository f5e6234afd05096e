"""Decides per server which of the two listings is read, remembers it, and changes its mind when the server does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core.overview import ApiInUse
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.listing import Former

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.core.model import Field, Id
    from worker.core.ports import Clock
    from worker.sources.langsmith.listing import Listing

log = structlog.get_logger(__name__)

TRY_AGAIN_SECONDS = 3600.0
SAY_AGAIN_SECONDS = 86_400.0
NEWEST = "this worker knows no newer one"


class Api(StrEnum):
    """The two listings, and the choice between them."""

    RUNS = "runs"
    ITEMS = "items"
    AUTO = "auto"


class Outlook(Struct, frozen=True):
    """Which listing is read at present, and how long that will go well.

    `ending` is set where LangSmith calls the listing in use deprecated; `obstacle` says why the other is not read.
    `former` is set where the other was left because LangSmith calls that one deprecated.
    """

    api: Api
    ending: Ending | None = None
    obstacle: str = ""
    former: Ending | None = None

    @property
    def in_use(self) -> ApiInUse:
        """The same without the obstacle, as others are shown it."""
        return ApiInUse(
            self.api.value,
            sunset_at=self.ending.sunset if self.ending else None,
            is_ending=self.ending is not None,
            is_last=self.former is not None,
            other_sunset_at=self.former.sunset if self.former else None,
        )


def meaning(in_use: ApiInUse) -> str:
    """Until when a listing is read, in words."""
    if in_use.is_ending:
        return f"LangSmith ends it{_on(in_use.sunset_at)}"
    if in_use.is_last:
        return f"LangSmith ends the other{_on(in_use.other_sunset_at)}; no end of this one is announced"
    return "LangSmith has announced no end of it"


def _on(at: datetime | None) -> str:
    return f" on {at:%Y-%m-%d}" if at else ", and gives no date"


class Choice:
    """Reads queues by the listing that this server serves best. Thread-safe for different queues."""

    def __init__(  # noqa: PLR0913  (the parts of a choice, all by name)
        self,
        readers: Mapping[Api, Callable[[Id, frozenset[Field], Former], Listing]],
        *,
        exists: Callable[[Id], bool],
        clock: Clock,
        fixed: Api,
        recall: Callable[[], str | None],
        remember: Callable[[str], None],
        show: Callable[[ApiInUse], None] = lambda _in_use: None,
    ) -> None:
        """`fixed` is the listing that is read whatever happens, or AUTO. `exists` says whether there is a queue.

        `recall` and `remember` keep the decision over restarts. `show` is called with the listing that is read, and
        until when, once it is known and whenever that changes.
        """
        self._readers = readers
        self._exists = exists
        self._clock = clock
        self._fixed = fixed
        self._recall = recall
        self._remember = remember
        self._show = show
        self._shown: ApiInUse | None = None
        self._lock = threading.Lock()
        self._outlook: Outlook | None = None
        self._try_at = float("-inf")
        self._say_at = float("-inf")

    @property
    def outlook(self) -> Outlook:
        """How things stand."""
        with self._lock:
            if self._outlook is None:
                self._outlook = self._first()
            return self._outlook

    def read(
        self, queue_id: Id, show: frozenset[Field], former: tuple[Api, Former] | None = None
    ) -> tuple[Api, Listing]:
        """Read a queue completely, and by which listing; what `former` shows by the same is not found again."""
        api = self.outlook.api
        before = former[1] if former and former[0] is api else Former()
        found = (self._by_runs if api is Api.RUNS else self._by_items)(queue_id, show, before)
        # After the listing: which one is in use may have changed by reading it.
        self._say()
        return found

    def _say(self) -> None:
        """Log and show which listing is read and until when, where that is news."""
        in_use = self.outlook.in_use
        # Under the lock, so that of two queues that find it out at once only one says it.
        with self._lock:
            is_news, self._shown = self._shown != in_use, in_use
        if is_news:
            log.info("listing_in_use", listing=in_use.name, meaning=meaning(in_use))
            self._show(in_use)

    def _first(self) -> Outlook:
        """What is read before anything is found out."""
        if self._fixed is not Api.AUTO:
            return Outlook(self._fixed)
        api, *sunset = (self._recall() or Api.RUNS).split()
        # What an older or newer version has remembered may be a word that is not known here.
        if api != Api.ITEMS:
            return Outlook(Api.RUNS)
        return Outlook(Api.ITEMS, former=Ending(date(sunset[0])) if sunset else None)

    def _by_runs(self, queue_id: Id, show: frozenset[Field], before: Former) -> tuple[Api, Listing]:
        try:
            listing = self._readers[Api.RUNS](queue_id, show, before)
        except SourceError as error:
            if self._is_route_missing(error, queue_id):
                return self._instead(Api.ITEMS, error, queue_id, show)
            raise
        found = ending(listing.headers, self._clock.now())
        if found is not None:
            self._prepare(found, queue_id, show, listing)
        elif self.outlook.ending is not None:
            self._look_at(Outlook(Api.RUNS))
        return Api.RUNS, listing

    def _by_items(self, queue_id: Id, show: frozenset[Field], before: Former) -> tuple[Api, Listing]:
        try:
            listing = self._readers[Api.ITEMS](queue_id, show, before)
        except SourceError as error:
            if self._is_route_missing(error, queue_id):
                return self._instead(Api.RUNS, error, queue_id, show)
            # It may be one queue that this listing shows unlawfully: the others stay with it.
            if error.trouble is Trouble.UNLAWFUL and self._fixed is Api.AUTO:
                return Api.RUNS, self._or_raise(Api.RUNS, error, queue_id, show)
            raise
        found = ending(listing.headers, self._clock.now())
        # The listing that others left for this one may come to its own end.
        if found != self.outlook.ending:
            self._look_at(replace(self.outlook, ending=found, obstacle=NEWEST if found else ""))
        return Api.ITEMS, listing

    def _look_at(self, outlook: Outlook) -> None:
        with self._lock:
            self._outlook = outlook

    def _is_route_missing(self, error: SourceError, queue_id: Id) -> bool:
        """Whether it is the listing that does not exist, not the queue: both answers look alike."""
        # The question whether the queue exists costs a request, so it comes last.
        return self._fixed is Api.AUTO and error.trouble is Trouble.MISSING and self._exists(queue_id)

    def _instead(self, api: Api, error: SourceError, queue_id: Id, show: frozenset[Field]) -> tuple[Api, Listing]:
        """The queue exists but its listing does not: read the other, and stay with it."""
        listing = self._or_raise(api, error, queue_id, show)
        self._decide(Outlook(api), because="the server no longer has the listing that was read")
        return api, listing

    def _or_raise(self, api: Api, error: SourceError, queue_id: Id, show: frozenset[Field]) -> Listing:
        try:
            return self._readers[api](queue_id, show, Former())
        # The first failure is the one that people can act on.
        except SourceError:
            raise error from None

    def _prepare(self, found: Ending, queue_id: Id, show: frozenset[Field], listing: Listing) -> None:
        """The listing in use will end: go over to the other as soon as it answers lawfully."""
        with self._lock:
            now = self._clock.monotonic()
            # All queues share one attempt an hour: it reads a whole queue by the other listing.
            is_due = now >= self._try_at
            self._try_at = now + TRY_AGAIN_SECONDS if is_due else self._try_at
        obstacle = self._obstacle(queue_id, show, listing) if is_due else self.outlook.obstacle
        if is_due and not obstacle:
            because = "LangSmith has deprecated the listing that was read"
            self._decide(Outlook(Api.ITEMS, former=found), because=because)
            return
        self._look_at(Outlook(Api.RUNS, found, obstacle))
        self._say_once_a_day(found, obstacle)

    def _obstacle(self, queue_id: Id, show: frozenset[Field], listing: Listing) -> str:
        """Why the queue cannot be read by the other listing; '' where it can."""
        if self._fixed is not Api.AUTO:
            return "WORKER_LANGSMITH_API=runs is set"
        try:
            newer = self._readers[Api.ITEMS](queue_id, show, Former())
            # A difference shows too few runs to compare by.
            older = listing if listing.is_whole else self._readers[Api.RUNS](queue_id, show, Former())
        except SourceError as error:
            return str(error)
        return _lacking(older, newer)

    def _decide(self, outlook: Outlook, *, because: str) -> None:
        with self._lock:
            is_new = self._outlook is None or self._outlook.api is not outlook.api
            self._outlook = outlook
        if is_new:
            self._remember(_kept(outlook))
            log.info("listing_changed", listing=outlook.api.value, because=because)

    def _say_once_a_day(self, found: Ending, obstacle: str) -> None:
        with self._lock:
            now = self._clock.monotonic()
            if now < self._say_at:
                return
            self._say_at = now + SAY_AGAIN_SECONDS
        left = found.left(self._clock.now())
        days = None if left is None else left.days
        say = getattr(log, loudness(found, self._clock.now()))
        say("listing_ends", days=days, sunset=found.sunset, successor_fails=obstacle)


def _kept(outlook: Outlook) -> str:
    """What is remembered: the listing, and when the other ends where it was left for that (`-`: not known)."""
    if outlook.former is None:
        return outlook.api.value
    sunset = outlook.former.sunset
    return f"{outlook.api} {sunset.isoformat() if sunset else '-'}"


def _lacking(older: Listing, newer: Listing) -> str:
    """What the newer listing lacks of the older, read just before; '' where it has most of it.

    Reviewers are at work meanwhile, and a run may stand in it by another id.
    """
    count, common = len(older.ids), len(older.ids & newer.ids)
    # The ids of the rows may be others although the runs are the same.
    if 2 * common < count:
        ids = {run.run_id for run in newer.runs()}
        common = max(common, sum(run.run_id in ids for run in older.runs()))
    if 2 * common >= count:
        return ""
    return f"the newer listing shows {common} of the {count} runs of a queue"


NEAR = timedelta(days=60)
URGENT = timedelta(days=14)
NOT_DEPRECATED = {"", "false", "?0", "0"}


class Ending(Struct, frozen=True):
    """That the listing is deprecated, and until when it will be served (None: not given)."""

    sunset: datetime | None = None

    def left(self, now: datetime) -> timedelta | None:
        """How long it will still be served."""
        return None if self.sunset is None else self.sunset - now


def ending(headers: Mapping[str, str], now: datetime) -> Ending | None:
    """What the headers `Deprecation` and `Sunset` of an answer say; None where they say nothing, or not yet."""
    sunset, deprecation = (headers.get(name, "").strip() for name in ("sunset", "deprecation"))
    if sunset:
        return Ending(date(sunset))
    begins_at = date(deprecation)
    # A `Deprecation` in the future announces; the listing is as good as before until then.
    is_to_come = begins_at is not None and begins_at > now
    return None if is_to_come or deprecation.lower() in NOT_DEPRECATED else Ending()


def loudness(found: Ending, now: datetime) -> str:
    """How urgent it is: `info`, `warning` or `error`, as the names of log levels."""
    left = found.left(now)
    if left is None or left > NEAR:
        return "info"
    return "warning" if left > URGENT else "error"


# All answers of one second bear the same.
@lru_cache(64)
def date(value: str) -> datetime | None:
    """An HTTP date, a stamp as in `Deprecation`, or any date that ISO 8601 knows: sources differ."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat, _stamp):
        try:
            found = parse(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _stamp(value: str) -> datetime:
    """Seconds since 1970 behind an `@`. Raises ValueError, OverflowError or OSError."""
    if not value.startswith("@"):
        raise ValueError(value)
    return datetime.fromtimestamp(int(value[1:]), UTC)
