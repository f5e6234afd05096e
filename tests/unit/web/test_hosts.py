"""By which names a request may ask: a name that anybody can register is not one of them."""

from __future__ import annotations

import pytest

from worker.web.sockets import is_expected

NAMES = ("notifier.example.com", "*.corp.example.com")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "10.42.0.17:8814",
        "[::1]:8814",
        "[fd00::17]",
        "localhost",
        "LOCALHOST:8814",
        "localhost.",
        "notifier.localhost:8814",
        "notifier:8814",
        "review_notifier:8814",
        "review-notifier.default.svc",
        "review-notifier.default.svc.cluster.local:8814",
        "machine.local",
        "host.docker.internal:8814",
        "notifier.example.com:8814",
        "Notifier.Example.com.",
        "a.corp.example.com",
    ],
)
def test_addresses_private_names_and_those_of_the_settings_are_expected(host: str) -> None:
    assert is_expected(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example.net",
        "rebound.example.net:8814",
        "127.0.0.1.nip.io",
        "localhost.example.net",
        "notifier.default.svc.example.net",
        "xnotifier.example.com",
        "corp.example.com.example.net",
        "[::1].example.net",
        "[rebound.example.net]",
        "[",
        "a b",
        "user@127.0.0.1",
        "localhost:80:80",
        "\u0661.\u0661.\u0661.\u0661",
    ],
)
def test_public_and_odd_names_are_not(host: str) -> None:
    assert not is_expected(host, NAMES)
