"""The OpenAPI document of the page's API, made of the very values that it answers with. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from worker.version import release
from worker.web.shown import Front, MessageRow, PauseRow, PersonRow, QueuePage, QueueRow


class Messages(Struct, frozen=True):
    """What is not delivered yet, the last messages, and the channels to which nothing is posted."""

    undelivered: list[MessageRow]
    messages: list[MessageRow]
    pauses: list[PauseRow]


class ApiError(Struct, frozen=True):
    """Why there is no other answer."""

    error: str


_NUMBER = {"type": "integer", "minimum": 0}


@cache
def document() -> dict[str, Any]:
    """The whole document; what it says of each answer is made of the answer's own type."""
    paths = {
        "/api/front": _get("Everything that the first page shows", Front),
        "/api/queues": _get("Every queue that is polled", list[QueueRow]),
        "/api/queues/{queue_id}": _get("One queue, with the runs that wait, oldest first", QueuePage, of_queue=True),
        "/api/messages": _get("What is not delivered yet, and the last messages", Messages),
        "/api/people": _get("Every reviewer, as `people` shows them", list[PersonRow]),
    }
    types = (Front, list[QueueRow], QueuePage, Messages, list[PersonRow], ApiError)
    _, components = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "review-notifier",
            "version": release(),
            "description": "What waits for review, as the page shows it. Read only.",
        },
        "security": [{}, {"token": []}],
        "paths": {path: {"get": operation} for path, operation in paths.items()},
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_TEMPLATE = "#/components/schemas/{name}"


def _get(summary: str, answer: Any, *, of_queue: bool = False) -> dict[str, Any]:  # noqa: ANN401 - any type
    known = _answer("As it is now, or was a moment ago", answer)
    refused = {
        "401": "The token is missing or wrong",
        "403": "The page is closed, or another site asks",
        "503": "The database does not answer, or too many ask at once",
    } | ({"404": "No such queue is polled"} if of_queue else {})
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": known} | {code: _answer(text, ApiError) for code, text in sorted(refused.items())},
    }
    if of_queue:
        operation["parameters"] = [
            {"name": "queue_id", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "offset", "in": "query", "description": "How many runs to pass over", "schema": _NUMBER},
        ]
    return operation


def _answer(text: str, of: Any) -> dict[str, Any]:  # noqa: ANN401 - any type
    (schema,), _ = msgspec.json.schema_components((of,), ref_template=_TEMPLATE)
    return {"description": text, "content": {"application/json": {"schema": schema}}}
