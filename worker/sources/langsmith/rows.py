"""One row of a listing as a QueueRun, with no more facts than may be shown. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote
from uuid import UUID

from msgspec import UNSET, Struct, ValidationError, convert

from worker.core.instants import EPOCH
from worker.core.model import NO_ONE, NO_TRAITS, Facts, QueueRun, Show, Trait, Traits, Who
from worker.sources.langsmith.wire import BriefRow, LawfulItem, Row, WholeRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.model import Field, Id
    from worker.sources.langsmith.wire import ItemRow, QueriedRow

CONVERSATION = "THREAD"
DISAGREED = "disagreed"
"""Not a status of LangSmith's: completed runs on which reviewers disagree, which it lists by a filter."""

LONG = frozenset({Show.ERROR, Show.INPUTS_PREVIEW, Show.OUTPUTS_PREVIEW})


Makeable: TypeAlias = "QueueRun | Callable[[], QueueRun]"
"""A run, or how it is made of its row: that is dear, and of a list that has not changed none is needed."""


class Wanted(Struct, frozen=True):
    """Which list is read, and what of its rows is wanted. `web` is the root of links, '' for none."""

    queue_id: Id
    status: str
    show: frozenset[Field]
    web: str = ""
    tenant_id: UUID | None = None


class Trace(Struct, frozen=True):
    """Where the run of an item is to be looked up."""

    run_id: UUID
    project_id: UUID
    began_at: datetime | None


def row_type(show: frozenset[Field]) -> type[BriefRow]:
    """What of a row of `runs` is kept until it is known whether anything has changed."""
    if not show.isdisjoint({Trait.ERROR, Trait.FEEDBACK}):
        return WholeRow
    return BriefRow if show.isdisjoint(LONG) else Row


def run_mark(row: BriefRow) -> int:
    """Condenses what is used of a row of `runs` but for its links, which are signed at each answer."""
    state = length(row.reserved_by) > 0, length(row.completed_by), who(row), scores(row)
    try:
        return hash((row.queue_run_id, row.name, row.added_at, row.effective_added_at, row.trace_tier, state))
    except TypeError:  # a list or an object where text belongs, which is not used
        texts = (row.queue_run_id, row.name, row.added_at, row.effective_added_at, row.trace_tier)
        return hash((*map(_text, texts), state))


def section_params(status: str) -> dict[str, str | int]:
    """The parameters that ask for a section of `items`."""
    return completed_params(unresolved=True) if status == DISAGREED else {"status": status}


def completed_params(*, unresolved: bool | None) -> dict[str, str | int]:
    """Those that ask for completed runs: where reviewers disagree, where they do not, or all of them (None)."""
    params: dict[str, str | int] = {"status": "archived"}
    return params if unresolved is None else {**params, "has_unresolved_keys": str(unresolved).lower()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def of_runs(row: BriefRow, wanted: Wanted, queue_run_id: Id) -> QueueRun:
    """A row of `runs`, by its usable `queue_run_id`."""
    run_id = identity(row.id)
    ids = {"tenant_id": wanted.tenant_id, "project_id": identity(row.session_id), "run_id": run_id}
    return QueueRun(
        queue_run_id=queue_run_id,
        run_id=run_id,
        added_at=instant(row.added_at),
        effective_added_at=instant(row.effective_added_at),
        reserved=length(row.reserved_by) > 0,
        done=length(row.completed_by),
        who=who(row),
        shows_assigned=row.assigned_to is not None,
        facts=facts(row, wanted.show, run_url(wanted.web, row.app_path, **ids)),
        traits=traits(row, wanted.show),
        expires_at=expiry(row),
    )


def expiry(row: BriefRow) -> datetime | None:
    """When the trace of a row is deleted, where LangSmith says how long it keeps it."""
    received, ttl = instant(row.trace_first_received_at), count(row.ttl_seconds)
    return received + timedelta(seconds=ttl) if received is not None and ttl and ttl <= LONGEST_TTL else None


def who(row: BriefRow | ItemRow | LawfulItem) -> Who:
    """Whom a row names, by role."""
    # Most rows name no one, and most others those that their neighbours name: one value serves them all.
    if not (row.assigned_to or row.reserved_by or row.completed_by):
        return NO_ONE
    return _named(_identities(row.assigned_to), _identities(row.reserved_by), _identities(row.completed_by))


@lru_cache(1024)
def _named(assigned_to: tuple[str, ...], reserved_by: tuple[str, ...], completed_by: tuple[str, ...]) -> Who:
    return Who(assigned_to, reserved_by, completed_by)


def _identities(value: object) -> tuple[str, ...]:
    """The ids in a list of people: each once, and in an order of our own, lest one that the server shuffles is news."""
    if not value or not isinstance(value, list):
        return ()
    return tuple(sorted({found for given in value[:MOST_NAMED] if (found := person(given))}))


def person(value: object) -> str:
    """The id of an identity: a UUID as `str()` writes one, else its text; '' for what is none."""
    return _person(value) if isinstance(value, str) and len(value) <= PERSON_CHARACTERS else ""


@lru_cache(1024)
def _person(value: str) -> str:
    found = identity(value)
    if found is not None:
        return str(found)
    # All zeros is "none", as with any other id.
    return text(value).strip() if value.strip("0-") else ""


def lawful(row: LawfulItem | ItemRow | None) -> LawfulItem:
    """A row of `items` as the specification has it; without an `id` where it has no usable one."""
    if row is None:
        return LawfulItem()
    return LawfulItem(
        id=identity(row.id),
        item_type=CONVERSATION if row.item_type == CONVERSATION else None,
        run_id=identity(row.run_id),
        thread_id=text(row.thread_id),
        project_id=row.project_id if isinstance(row.project_id, str) else None,
        start_time=instant(row.start_time),
        added_at=instant(row.added_at),
        effective_added_at=instant(row.effective_added_at),
        assigned_to=row.assigned_to if isinstance(row.assigned_to, list) else None,
        reserved_by=row.reserved_by if isinstance(row.reserved_by, list) else None,
        completed_by=row.completed_by if isinstance(row.completed_by, list) else None,
    )


# A queue has the runs of few projects.
@lru_cache(64)
def project(value: str | None) -> bytes:
    """The bytes of a project's id; zeros for none."""
    found = identity(value)
    return bytes(16) if found is None else found.bytes


def facts(row: BriefRow | QueriedRow, show: frozenset[Field], url: str) -> Facts:
    """What `show` allows of a run, cleaned and cut."""
    return Facts(
        name=text(row.name) if Show.NAME in show else "",
        run_type=text(row.run_type).lower() if Show.TYPE in show else "",
        url=url,
        tags=tags(row.tags) if Show.TAGS in show else (),
        error=text(getattr(row, "error", None), PREVIEW_CHARACTERS) if Show.ERROR in show else "",
        inputs_preview=text(getattr(row, "inputs_preview", None), PREVIEW_CHARACTERS)
        if Show.INPUTS_PREVIEW in show
        else "",
        outputs_preview=text(getattr(row, "outputs_preview", None), PREVIEW_CHARACTERS)
        if Show.OUTPUTS_PREVIEW in show
        else "",
        thread=text(row.thread_id) if Show.THREAD in show else "",
        tokens=count(row.total_tokens) if Show.TOKENS in show else None,
        cost=amount(row.total_cost) if Show.COST in show else "",
    )


def traits(row: BriefRow | QueriedRow, fields: frozenset[Field]) -> Traits:
    """What filters need of a run, as far as the row says it."""
    if fields.isdisjoint(Trait):
        return NO_TRAITS
    return Traits(
        name=text(row.name) if Trait.NAME in fields else None,
        run_type=text(row.run_type).lower() if Trait.TYPE in fields else None,
        tags=tags(row.tags) if Trait.TAGS in fields else None,
        failed=bool(getattr(row, "error", None)) if Trait.ERROR in fields else None,
        scores=scores(row) if Trait.FEEDBACK in fields else None,
    )


def scores(row: BriefRow | QueriedRow) -> tuple[tuple[str, float], ...] | None:
    """The mean score of each feedback key that has one; None where the row does not say."""
    given = getattr(row, "feedback_stats", UNSET)
    if not isinstance(given, dict):
        return () if given is None else None
    means = {text(key): _score(each.get("avg")) for key, each in given.items() if isinstance(each, dict)}
    return tuple(sorted((key, mean) for key, mean in means.items() if mean is not None))


def _score(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_TOKENS
    return float(value) if is_number else None  # type: ignore[arg-type]


def conversation(row: LawfulItem, wanted: Wanted, url: str) -> Facts:
    """What is shown of a conversation, which has no name: its id stands for it."""
    thread = text(row.thread_id)
    return Facts(
        # No look-up knows threads, so a line would stay without a name for ever.
        name=f"Conversation {thread[:8]}".strip() if Show.NAME in wanted.show else "",
        run_type="conversation" if Show.TYPE in wanted.show else "",
        url=url,
        thread=thread if Show.THREAD in wanted.show else "",
    )


MOST_NAMED = 100
"""People in one role of a run; no team has more that review the same one."""

PERSON_CHARACTERS = 100
NAME_CHARACTERS = 300
PREVIEW_CHARACTERS = 500
TAG_CHARACTERS = 60
TAGS = 20
PATH_CHARACTERS = 2_000

MOST_TOKENS = 10**15
LONGEST_TTL = 10 * 365 * 86_400
"""Seconds; what is kept for longer does not expire in our time."""

_PATH = re.compile(r"/(?![/\\])[\w\-./~%!$&'()*+,;=:@?#]*", re.ASCII)
_TENANT = re.compile(r"/o/([0-9a-fA-F-]{36})(?:/|$)")
_SURROGATE = re.compile("[\ud800-\udfff]")


def text(value: object, longest: int = NAME_CHARACTERS) -> str:
    """Text that any database and any encoding takes, cut to `longest` characters; '' for anything but text."""
    if not isinstance(value, str):
        return ""
    cut = value[:longest]
    # Most text is, and that is known without a walk through it.
    if cut.isascii():
        return cut.replace("\0", "")
    return _SURROGATE.sub("\ufffd", cut).replace("\0", "")


def identity(value: object) -> UUID | None:
    """An id, or None. All zeros is how some servers write "none"."""
    if not isinstance(value, str) or len(value) not in {32, 36}:
        return None
    try:
        found = convert(value, UUID)
    except (ValidationError, UnicodeEncodeError):
        return None
    # All zeros would join runs that have nothing in common.
    return found if found.int else None


def instant(value: object) -> datetime | None:
    """An aware instant in UTC, or None. Without a zone it is UTC; before 1970 it is how some servers write "none"."""
    return _instant(value) if isinstance(value, str) else None


# Both dates of a row are mostly the same.
@lru_cache(64)
def _instant(value: str) -> datetime | None:
    try:
        # As rows that are decoded as a whole are read; the standard library knows more ways to write a date.
        found = convert(value, datetime)
    except (ValidationError, UnicodeEncodeError):  # the latter for half a character
        try:
            found = datetime.fromisoformat(value.strip().upper())
        except ValueError:
            return None
    return utc(found)


def utc(value: datetime | None) -> datetime | None:
    """A decoded date as an instant in UTC: see `instant`."""
    if value is not None and value.tzinfo is not UTC:
        try:
            value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            return None
    return None if value is None or value < EPOCH else value


def tags(value: object) -> tuple[str, ...]:
    """The tags that are text, cut in number and length."""
    if not isinstance(value, list):
        return ()
    return tuple(tag for tag in (text(given, TAG_CHARACTERS) for given in value[:TAGS]) if tag)


def count(value: object) -> int | None:
    """A plausible amount, or None."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def amount(value: object) -> str:
    """A cost as text: one listing sends text, the other a number. '' for what is no plausible cost."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    try:
        cost = Decimal(str(value)[:TAG_CHARACTERS])
    except InvalidOperation:
        return ""
    if not cost.is_finite() or abs(cost) > MOST_TOKENS:
        return ""
    written = f"{cost:.10f}"
    return written.rstrip("0").rstrip(".")


def length(value: object) -> int:
    """How many entries a list has; 0 for anything but a list."""
    return len(value) if isinstance(value, list) else 0


def safe_path(value: object) -> str:
    """A path below the web root, or ''. Anything that could lead to another host or out of the root is refused."""
    if not isinstance(value, str) or len(value) > PATH_CHARACTERS or not _PATH.fullmatch(value):
        return ""
    # Unpacked as a browser does: what is hidden by %2e or %2f leads out just the same.
    path = unquote(value.partition("?")[0].partition("#")[0])
    return "" if "\\" in path or ".." in path.split("/") or "//" in path else value


def tenant_of(path: str) -> UUID | None:
    """The workspace that a web path belongs to, where it says so."""
    found = _TENANT.match(path)
    return identity(found.group(1)) if found else None


def tenant_in(web: str, url: str) -> UUID | None:
    """The workspace that a link to a run names."""
    return tenant_of(url.removeprefix(web)) if web else None


def queue_url(web: str, tenant_id: UUID | None, queue_id: Id) -> str:
    """The page of a queue, or '' where the workspace is not known."""
    return f"{web}/o/{tenant_id}/annotation-queues/{queue_id}" if web and tenant_id else ""


def run_url(
    web: str, app_path: object = None, *, tenant_id: UUID | None, project_id: Id | None, run_id: Id | None
) -> str:
    """The page of a run: by the path that LangSmith gives, else by its ids, else ''."""
    path = safe_path(app_path)
    if path or not web:
        return f"{web}{path}" if web else ""
    beginning = runs_url(web, tenant_id, project_id)
    return f"{beginning}{run_id}" if beginning and run_id is not None else ""


@lru_cache(64)
def runs_url(web: str, tenant_id: UUID | None, project_id: Id | None) -> str:
    """How the links to the runs of a project begin; '' where there can be none."""
    is_known = web and tenant_id is not None and project_id is not None
    return f"{web}/o/{tenant_id}/projects/p/{project_id}/r/" if is_known else ""
