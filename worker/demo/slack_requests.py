"""What callers ask of the simulated Slack, as it arrived."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call as it arrived. `outcome` is `ok`, Slack's error, or the fault that was played."""

    method: str
    channel: str
    arguments: dict[str, Any]
    outcome: str
    committed: bool


async def arguments_of(request: Request) -> dict[str, Any]:
    """What a call gives, from its query, form or JSON body; what cannot be read is left out."""
    body = await request.body()
    given: dict[str, Any] = dict(request.query_params)
    if "json" in request.headers.get("content-type", ""):
        value = _decoded(body.decode("utf-8", "replace"))
        return given | (value if isinstance(value, dict) else {})
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    nested = {name: _decoded(fields[name]) for name in ("blocks", "metadata", "attachments") if name in fields}
    return given | fields | nested


def _decoded(raw: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(raw)
    except ValueError:
        return raw
