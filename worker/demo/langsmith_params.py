"""Reads the parameters of a request as the published specification bounds them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from worker.demo import langsmith_answers as answers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.requests import Request


class RefusedError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, body: answers.Json, headers: Mapping[str, str] | None = None) -> None:
        """Keep what is answered."""
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def invalid(where: str, name: str, text: str) -> RefusedError:
    """A 422 about one parameter."""
    return RefusedError(422, answers.invalid((where, name, text)))


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


def choice(request: Request, name: str, choices: Collection[str]) -> str | None:
    """One of a few words in the query."""
    given = request.query_params.get(name)
    if given is not None and given not in choices:
        raise invalid("query", name, f"Input should be one of {', '.join(choices)}")
    return given
