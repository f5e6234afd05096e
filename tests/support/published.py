"""LangSmith's published specification, and answers held to it."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import httpx
    from openapi_core import OpenAPI

HERE = Path(__file__).parent.parent / "data" / "openapi"
NAMED = {
    "AnnotationQueueItem": ["annotationqueues.AnnotationQueueListItem"],
    # The specification has these fields of a queue already, and says more: a reviewer may have no address.
    "AnnotationQueue": [],
}
"""What the schemas of the overlay are called in the specification."""


def _loaded(name: str) -> Any:
    # Every process that collects tests reads them, and Python's own reader takes ten times as long as that in C.
    return yaml.load((HERE / name).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is safe


@functools.cache
def document() -> dict[str, Any]:
    """The endpoints of the public specification."""
    found: dict[str, Any] = json.loads((HERE / "langsmith-2026-08-22.json").read_text())
    return found


@functools.cache
def november() -> dict[str, Any]:
    """The same with what the SDK packages of November 2026 know beyond it."""
    found, overlay = copy.deepcopy(document()), _loaded("items-2026-11.yaml")
    for path, methods in overlay["paths"].items():
        there, more = found["paths"][path]["get"], methods["get"]
        named = {each["name"] for each in more["parameters"]}
        there["parameters"] = [each for each in there["parameters"] if each["name"] not in named] + more["parameters"]
        there["responses"] |= more.get("responses", {})
    schemas = found["components"]["schemas"]
    for name, schema in overlay["components"]["schemas"].items():
        for here in NAMED[name]:
            schemas[here]["properties"] |= schema["properties"]
    return found


@functools.cache
def seed() -> dict[str, Any]:
    """The listing that the product is specified against."""
    found: dict[str, Any] = _loaded("seed.yaml")
    return found


@functools.cache
def _specification(name: str) -> OpenAPI:
    # Imported where it is used: it costs more than all else that a process imports to collect the tests.
    from openapi_core import Config, OpenAPI  # noqa: PLC0415

    # Both documents name a security scheme with a blank in it, which OpenAPI itself does not allow.
    return OpenAPI.from_dict(
        {"seed": seed, "document": document, "november": november}[name](), config=Config(spec_validator_cls=None)
    )


def hold_to_the_specification(answer: httpx.Response, *, by: str = "document") -> Any:
    """The JSON of an answer, once the published specification allows it. Raises OpenAPIError where it does not."""
    from openapi_core.testing import MockRequest, MockResponse  # noqa: PLC0415 - as above

    url = answer.request.url
    asked = MockRequest(
        f"{url.scheme}://{url.host}:{url.port}",
        answer.request.method.lower(),
        url.path,
        args=dict(url.params),
        headers=dict(answer.request.headers),
        data=answer.request.content or None,
        content_type="application/json",
    )
    given = MockResponse(answer.content, answer.status_code, dict(answer.headers), answer.headers["content-type"])
    _specification(by).validate_response(asked, given)
    return answer.json()
