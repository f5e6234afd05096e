"""The frame of every page, the form that asks for the token, and the pages that refuse. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from worker.core.text import age, day_time_in, time_ago
from worker.web.html import Html, element

if TYPE_CHECKING:
    from datetime import datetime

    from worker.web.html import Content

_TITLE = "Review notifier"


def whole_page(title: str, *content: Content, can_sign_out: bool = False, is_live: bool = True) -> bytes:
    """A whole page; a live one is read again by itself."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · {_TITLE}" if title else _TITLE),
        element("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/page.css"),
        element("script", src="/page.js", defer=True) if is_live else None,
    )
    sign_out = element("form", element("button", "Sign out"), method="post", action="/logout") if can_sign_out else None
    header = element("header", element("a", _TITLE, href="/", class_="home"), sign_out)
    body = element("body", header, element("main", *content, id="main"), _footer(is_live=is_live))
    return f"<!doctype html>\n{element('html', head, body, lang='en').text}\n".encode()


def _footer(*, is_live: bool) -> Html:
    live = element("p", id="live", role="status") if is_live else None
    api = element("p", "The same as JSON: ", element("a", "/api/openapi.json", href="/api/openapi.json"))
    return element("footer", live, api)


def form(action_of: str, problem: str = "") -> bytes:
    """The page that asks for the token; `action_of` is the path of the page that was asked for."""
    wrong = element("p", problem, class_="wrong", id="wrong", role="alert") if problem else None
    field = element(
        "input",
        type="password",
        name="token",
        id="token",
        required=True,
        autocomplete="current-password",
        aria_describedby="wrong" if problem else None,
    )
    return whole_page(
        "Sign in",
        element("h1", "Sign in"),
        element("p", "This page asks for the token that WORKER_HTTP_TOKEN holds."),
        wrong,
        element(
            "form",
            element("label", "Token", for_="token"),
            field,
            element("input", type="hidden", name="to", value=action_of),
            element("button", "Sign in"),
            method="post",
            action="/login",
            class_="sign-in",
        ),
        is_live=False,
    )


def refusal(title: str, text: str) -> bytes:
    """A page that only says why there is no other."""
    return whole_page(title, element("h1", title), element("p", text), is_live=False)


def part(title: str, *content: Content, class_: str = "") -> Html:
    """A part of a page under its own heading."""
    name = title.lower().replace(" ", "-")
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name, class_=class_ or None)


def with_code(text: str) -> Content:
    """A sentence of ours, in which commands stand between backticks."""
    return [element("code", part) if number % 2 else part for number, part in enumerate(text.split("`"))]


def from_now(at: datetime, now: datetime) -> Html:
    """An instant as a time from now, with the instant itself for who points at it."""
    words = f"in {age(at - now)}" if at > now else time_ago(at, now)
    return element("time", words, datetime=at.isoformat(), title=day_time_in(at, UTC))


def waited(since: datetime, now: datetime) -> Html:
    """How long something has waited."""
    return element("time", age(now - since), datetime=since.isoformat(), title=f"since {day_time_in(since, UTC)}")


def figure(number: Content, word: str, *, class_: str = "") -> Html:
    """One large number and what it counts."""
    return element("div", element("dt", word), element("dd", number), class_=f"figure {class_}".strip())
