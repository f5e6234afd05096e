"""Answers of the simulated LangSmith, in the shapes of the published specification. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker.demo.langsmith.state import DONE, ORGANISATION_ID, PROJECT_ID, TENANT_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from starlette.requests import Request

    from worker.demo.langsmith.state import AnnotationQueue, Key, Person, Place

Json = dict[str, Any]

ARCHIVED = "archived"
_PREVIEW = 200


def _stamp(at: datetime | None) -> str | None:
    """A date as the older endpoints write it."""
    return None if at is None else at.isoformat(timespec="microseconds")


def zulu(at: datetime | None) -> str | None:
    """A date as the platform's endpoints write it."""
    return None if at is None else f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def run_answer(place: Place, key: Key) -> Json:
    """One row of `runs`: the whole run with its place in the queue."""
    text = "x" * place.payload
    row: Json = {
        "id": str(place.run_id),
        "name": place.name,
        "run_type": place.run_type,
        "status": "error" if place.error else "success",
        "error": place.error,
        "start_time": _stamp(place.started_at),
        "end_time": _stamp(place.started_at),
        "inputs": {"question": text},
        "inputs_preview": text[:_PREVIEW] or f"A question to {place.name}",
        "outputs": None if place.error else {"answer": text},
        "outputs_preview": None if place.error else text[:_PREVIEW] or f"An answer of {place.name}",
        "extra": {"metadata": {}},
        "tags": list(place.tags),
        "trace_id": str(place.run_id),
        "dotted_order": f"{place.started_at:%Y%m%dT%H%M%S%fZ}{place.run_id}",
        "session_id": str(PROJECT_ID),
        "app_path": f"/o/{TENANT_ID}/projects/p/{PROJECT_ID}/r/{place.run_id}?trace_id={place.run_id}",
        "thread_id": place.thread_id,
        "total_tokens": place.tokens,
        "total_cost": place.cost,
        "feedback_stats": _feedback(place),
        "trace_tier": "shortlived" if place.expires_at else "longlived",
        "trace_first_received_at": _stamp(place.started_at),
        "ttl_seconds": None if place.expires_at is None else int((place.expires_at - place.started_at).total_seconds()),
        "queue_run_id": str(place.queue_run_id),
        "last_reviewed_time": _stamp(place.last_reviewed_at),
        "added_at": _stamp(place.added_at),
        "effective_added_at": _stamp(place.seen_added_at(key.reviewer)),
        "reserved_by": [str(reviewer) for reviewer in place.reserved_by],
        "completed_by": [str(reviewer) for reviewer in place.completed_by],
    }
    return {name: value for name, value in row.items() if name not in place.lost}


def item(place: Place, key: Key, *, compares: bool = False) -> Json:
    """One row of `items`: membership only, and whether reviewers agree where the workspace `compares` that."""
    row = {
        "id": str(place.queue_run_id),
        "queue_id": str(place.queue_id),
        "item_type": "THREAD" if place.conversation else "RUN",
        "run_id": None if place.conversation else str(place.run_id),
        "thread_id": place.thread_id,
        "project_id": str(PROJECT_ID),
        "start_time": zulu(place.started_at),
        "added_at": zulu(place.added_at),
        "effective_added_at": zulu(place.seen_added_at(key.reviewer)),
        "last_reviewed_time": zulu(place.last_reviewed_at),
        "assigned_to": [str(reviewer) for reviewer in place.assigned_to],
        "reserved_by": [str(reviewer) for reviewer in place.reserved_by],
        "completed_by": [str(reviewer) for reviewer in place.completed_by],
        **(_agreement(place) if compares else {}),
    }
    return {name: value for name, value in row.items() if value is not None and name not in place.lost}


def _agreement(place: Place) -> Json:
    """Whether those who completed a run agree on it."""
    state = "disagreed" if place.disagreed else "agreed" if place.completed_by else "none"
    key = {"correctness": {"state": state, "has_final": not place.disagreed, "answer": None}}
    return {"agreement_state": state, "has_unresolved_keys": place.disagreed, "key_agreements": key}


def queried(place: Place, selects: Collection[str]) -> Json:
    """One run of `runs/query`, with the selected fields only."""
    known: Json = {
        "id": str(place.run_id),
        "name": place.name,
        "run_type": place.run_type.upper(),
        "status": "ERROR" if place.error else "SUCCESS",
        "error": place.error,
        "error_preview": (place.error or "")[:_PREVIEW],
        "inputs_preview": f"A question to {place.name}",
        "outputs_preview": f"An answer of {place.name}",
        "tags": list(place.tags),
        "project_id": str(PROJECT_ID),
        "trace_id": str(place.run_id),
        "thread_id": _uuid(place.thread_id),
        "total_tokens": place.tokens,
        "total_cost": None if place.cost is None else float(place.cost),
        "start_time": zulu(place.started_at),
        "feedback_stats": _feedback(place),
    }
    wanted = {select.lower() for select in selects} or {"id"}
    return {name: value for name, value in known.items() if name in wanted and value is not None}


def _feedback(place: Place) -> Json | None:
    """The feedback of a run by its key; nothing at all where there is none."""
    return {key: {"n": 1, "avg": score, "values": {}} for key, score in place.scores.items()} or None


def _uuid(thread_id: str | None) -> str | None:
    """This endpoint shows only conversations that have a UUID."""
    try:
        return None if thread_id is None else str(UUID(thread_id))
    except ValueError:
        return None


def queue_answer(found: AnnotationQueue, people: Mapping[UUID, Person]) -> Json:
    """One queue, as its own endpoint shows it."""
    assigned = [people[reviewer] for reviewer in found.assigned]
    return {
        "id": str(found.queue_id),
        "name": found.name,
        "description": None,
        "tenant_id": str(TENANT_ID),
        "queue_type": "single",
        "created_at": zulu(found.created_at),
        "updated_at": zulu(found.created_at),
        "num_reviewers_per_item": found.reviewers_per_run,
        "enable_reservations": True,
        "reservation_minutes": 1,
        "reviewer_access_mode": found.access,
        "assigned_reviewers": [
            {"id": str(each.reviewer_id), "name": each.name or None, "email": each.email or None} for each in assigned
        ],
    }


def listed_queue(found: AnnotationQueue, people: Mapping[UUID, Person], key: Key) -> Json:
    """One queue, as the list shows it."""
    open_ones = len(found.section(None, key))
    return queue_answer(found, people) | {"total_runs": open_ones + len(found.section(DONE, key))}


def member(found: Person, since: datetime) -> Json:
    """One member of the workspace."""
    return {
        "id": str(found.reviewer_id),
        "organization_id": str(ORGANISATION_ID),
        "tenant_id": str(TENANT_ID),
        "created_at": zulu(since),
        "user_id": str(found.user_id),
        "ls_user_id": str(found.ls_user_id),
        "read_only": False,
        "email": found.email,
        "full_name": found.name,
        "access_scope": "workspace",
        "linked_login_methods": [],
    }


def workspace(since: datetime) -> Json:
    """The only workspace."""
    return {
        "id": str(TENANT_ID),
        "organization_id": str(ORGANISATION_ID),
        "created_at": zulu(since),
        "display_name": "Simulated workspace",
        "is_personal": False,
        "is_deleted": False,
    }


def problems(*found: tuple[str, str, str]) -> Json:
    """A 422: (where, which parameter, what is wrong) each."""
    return {"detail": [{"loc": [where, name], "msg": text, "type": "value_error"} for where, name, text in found]}


def problem(status: int, title: str) -> Json:
    """An error of the platform's endpoints."""
    return {"type": "about:blank", "title": title, "status": status, "detail": title}


class AnswerError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        """Keep what is answered."""
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def invalid(where: str, name: str, text: str) -> AnswerError:
    """A 422 about one parameter."""
    return AnswerError(422, problems((where, name, text)))


def path_id(request: Request, name: str) -> UUID:
    """An id in the path."""
    try:
        return UUID(request.path_params[name])
    except ValueError:
        raise invalid("path", name, "Input should be a valid UUID") from None


def whole(request: Request, name: str, default: int, *, least: int, most: int | None = None) -> int:
    """A number in the query."""
    given = request.query_params.get(name)
    if given is None:
        return default
    try:
        value = int(given)
    except ValueError:
        raise invalid("query", name, "Input should be a valid integer") from None
    if value < least or (most is not None and value > most):
        raise invalid("query", name, f"Input should be between {least} and {most}")
    return value


def only(names: Collection[str], known: Collection[str], where: str = "query") -> None:
    """Refuse names that are not known, so that a filter which would be ignored is noticed."""
    for name in names:
        if name not in known:
            raise invalid(where, name, "unknown to this simulation")


def flag(request: Request, name: str) -> bool | None:
    """Yes or no in the query."""
    given = request.query_params.get(name)
    if given not in {None, "true", "false"}:
        raise AnswerError(400, problem(400, f"{name} must be true or false"))
    return None if given is None else given == "true"


def choice(request: Request, name: str, choices: Collection[str]) -> str | None:
    """One of a few words in the query."""
    given = request.query_params.get(name)
    if given is not None and given not in choices:
        raise invalid("query", name, f"Input should be one of {', '.join(choices)}")
    return given
