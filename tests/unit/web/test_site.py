"""The page and its API, as a browser and a program ask for them."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from tests.support.builders import DAY, NOON
from tests.support.clock import FakeClock
from tests.support.shown import HOSTILE, FakeReading, front, queue_page_of, queue_row, run_row
from worker.core.ports import StoreError
from worker.web.admission import COOKIE, SIGNED_IN_FOR, Admission
from worker.web.cache import FRESH_SECONDS, STALE_SECONDS
from worker.web.exchange import PageRequest, Reply
from worker.web.site import Site

TOKEN = "0123456789abcdef0123456789abcdef"


class Browser:
    """Asks a site, and keeps its cookie."""

    def __init__(self, **admission: Any) -> None:
        self.clock = FakeClock()
        self.reading = FakeReading()
        self.made = 0
        self.site = Site(Admission(**admission), self._reading, self.clock)
        self.cookie = ""

    def _reading(self) -> FakeReading:
        self.made += 1
        return self.reading

    def get(self, path: str, **headers: str) -> Reply:
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, *, headers: dict[str, str] | None = None, **form: str) -> Reply:
        return self._ask("POST", path, urlencode(form).encode(), headers or {})

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        path, _, query = path.partition("?")
        sent = {"host": "localhost:8080", "cookie": self.cookie, **headers}
        reply = self.site(PageRequest(method, path, query, sent, body))
        if "Set-Cookie" in dict(reply.headers):
            self.cookie = dict(reply.headers)["Set-Cookie"].partition(";")[0]
        return reply

    def at_once(self, path: str, method: str = "GET", **headers: str) -> Reply | None:
        path, _, query = path.partition("?")
        return self.site.at_once(PageRequest(method, path, query, {"host": "localhost:8080", **headers}))


def text(reply: Reply) -> str:
    return reply.body.decode()


def test_the_page_shows_what_waits_and_what_is_wrong() -> None:
    reply = Browser().get("/")
    assert reply.status == HTTPStatus.OK
    for part in ("12 runs wait for review in Support QA, 3 overdue", "1 delivery is held", "<code>check</code>", "Ada"):
        assert part in text(reply)


def test_a_queue_has_a_page_of_its_own_with_its_runs_and_its_past() -> None:
    shown = text(Browser().get("/queues/q1"))
    for part in (
        "Refund flow",
        "next notice <time",
        "6 came; 4 reviewed, 1 removed.",
        "25 % were overdue",
        "<svg",
        "<table>",
    ):
        assert part in shown


def test_every_reply_is_guarded_a_refusal_as_well() -> None:
    browser = Browser()
    for reply in (browser.get("/"), browser.get("/api/front"), browser.get("/nothing"), browser.get("/page.js")):
        headers = dict(reply.headers)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_a_closed_page_says_why_and_how_to_open_it() -> None:
    browser = Browser(is_local=False)
    for path in ("/", "/queues/q1", "/api/front", "/page.css", "/login"):
        reply = browser.get(path)
        assert reply.status == HTTPStatus.FORBIDDEN
        assert "WORKER_HTTP_TOKEN" in text(reply)
    assert browser.made == 0


def test_who_has_no_token_gets_the_form_and_a_program_the_reason() -> None:
    browser = Browser(token=TOKEN)
    page, answer = browser.get("/queues/q1"), browser.get("/api/front")
    assert (page.status, answer.status) == (HTTPStatus.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED)
    assert 'value="/queues/q1"' in text(page)
    assert "WORKER_HTTP_TOKEN" in json.loads(answer.body)["error"]
    assert dict(answer.headers)["WWW-Authenticate"] == "Bearer"
    assert browser.get("/page.css").status == HTTPStatus.OK
    assert browser.made == 0


def test_who_signs_in_goes_on_to_the_page_that_was_asked_for_until_the_session_ends() -> None:
    browser = Browser(token=TOKEN)
    reply = browser.post("/login", token=f" {TOKEN}\n", to="/queues/q1")
    assert (reply.status, dict(reply.headers)["Location"]) == (HTTPStatus.SEE_OTHER, "/queues/q1")
    assert browser.get("/queues/q1").status == HTTPStatus.OK
    browser.clock.advance(SIGNED_IN_FOR)
    assert browser.get("/").status == HTTPStatus.UNAUTHORIZED


def test_who_signs_out_has_to_show_the_token_again() -> None:
    browser = Browser(token=TOKEN)
    browser.post("/login", token=TOKEN)
    assert "Sign out" in text(browser.get("/"))
    browser.post("/logout")
    assert browser.cookie == f"{COOKIE}="
    assert browser.get("/").status == HTTPStatus.UNAUTHORIZED


def test_who_is_signed_in_needs_no_form() -> None:
    browser = Browser(token=TOKEN)
    browser.post("/login", token=TOKEN)
    assert dict(browser.get("/login").headers)["Location"] == "/"


def test_a_wrong_token_gives_no_cookie() -> None:
    browser = Browser(token=TOKEN)
    reply = browser.post("/login", token="wrong", to="/")
    assert (reply.status, browser.cookie) == (HTTPStatus.UNAUTHORIZED, "")
    assert "That is not the token" in text(reply)


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/\\evil.example", "/queues/\r\nX: 1", "", "/queues/ü"]
)
def test_signing_in_leads_nowhere_else(to: str) -> None:
    reply = Browser(token=TOKEN).post("/login", token=TOKEN, to=to)
    assert dict(reply.headers)["Location"] == "/"


def test_a_bearer_reads_the_api() -> None:
    browser = Browser(token=TOKEN)
    assert browser.get("/api/queues", authorization=f"Bearer {TOKEN}").status == HTTPStatus.OK


def test_a_page_of_another_site_reads_and_sends_nothing() -> None:
    browser = Browser(token=TOKEN)
    foreign = {"origin": "https://evil.example"}
    assert browser.get("/api/front", **foreign, authorization=f"Bearer {TOKEN}").status == HTTPStatus.FORBIDDEN
    assert browser.post("/login", headers=foreign, token=TOKEN).status == HTTPStatus.FORBIDDEN
    assert browser.cookie == ""
    assert (
        browser.post("/login", headers={"origin": "http://localhost:8080"}, token=TOKEN).status == HTTPStatus.SEE_OTHER
    )


def test_nothing_can_be_sent_but_the_token() -> None:
    assert Browser().post("/queues/q1").status == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    "queue_id",
    [HOSTILE, "../../etc/passwd", "q1/..", "%00", "q" * 10_000, "\ud800", "<b>", "q1?x=1"],
    ids=["hostile", "a path", "a step up", "nothing", "long", "half a pair", "an element", "a question"],
)
@pytest.mark.parametrize("path", ["/queues/", "/api/queues/"])
def test_a_queue_that_is_none_is_not_found_whatever_its_id(path: str, queue_id: str) -> None:
    reply = Browser().get(path + quote(queue_id, safe="", errors="replace"))
    assert reply.status == HTTPStatus.NOT_FOUND
    assert "<script>alert" not in text(reply)
    assert "<b>" not in text(reply)


@pytest.mark.parametrize("path", ["/queues/%ff%zz", "/api/queues/%ff", "/api/", "/api/nothing", "/queues/", "//", "/x"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert Browser().get(path).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("offset", ["-1", "x", "9" * 5000, "¹", ""])
def test_an_offset_that_is_none_is_the_beginning(offset: str) -> None:
    assert Browser().get(f"/queues/q1?offset={quote(offset)}&offset=3").status == HTTPStatus.OK


def test_outside_text_is_shown_and_never_obeyed() -> None:
    browser = Browser()
    evil = run_row(
        HOSTILE, url="javascript:alert(1)", tags=(HOSTILE,), error=HOSTILE, run_type=HOSTILE, claimed_by=HOSTILE
    )
    queue = queue_row("q1", name=HOSTILE, error=HOSTILE, late=True, url="https://x.example/<script>", hours=HOSTILE)
    browser.reading.pages = {"q1": queue_page_of(queue=queue, runs=[evil])}
    browser.reading.shown = front(queues=[queue])
    for path in ("/", "/queues/q1"):
        shown = text(browser.get(path))
        assert "<script>alert" not in shown
        assert "javascript:" not in shown
        assert "\u202e" not in shown
        assert "\x07" not in shown


def test_an_id_of_any_text_leads_back_to_its_page() -> None:
    browser = Browser()
    odd = "a/b ?#%ü"
    browser.reading.pages = {odd: queue_page_of(queue=queue_row(odd))}
    browser.reading.shown = front(queues=[queue_row(odd)])
    path = f"/queues/{quote(odd, safe='')}"
    assert f'href="{path}"' in text(browser.get("/"))
    assert browser.get(path).status == HTTPStatus.OK


def test_what_is_asked_for_often_is_read_once_a_second() -> None:
    browser = Browser()
    for _ in range(5):
        browser.get("/")
        browser.get("/api/front")
        browser.get("/api/people")
    assert browser.reading.read == 1
    browser.clock.advance(timedelta(seconds=1.1))
    browser.get("/")
    assert browser.reading.read == 2


def test_a_database_that_does_not_answer_is_no_failure_of_the_page() -> None:
    browser = Browser()
    browser.reading.error = StoreError("the database is locked")
    for path in ("/", "/api/front"):
        reply = browser.get(path)
        assert reply.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "the database is locked" in text(reply)
    browser.reading.error = None
    assert browser.get("/").status == HTTPStatus.OK


def test_many_runs_are_shown_a_hundred_at_a_time() -> None:
    browser = Browser()
    queue = queue_row(waiting=250)
    browser.reading.pages = {"q1": queue_page_of(queue=queue, offset=100)}
    shown = text(browser.get("/queues/q1?offset=100"))
    assert 'href="/queues/q1?offset=200"' in shown
    assert 'href="/queues/q1"' in shown


def test_what_expires_soon_or_is_left_out_is_said() -> None:
    browser = Browser()
    queue = queue_row(expiring=2, expires_at=NOON + DAY, left_out=7)
    expiries = {"soon": NOON + DAY, "late": NOON - DAY, "far": NOON + 90 * DAY}
    runs = [run_row(name, expires_at=at) for name, at in expiries.items()]
    browser.reading.shown = front(queues=[queue])
    browser.reading.pages = {"q1": queue_page_of(queue=queue, runs=runs)}
    first, page = text(browser.get("/")), text(browser.get("/queues/q1"))
    assert "2 traces expire, the first <time" in first
    assert "7 more left out by filters" in first
    assert page.count("its trace expires <time") == 1
    assert page.count("its trace has expired") == 1


def test_the_reader_is_closed_with_the_site() -> None:
    browser = Browser()
    browser.site.close()
    assert not browser.reading.is_closed
    browser.get("/")
    browser.site.close()
    assert browser.reading.is_closed


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/front", "/api/front"),
        ("/api/queues", "/api/queues"),
        ("/api/queues/q1", "/api/queues/{queue_id}"),
        ("/api/messages", "/api/messages"),
        ("/api/people", "/api/people"),
    ],
)
def test_the_api_answers_as_its_document_says(path: str, place: str) -> None:
    browser = Browser()
    document = json.loads(browser.get("/api/openapi.json").body)
    schema = document["paths"][place]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole).validate(json.loads(browser.get(path).body))


SHOWN = ("/", "/queues/q1", "/queues/q1?offset=100", "/api/front", "/api/queues", "/api/queues/q1")


@pytest.mark.parametrize("path", SHOWN)
def test_what_was_made_a_moment_ago_is_at_hand_and_made_again_behind_the_reply(path: str) -> None:
    browser = Browser()
    assert browser.at_once(path) is None
    made = browser.get(path)
    assert browser.at_once(path) == made
    browser.clock.advance(timedelta(seconds=FRESH_SECONDS))
    assert browser.at_once(path) == replace(made, is_stale=True)
    assert browser.at_once(path) == made
    browser.get(path)
    browser.clock.advance(timedelta(seconds=FRESH_SECONDS + STALE_SECONDS))
    assert browser.at_once(path) is None


def test_what_a_program_read_is_not_drawn_for_a_browser_at_once() -> None:
    browser = Browser()
    browser.get("/api/front")
    assert browser.at_once("/api/people") is not None
    assert browser.at_once("/") is None


def test_nobody_gets_at_once_what_they_would_not_get_else() -> None:
    browser = Browser(token=TOKEN)
    bearer = {"authorization": f"Bearer {TOKEN}"}
    for path in ("/", "/api/front"):
        assert browser.get(path, **bearer).status == HTTPStatus.OK
        assert browser.at_once(path, **bearer) == browser.get(path, **bearer)
        for refused in ({}, {"authorization": "Bearer wrong"}, {**bearer, "origin": "https://evil.example"}):
            assert browser.at_once(path, **refused) == browser.get(path, **refused)
            assert browser.get(path, **refused).status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    assert browser.at_once("/login", method="POST") is None
