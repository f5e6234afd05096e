"""LangSmith as the Source: complete snapshots of annotation queues over its HTTP API, read-only."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core.model import Difference, Fate, Snapshot, Unchanged
from worker.core.overview import LISTING_IN_USE
from worker.core.ports import SourceError, Unseen
from worker.net.route import DIRECT
from worker.sources.langsmith.choice import Api, Choice, Outlook, meaning
from worker.sources.langsmith.counts import Counts, Disagreements
from worker.sources.langsmith.errors import Standing, unlawful
from worker.sources.langsmith.fates import Placement, Sections
from worker.sources.langsmith.http import DEADLINE_SECONDS, MOST_BYTES, Http
from worker.sources.langsmith.items import Items
from worker.sources.langsmith.listing import Former
from worker.sources.langsmith.queues import Directory, Membership
from worker.sources.langsmith.rows import DISAGREED, Wanted, identity, queue_url, tenant_in
from worker.sources.langsmith.run_names import PER_SECOND, Names, explained
from worker.sources.langsmith.runs import Runs
from worker.sources.langsmith.sight import SENTENCES, Live, View, whose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from worker.core.model import Facts, Field, Id, Queue, QueueRun, Reviewer, Traits
    from worker.core.overview import ApiInUse
    from worker.core.ports import Clock
    from worker.net.route import Route
    from worker.sources.langsmith.listing import Leaf, Listing
    from worker.sources.langsmith.sight import Remark

log = structlog.get_logger(__name__)

ROWS_FIX = (
    "update the worker; a row larger than 64 MB can be read with WORKER_LANGSMITH_API=items; report it where that does "
    "not help"
)

NEEDS_MY_REVIEW = "needs_my_review"


class _Concluded(Struct, frozen=True):
    """How a listing looked, to know it again: opaque to everybody else."""

    api: Api
    fields: frozenset[Field]
    leaves: Sequence[Leaf]
    health: object


class LangSmith:
    """One client for all queues. Thread-safe: different queues may be read at the same time.

    Raises nothing but SourceError, and what `recall` and `remember` raise. Nothing is tried twice: the next poll is
    the only retry.
    """

    def __init__(  # noqa: PLR0913  (plain values from the settings, all by name)
        self,
        *,
        root: str,
        key: str,
        clock: Clock,
        workspace_id: str = "",
        web_url: str = "",
        statuses: tuple[str, ...] = (NEEDS_MY_REVIEW,),
        api: str = Api.AUTO,
        recall: Callable[[str], str | None] = lambda _name: None,
        remember: Callable[[str, str], None] = lambda _name, _value: None,
        requests_per_second: float = 20.0,
        queries_per_second: float = PER_SECOND,
        deadline_seconds: float = DEADLINE_SECONDS,
        most_bytes: int = MOST_BYTES,
        route: Route = DIRECT,
        progress: Callable[[Id, int], None] = lambda _queue_id, _runs: None,
    ) -> None:
        """`root` is the API root without `/api/v1`, reached by `route`; `web_url` the root of links, '' for none.

        `api` is `runs`, `items` or `auto`; what `auto` finds out is kept over restarts by `recall` and `remember`.
        `progress` is called with a queue's id and the runs read so far, after every page but the last.
        """
        self._clock = clock
        self._web = web_url.rstrip("/")
        self._statuses = statuses
        self._recall, self._remember = recall, remember
        self._whose = whose(key)
        self._http = Http(
            root=root,
            key=key,
            workspace_id=workspace_id,
            requests_per_second=requests_per_second,
            clock=clock,
            deadline_seconds=deadline_seconds,
            most_bytes=most_bytes,
            route=route,
        )
        self._directory = Directory(self._http, clock=clock, web=self._web, workspace_id=identity(workspace_id))
        runs = Runs(self._http, progress=progress)
        self._names = Names(self._http, clock=clock, per_second=queries_per_second)
        self._items = Items(self._http, self._names, self._directory, progress=progress)
        self._choice = Choice(
            {Api.RUNS: partial(self._read, runs.read), Api.ITEMS: partial(self._read, self._items.read)},
            fixed=Api(api),
            exists=self._directory.exists,
            clock=clock,
            recall=partial(recall, f"listing of {root}"),
            remember=partial(remember, f"listing of {root}"),
            show=lambda in_use: remember(LISTING_IN_USE, in_use_written(in_use)),
        )
        self._standing = Standing(clock)
        self._counts = Counts(self._http)
        self._disagreements = Disagreements(self._http, clock=clock)
        self._members = Membership(self._http, clock=clock)
        self._placement = Placement(self._http, clock=clock, statuses=statuses)
        self._sections = Sections(self._http, statuses=statuses)
        self._waiting: dict[Id, Id | None] = {}
        self._seen_in: set[Id] = set()
        self._listed_by: dict[Id, Api] = {}
        self._urls: dict[Id, str] = {}

    @overload
    def snapshot(self, queue_id: Id, fields: frozenset[Field], concluded: None = None) -> Snapshot: ...
    @overload
    def snapshot(
        self, queue_id: Id, fields: frozenset[Field], concluded: object
    ) -> Snapshot | Unchanged | Difference: ...
    def snapshot(
        self, queue_id: Id, fields: frozenset[Field], concluded: object = None
    ) -> Snapshot | Unchanged | Difference:
        """Read one queue completely, or raise; see `Source.snapshot`."""
        taken_at = self._clock.now()
        before = concluded if isinstance(concluded, _Concluded) and concluded.fields == fields else None
        api, listing = self._read_whole(queue_id, fields, before)
        gone, leaves = listing.change()
        after = None if leaves is None else _Concluded(api, fields, leaves, listing.health)
        ahead, is_bare = self._http.skew.ahead, api is Api.ITEMS or self._lists_disagreements(queue_id)
        is_changed = bool(listing.is_whole or listing.found or gone)
        if before and after and not is_changed and before.health == after.health:
            return Unchanged(self._queue(queue_id), taken_at, bare=is_bare, ahead=ahead, concluded=after)
        runs = listing.runs()
        self._note_what_waits(queue_id, listing.first)
        seen: dict[str, Any] = {
            "queue": self._queue(queue_id, runs),
            "runs": runs,
            "taken_at": taken_at,
            "one_page": listing.pages == 1,
            "unusable": listing.unusable,
            "fix": ROWS_FIX,
            "strays": frozenset(listing.strays),
            "obscured": listing.obscure > 0,
            "moved": listing.moved,
            "listing": f"{api} {DISAGREED}" if DISAGREED in self._statuses else api.value,
            "bare": is_bare,
            "ahead": ahead,
            "concluded": after,
        }
        if listing.is_whole:
            return Snapshot(**seen, revealed=frozenset(listing.conversations) | listing.disagreed)
        return Difference(**seen, gone=gone, count=len(listing.marks))

    def queues(self) -> Sequence[Queue]:
        """Every queue that the key can see."""
        return self._directory.queues()

    def facts(self, queue_id: Id, queue_run_ids: Collection[Id], *, show: frozenset[Field]) -> Mapping[Id, Facts]:
        """What may be shown of runs that were listed without it; see `Descriptions.facts`."""
        found: dict[Id, Facts] = {}
        for wanted in self._wanted(queue_id, show):
            found |= self._items.facts(queue_run_ids, wanted)
        return found

    def traits(self, queue_id: Id, queue_run_ids: Collection[Id], *, fields: frozenset[Field]) -> Mapping[Id, Traits]:
        """What filters need of runs that were listed without it; see `Descriptions.traits`."""
        found: dict[Id, Traits] = {}
        for wanted in self._wanted(queue_id, fields):
            found |= self._items.traits(queue_run_ids, wanted)
        return found

    def ask_for_a_name(self, queue_id: Id, *, show: frozenset[Field]) -> bool:
        """Look a run of the queue's last snapshot up, to see whether that works; False where there is none to look up.

        Raises SourceError.
        """
        try:
            return any(self._items.ask_for_a_name(wanted) for wanted in self._wanted(queue_id, show))
        except SourceError as error:
            raise SourceError(explained(error), error.trouble, retry_after=error.retry_after) from None

    def fates(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:
        """How runs that left did so, as far as that is known after a few requests; see `Source.fates`."""
        left = self._placement.how_left(queue_id, queue_run_ids, self._any_waiting(queue_id))
        # The other sections are whole runs, many megabytes: only where placements say nothing.
        if left or not queue_run_ids or self._listed_by.get(queue_id) != Api.RUNS:
            return left
        seen = self._sections.how_left(queue_id, queue_run_ids)
        # Where placements are not known there is no other endpoint to ask.
        return {**dict.fromkeys(queue_run_ids, Fate.UNKNOWN), **seen} if self._placement.is_missing else seen

    def members(self, sought: Collection[str]) -> Mapping[str, Reviewer] | None:
        """The members whose ids or e-mails are sought; see `Members.members`."""
        return self._members.find(sought)

    def _any_waiting(self, queue_id: Id) -> tuple[Id, Id] | None:
        """A queue, this one rather than another, and a run that waits in it."""
        known = {queue_id: self._waiting.get(queue_id)} | self._waiting
        return next(((of, run) for of, run in known.items() if run is not None), None)

    def waiting(self, queue_id: Id) -> int:
        """How many runs wait in a queue: counted by LangSmith, else by reading them."""
        counts = [
            self._disagreements.count(queue_id) if status == DISAGREED else self._counts.count(queue_id, status)
            for status in self._statuses
        ]
        if None not in counts:
            return sum(counted for counted in counts if counted is not None)
        return len(self._choice.read(queue_id, frozenset())[1].marks)

    @property
    def outlook(self) -> Outlook:
        """Which listing is read at present, and how long that will go well."""
        return self._choice.outlook

    def whose(self) -> str:
        """Whose view of the queues the key gives, as a sentence."""
        return SENTENCES[self._whose]

    def remarks(self, queue_id: Id) -> Sequence[Remark]:
        """What the key does not see of a queue, or hides; nothing where the server does not count."""
        return View(self._counts, whose=self._whose, statuses=self._statuses).remarks(queue_id)

    def blindness(self, queue_id: Id) -> Unseen | None:
        """Why the key sees nothing of what is open in a queue; see `Blindness.blindness`."""
        view = View(self._counts, whose=self._whose, statuses=self._statuses)
        found = view.blindness(queue_id, has_seen=self._recall(_seen_in(queue_id)) is not None)
        return None if found is None else Unseen(found.text, found.fix)

    def live(self, queue_id: Id) -> Iterator[str]:
        """What only the live service can say of a queue, as lines; a few read-only calls."""
        return Live(self._http, self._counts).report(queue_id)

    def close(self) -> None:
        """Break off whatever is under way, at once."""
        # Names first: they may wait for a turn, and would ask once more.
        self._names.close()
        self._http.close()

    def _read_whole(self, queue_id: Id, fields: frozenset[Field], before: _Concluded | None) -> tuple[Api, Listing]:
        """Read a queue, as long as the key is known to be good, and by which listing that was."""
        self._standing.admit()
        try:
            former = (before.api, Former(before.leaves)) if before else None
            api, listing = self._choice.read(queue_id, fields, former)
            if listing.unusable and not listing.marks:
                # Nothing that can be used is not the same as nothing that waits.
                problem = f"none of {listing.unusable} rows can be used: they have no queue_run_id, or are too large"
                raise unlawful(listing.what, problem, fix="update the worker; if that does not help, report it")
        except SourceError as error:
            self._standing.failed(queue_id, error)
            raise
        # After the rows were judged: an unusable listing is no proof of a good key.
        self._standing.accepted()
        self._listed_by[queue_id] = api
        return api, listing

    def _read(
        self, read: Callable[[Wanted, Former], Listing], queue_id: Id, show: frozenset[Field], former: Former
    ) -> Listing:
        """Every wanted section of a queue by one of the listings. What the first one shows of a run counts."""
        # In the order of the settings: a run that moves between two sections is shown by the first.
        first, *others = self._wanted(queue_id, show)
        listing = read(first, former)
        for another in others:
            listing.merge(self._section(read, another, former, listing))
        return listing

    def _section(
        self, read: Callable[[Wanted, Former], Listing], wanted: Wanted, former: Former, first: Listing
    ) -> Listing:
        """Another section than the first. Disagreements are in `items` alone, whichever listing shows the others."""
        if wanted.status != DISAGREED:
            return read(wanted, former)
        found = self._disagreements.read(self._items.read, wanted, former, self._directory.queue(wanted.queue_id))
        # How long a listing is served is for that listing to say.
        found.headers = first.headers
        return found

    def _lists_disagreements(self, queue_id: Id) -> bool:
        return DISAGREED in self._statuses and self._disagreements.has_any(queue_id)

    def _wanted(self, queue_id: Id, show: frozenset[Field]) -> Sequence[Wanted]:
        tenant_id = self._directory.tenant_id(queue_id)
        return [Wanted(queue_id, status, show, self._web, tenant_id) for status in self._statuses]

    def _queue(self, queue_id: Id, runs: Iterable[QueueRun] = ()) -> Queue:
        """The queue; the links of its runs name its workspace too."""
        queue = self._directory.queue(queue_id)
        queue = replace(queue, disagreed=self._disagreements.of(queue))
        if queue.url or not self._web:
            return queue
        if queue_id not in self._urls:
            tenants = (tenant_in(self._web, run.facts.url) for run in runs)
            tenant_id = next(filter(None, tenants), None)
            if tenant_id is not None:
                self._urls[queue_id] = queue_url(self._web, tenant_id, queue_id)
        return replace(queue, url=self._urls.get(queue_id, ""))

    def _note_what_waits(self, queue_id: Id, first: Id | None) -> None:
        """Keep the first run that waits in a queue, and over restarts that something was shown of it."""
        self._waiting[queue_id] = first
        if first is not None and queue_id not in self._seen_in:
            self._remember(_seen_in(queue_id), "yes")
            self._seen_in.add(queue_id)


def in_use_written(in_use: ApiInUse) -> str:
    """What is remembered of the listing that is read: JSON, as `status` shows it."""
    ends_at = in_use.sunset_at.isoformat() if in_use.sunset_at else None
    return json.dumps({"name": in_use.name, "ends_at": ends_at, "meaning": meaning(in_use)})


def _seen_in(queue_id: Id) -> str:
    """The name under which it is kept that the key was shown something in a queue."""
    return f"seen in {queue_id}"
