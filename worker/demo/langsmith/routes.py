"""The endpoints of the simulated LangSmith that a worker can use, each a question to its state."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker.demo.langsmith import answers
from worker.demo.langsmith.answers import AnswerError, choice, invalid, path_id, whole
from worker.demo.langsmith.state import DONE, MINE, OTHERS, PROJECT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from starlette.requests import Request

    from worker.demo.langsmith.state import AnnotationQueue, Annotations, Key, Place

_Answer = Any
MOST_QUERIED = 1000
_DAY = timedelta(days=1)
_SECTIONS = {MINE: MINE, OTHERS: OTHERS, answers.ARCHIVED: DONE}


_QUEUE = "/api/v1/annotation-queues/{queue_id}"
_ITEMS = "/api/v1/platform/annotation-queues/{queue_id}/items"
_MEMBERS = "/api/v1/workspaces/current/members/active"
_QUERIED = {"ids", "project_ids", "min_start_time", "selects", "page_size", "cursor"}
_ASKABLE: Mapping[str, Collection[str]] = {
    "/api/v1/annotation-queues": {"ids", "name", "name_contains", "offset", "limit", "queue_type"},
    f"{_QUEUE}/runs": {"status", "limit", "offset"},
    f"{_QUEUE}/size": {"status"},
    _ITEMS: {"status", "page_size", "cursor", "item_type", "direction", "agreement", "has_unresolved_keys"},
    f"{_ITEMS}/count": {"status", "has_unresolved_keys"},
    _MEMBERS: {"limit", "offset", "emails", "ls_user_ids"},
}


class Endpoints:
    """Answers each question for one key. Every method gives JSON or raises AnswerError."""

    def __init__(self, annotations: Annotations) -> None:
        """Ask `annotations` for everything."""
        self._annotations = annotations

    def routes(self) -> Mapping[tuple[str, str], Callable[[Request, Key], _Answer]]:
        """Method and path of every endpoint."""
        return {
            ("GET", "/api/v1/annotation-queues"): self.list_queues,
            ("GET", _QUEUE): self.one_queue,
            ("GET", f"{_QUEUE}/runs"): self.runs,
            ("GET", f"{_QUEUE}/size"): self.size,
            ("GET", _ITEMS): self.items,
            ("GET", f"{_ITEMS}/count"): self.count,
            ("GET", f"{_ITEMS}/{{item_id}}/placement"): self.placement,
            ("POST", "/api/v2/runs/query"): self.query,
            ("GET", "/api/v1/workspaces"): self.workspaces,
            ("GET", _MEMBERS): self.members,
        }

    @staticmethod
    def admit(path: str, request: Request) -> None:
        """Refuse a query with names that an endpoint does not know."""
        answers.only(request.query_params, _ASKABLE.get(path, ()))

    def list_queues(self, request: Request, key: Key) -> _Answer:
        """The queues that the key can see."""
        offset = whole(request, "offset", 0, least=0)
        limit = whole(request, "limit", 100, least=1, most=100)
        choice(request, "queue_type", ("single", "pairwise"))
        wanted = [queue for queue in self._annotations.queues() if _is_asked_for(request, queue)]
        people = self._annotations.reviewers
        return [answers.listed_queue(queue, people, key) for queue in wanted[offset : offset + limit]]

    def one_queue(self, request: Request, _key: Key) -> _Answer:
        """One queue."""
        return answers.queue_answer(self._queue(request), self._annotations.reviewers)

    def runs(self, request: Request, key: Key) -> _Answer:
        """The runs of one section of a queue, whole."""
        offset = whole(request, "offset", 0, least=0)
        limit = whole(request, "limit", 100, least=1, most=100)
        status = choice(request, "status", (MINE, OTHERS, DONE))
        # This listing knows no conversations.
        places = [place for place in self._section(request, status, key) if not place.conversation]
        return [answers.run_answer(place, key) for place in places[offset : offset + limit]]

    def size(self, request: Request, key: Key) -> _Answer:
        """The number of runs in one section of a queue."""
        status = choice(request, "status", (MINE, OTHERS, DONE))
        return {"size": sum(not place.conversation for place in self._section(request, status, key))}

    def items(self, request: Request, key: Key) -> _Answer:
        """The items of one section of a queue: membership only, by cursor."""
        status = _platform(choice, request, "status", tuple(_SECTIONS))
        if status is None:
            raise AnswerError(400, answers.problem(400, "status is required"))
        kind = _platform(choice, request, "item_type", ("RUN", "THREAD"))
        size = min(whole(request, "page_size", 20, least=1), 100)
        places = self._compared(request, status, self._section(request, _SECTIONS[status], key))
        wanted = [p for p in places if kind is None or p.conversation is (kind == "THREAD")]
        return _cursor_page(wanted, request, size, key, compares=self._annotations.compares)

    def count(self, request: Request, key: Key) -> _Answer:
        """The number of items in one section of a queue."""
        status = request.query_params.get("status")
        if status not in {*_SECTIONS, "all"}:
            raise AnswerError(400, {"error": "status is missing or unknown"})
        if status == "all":
            return {"count": len(self._compared(request, status, tuple(self._queue(request).places.values())))}
        return {"count": len(self._compared(request, status, self._section(request, _SECTIONS[status], key)))}

    def placement(self, request: Request, key: Key) -> _Answer:
        """In which section an item is now."""
        queue = self._queue(request)
        wanted = path_id(request, "item_id")
        for section, status in _SECTIONS.items():
            places = self._section(request, status, key)
            for position, place in enumerate(places):
                if place.queue_run_id == wanted:
                    kind = "THREAD" if place.conversation else "RUN"
                    return {"item_type": kind, "section": section, "position": position, "cursor": _cursor(place, key)}
        raise AnswerError(404, answers.problem(404, f"item not found in queue {queue.queue_id}"))

    def query(self, request: Request, _key: Key) -> _Answer:
        """Runs by id, with the selected fields."""
        asked = _body(request)
        answers.only(asked, _QUERIED, "body")
        if not asked.get("project_ids"):
            raise AnswerError(400, answers.problem(400, "project_ids or reference_dataset_id is required"))
        size = asked.get("page_size", 100)
        if not isinstance(size, int) or not 1 <= size <= MOST_QUERIED:
            raise AnswerError(400, answers.problem(400, "page_size must be between 1 and 1000"))
        places = self._queried(asked)
        begin = int(asked.get("cursor") or 0)
        rows = [answers.queried(place, asked.get("selects", ())) for place in places[begin : begin + size]]
        more = {"next_cursor": str(begin + size)} if begin + size < len(places) else {}
        return {"items": rows, **more}

    def workspaces(self, _request: Request, _key: Key) -> _Answer:
        """The workspaces of the key."""
        return [answers.workspace(self._annotations.now())]

    def members(self, request: Request, _key: Key) -> _Answer:
        """The members of the workspace."""
        limit = whole(request, "limit", 50, least=1, most=500)
        offset = whole(request, "offset", 0, least=0)
        emails, ids = (request.query_params.getlist(name) for name in ("emails", "ls_user_ids"))
        for given in ids:
            _uuid(given)
        # Letter by letter: whether the service folds the case of addresses is not known.
        found = [
            each
            for each in self._annotations.reviewers.values()
            if each.is_active and each.email
            if (not emails or each.email in emails) and (not ids or str(each.ls_user_id) in ids)
        ]
        everybody = sorted(found, key=lambda each: each.email)
        return [answers.member(each, self._annotations.now()) for each in everybody[offset : offset + limit]]

    def _compared(self, request: Request, status: str, places: Sequence[Place]) -> Sequence[Place]:
        """Those of the places on which reviewers disagree, or agree, where that is asked for."""
        unresolved, agreement = answers.flag(request, "has_unresolved_keys"), request.query_params.get("agreement")
        if unresolved is None and agreement is None:
            return places
        if status != answers.ARCHIVED or agreement not in {None, "disagreed"}:
            text = "agreement is disagreed, and it and has_unresolved_keys need status=archived"
            raise AnswerError(
                400, {"error": text} if request.url.path.endswith("/count") else answers.problem(400, text)
            )
        if not self._annotations.compares:
            raise AnswerError(501, answers.problem(501, "multi-reviewer queues are not enabled"))
        return [
            place
            for place in places
            if (agreement is None or place.disagreed) and (unresolved is None or place.disagreed is unresolved)
        ]

    def _queue(self, request: Request) -> AnnotationQueue:
        queue_id = path_id(request, "queue_id")
        with self._annotations.held() as queues:
            if queue_id not in queues:
                raise AnswerError(404, {"detail": "Not Found"})
            return queues[queue_id]

    def _section(self, request: Request, status: str | None, key: Key) -> Sequence[Place]:
        queue = self._queue(request)
        if queue.queue_id in key.blind_to and status != DONE:
            return ()
        with self._annotations.held():
            return queue.section(status, key)

    def _queried(self, asked: Mapping[str, Any]) -> Sequence[Place]:
        """The runs that were asked for, newest first; without `min_start_time` only the last day's."""
        wanted = set(asked.get("ids", ()))
        since = _date(asked.get("min_start_time")) or self._annotations.now() - _DAY
        if str(PROJECT_ID) not in asked["project_ids"]:
            raise AnswerError(404, answers.problem(404, "session not found"))
        with self._annotations.held() as queues:
            places = {p.run_id: p for queue in queues.values() for p in queue.places.values() if not p.conversation}
        found = [p for p in places.values() if (not wanted or str(p.run_id) in wanted) and p.started_at >= since]
        return sorted(found, key=lambda place: place.started_at, reverse=True)


def _is_asked_for(request: Request, queue: AnnotationQueue) -> bool:
    ids = request.query_params.getlist("ids")
    name = request.query_params.get("name")
    part = request.query_params.get("name_contains")
    return (
        (not ids or str(queue.queue_id) in ids)
        and (name is None or name == queue.name)
        and (part is None or part.lower() in queue.name.lower())
    )


def _platform(read: Callable[..., str | None], request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """The platform's endpoints answer 400 where the others answer 422."""
    try:
        return read(request, name, choices)
    except AnswerError:
        raise AnswerError(400, answers.problem(400, f"{name} is unknown")) from None


def _cursor(place: Place, key: Key) -> str:
    added_at = place.seen_added_at(key.reviewer)
    position = [added_at.timestamp() if added_at else 0.0, place.number]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _position(cursor: str) -> tuple[float, int]:
    try:
        added_at, number = json.loads(base64.urlsafe_b64decode(cursor))
        return float(added_at), int(number)
    except (ValueError, TypeError):
        raise AnswerError(400, answers.problem(400, "cursor is unknown")) from None


def _cursor_page(places: Sequence[Place], request: Request, size: int, key: Key, *, compares: bool) -> _Answer:
    """The items after (or before) the cursor. A cursor is a position in the order, so moving rows skip none."""
    cursor = request.query_params.get("cursor")
    backward = request.query_params.get("direction") == "backward"
    if backward and not cursor:
        raise AnswerError(400, answers.problem(400, "direction=backward requires cursor"))
    if cursor:
        at = _position(cursor)
        positions = [(place, _position(_cursor(place, key))) for place in places]
        places = [place for place, position in positions if (position < at if backward else position > at)]
    page = places[-size:] if backward else places[:size]
    answer: answers.Json = {"items": [answers.item(place, key, compares=compares) for place in page]}
    if page and len(places) > len(page) and not backward:
        answer["next_cursor"] = _cursor(page[-1], key)
    if page and cursor:
        answer["previous_cursor"] = _cursor(page[0], key)
    return answer


def _body(request: Request) -> Mapping[str, Any]:
    body = request.state.body
    if not isinstance(body, dict):
        raise AnswerError(400, answers.problem(400, "malformed JSON"))
    for name in body.get("ids", ()):
        try:
            UUID(name)
        except ValueError:
            raise AnswerError(422, answers.problem(422, "ids: invalid UUID")) from None
    return body


def _uuid(value: str) -> None:
    try:
        UUID(value)
    except ValueError:
        raise invalid("query", "ls_user_ids", "Input should be a valid UUID") from None


def _date(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise AnswerError(422, answers.problem(422, "min_start_time: invalid date")) from None
    if at.tzinfo is None:
        raise invalid("body", "min_start_time", "a date needs its zone")
    return at
