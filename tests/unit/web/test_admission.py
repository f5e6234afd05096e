"""Who may read the page: by the token, by the cookie that stands for it, and from which site."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.builders import NOON
from worker.web.admission import COOKIE, SIGNED_IN_FOR, Admission, is_secure, signed_out
from worker.web.exchange import PageRequest

TOKEN = "0123456789abcdef0123456789abcdef"
GUARDED = Admission(TOKEN, hosts=("notifier.example.com", "*.corp.example"))


def asking(**headers: str) -> PageRequest:
    return PageRequest("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


def cookie_of(admission: Admission) -> str:
    return admission.cookie(NOON, is_secure=False).partition(";")[0].partition("=")[2]


@pytest.mark.parametrize(
    ("admission", "is_closed"),
    [
        (Admission(is_local=True), False),
        (Admission(is_local=False), True),
        (Admission(is_local=False, is_open=True), False),
        (Admission(TOKEN, is_local=False), False),
    ],
    ids=["loopback", "for others, unguarded", "for others, open by word", "for others, with a token"],
)
def test_only_a_page_that_is_meant_to_be_read_is_read(admission: Admission, *, is_closed: bool) -> None:
    assert admission.is_closed is is_closed
    assert admission.has_shown(asking(), NOON) is not (is_closed or bool(admission.token))


@pytest.mark.parametrize(
    ("authorization", "is_good"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (TOKEN, False),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Bearer {TOKEN.upper()}", False),
        ("Bearer ", False),
        ("Bearer ü\ud800", False),
        ("", False),
    ],
)
def test_a_bearer_has_the_token_itself(authorization: str, *, is_good: bool) -> None:
    assert GUARDED.has_shown(asking(authorization=authorization), NOON) is is_good


def test_a_wrong_bearer_is_not_made_good_by_a_cookie() -> None:
    given = asking(authorization="Bearer wrong", cookie=f"{COOKIE}={cookie_of(GUARDED)}")
    assert not GUARDED.has_shown(given, NOON)


def test_the_cookie_lets_in_until_it_expires_and_holds_no_token() -> None:
    header = GUARDED.cookie(NOON, is_secure=False)
    given = asking(cookie=f"other=1; {COOKIE}=stale.1; {COOKIE}={cookie_of(GUARDED)}")
    assert GUARDED.has_shown(given, NOON + SIGNED_IN_FOR - timedelta(seconds=1))
    assert not GUARDED.has_shown(given, NOON + SIGNED_IN_FOR)
    assert TOKEN not in header
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"} < set(header.split("; "))
    assert not header.endswith("Secure")


def test_another_token_ends_every_session() -> None:
    given = asking(cookie=f"{COOKIE}={cookie_of(GUARDED)}")
    assert not Admission(TOKEN[::-1]).has_shown(given, NOON)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ".",
        "9999999999.",
        "9999999999.00",
        "99999999999999999999.00",
        "-1.00",
        "¹.00",
        f"9999999999.{cookie_of(GUARDED).partition('.')[2]}",
        f"{cookie_of(GUARDED)}0",
        f"{cookie_of(GUARDED)[:-1]}ü",
    ],
)
def test_a_forged_cookie_lets_nobody_in(forged: str) -> None:
    assert not GUARDED.has_shown(asking(cookie=f"{COOKIE}={forged}"), NOON)


def test_a_cookie_is_secure_where_a_proxy_speaks_tls() -> None:
    assert GUARDED.cookie(NOON, is_secure=is_secure(asking(x_forwarded_proto="HTTPS"))).endswith("; Secure")
    assert not is_secure(asking())
    assert "Max-Age=0" in signed_out(is_secure=False)


@pytest.mark.parametrize(
    ("origin", "host", "is_foreign"),
    [
        ("", "localhost:8080", False),
        ("http://localhost:8080", "localhost:8080", False),
        ("http://LOCALHOST:8080", "localhost:8080", False),
        ("http://[::1]:8080", "[::1]:8080", False),
        ("http://notifier", "notifier", False),
        ("https://notifier", "notifier:443", False),
        ("https://notifier.example.com", "127.0.0.1:8080", False),
        ("https://a.corp.example", "127.0.0.1:8080", False),
        ("http://localhost:3000", "localhost:8080", True),
        ("http://localhost:3000", "localhost", True),
        ("http://127.0.0.1:8080", "localhost:8080", True),
        ("https://evil.example", "localhost:8080", True),
        ("https://notifier.example.com.evil.example", "127.0.0.1:8080", True),
        ("https://evilcorp.example", "127.0.0.1:8080", True),
        ("null", "localhost:8080", True),
        ("http://[", "localhost:8080", True),
        ("http://localhost:99999", "localhost:8080", True),
        ("http://localhost:8080", "localhost:abc", True),
    ],
)
def test_a_request_of_another_site_is_known_by_its_origin(origin: str, host: str, *, is_foreign: bool) -> None:
    assert GUARDED.is_foreign(asking(origin=origin, host=host)) is is_foreign
