from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import make_url

from worker.settings import addresses

HERE = Path("/srv/worker")
PASSWORD = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=20)


@pytest.mark.parametrize("end", ["", "/", "//", "/api", "/api/", "//api", "/api/v1", "/api/v1/"])
@pytest.mark.parametrize(
    "root",
    [
        "https://api.smith.langchain.com",
        "https://eu.api.smith.langchain.com",
        "https://langsmith.example.com",
        "https://example.com/langsmith",
        "https://example.com:8443/a/b",
        "http://127.0.0.1:1984",
        "http://localhost:1984",
        "http://[::1]:1984",
    ],
)
def test_an_endpoint_is_its_root(root: str, end: str) -> None:
    assert addresses.endpoint(root + end, allow_http=False) == root


def test_scheme_and_host_are_lower_case() -> None:
    assert addresses.endpoint(" HTTPS://LangSmith.Example.com/Path ", allow_http=False) == (
        "https://langsmith.example.com/Path"
    )


@pytest.mark.parametrize(
    ("web", "api"),
    [
        ("https://smith.langchain.com", "https://api.smith.langchain.com"),
        ("https://eu.smith.langchain.com/o/1", "https://eu.api.smith.langchain.com"),
    ],
)
def test_the_pages_are_not_the_api(web: str, api: str) -> None:
    with pytest.raises(ValueError, match=f"is where LangSmith's pages are, not its API; write {api}"):
        addresses.endpoint(web, allow_http=False)


@pytest.mark.parametrize(
    ("endpoint", "web"),
    [
        ("https://api.smith.langchain.com", "https://smith.langchain.com"),
        ("https://eu.api.smith.langchain.com", "https://eu.smith.langchain.com"),
        ("https://apac.api.smith.langchain.com", "https://apac.smith.langchain.com"),
        ("https://aws.api.smith.langchain.com", "https://aws.smith.langchain.com"),
        ("https://langsmith.example.com", "https://langsmith.example.com"),
        ("https://example.com/langsmith", "https://example.com/langsmith"),
        ("http://127.0.0.1:1984", "http://127.0.0.1:1984"),
        ("https://api.example.com", None),
        ("https://langsmith.api.example.com", None),
        ("https://gateway.langchain.com", None),
    ],
)
def test_the_root_of_the_links_is_derived_where_it_can_be(endpoint: str, web: str | None) -> None:
    assert addresses.web_root(endpoint) == web


BAD_ADDRESSES = [
    pytest.param("api.smith.langchain.com", "is not a whole address", id="no scheme"),
    pytest.param("ftp://example.com", "is not a whole address", id="another scheme"),
    pytest.param("https://", "is not a whole address", id="no host"),
    pytest.param("https:example.com", "is not a whole address", id="no slashes"),
    pytest.param("https://user:MARKED@example.com", "contains a user or a password", id="a password"),
    pytest.param("https://MARKED@example.com", "contains a user or a password", id="a user"),
    pytest.param("https://example.com:99999", "has a host or port that is not possible", id="a port beyond the last"),
    pytest.param("https://example.com:https", "has a host or port that is not possible", id="a port by name"),
    pytest.param("https://1.2.3.400", "has a host or port that is not possible", id="no IPv4 address"),
    pytest.param("https://1.02.3.4:8443", "has a host or port that is not possible", id="an IPv4 address with a zero"),
    pytest.param("https://[v1.x]", "has a host or port that is not possible", id="an address of the future"),
    pytest.param("https://[::1", "has a host or port that is not possible", id="half an IPv6 address"),
    pytest.param("https://exa mple.com", "contains a space", id="a space"),
    pytest.param("https://exämple.com", "outside ASCII", id="not ASCII"),
    pytest.param("https://exam\nple.com", "line break", id="a line break"),
    pytest.param(
        "http://example.com", "would send secrets unencrypted; write https://, or set WORKER_ALLOW_HTTP", id="http"
    ),
    pytest.param(
        "http://127.0.0.1.example.com", "would send secrets unencrypted", id="a host that looks like loopback"
    ),
    pytest.param("http://10.0.0.1", "would send secrets unencrypted", id="a private address"),
    pytest.param("", "is empty", id="empty"),
    pytest.param(5, "is not text", id="a number"),
]


@pytest.mark.parametrize(("value", "reason"), BAD_ADDRESSES)
@pytest.mark.parametrize(
    "parse",
    [addresses.endpoint, addresses.web_url, addresses.slack_root, addresses.heartbeat],
    ids=lambda p: p.__name__,
)
def test_a_bad_address_is_refused(parse: object, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse(value, allow_http=False)  # type: ignore[operator]
    assert "MARKED" not in str(caught.value)


@pytest.mark.parametrize("end", ["?a=b", "#top"])
def test_a_root_is_nothing_but_a_root(end: str) -> None:
    for parse in (addresses.endpoint, addresses.slack_root):
        with pytest.raises(ValueError, match="has more than a root"):
            parse("https://example.com" + end, allow_http=False)


@pytest.mark.parametrize(
    ("given_", "root"),
    [
        ("https://smith.langchain.com/o/0b1c/annotation-queues/2d3e?x=1#top", "https://smith.langchain.com"),
        ("https://smith.langchain.com/o", "https://smith.langchain.com"),
        ("https://smith.langchain.com/o/", "https://smith.langchain.com"),
        ("https://smith.langchain.com/?a=b", "https://smith.langchain.com"),
        ("https://smith.langchain.com#top", "https://smith.langchain.com"),
        ("https://example.com/langsmith/o/0b1c/projects", "https://example.com/langsmith"),
        ("https://example.com/o/0b1c/o/2d3e", "https://example.com"),
        ("https://example.com/office/", "https://example.com/office"),
    ],
)
def test_of_a_pages_address_the_root_is_taken(given_: str, root: str) -> None:
    assert addresses.web_url(given_, allow_http=False) == root


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "slack.localhost", "LOCALHOST"])
def test_http_is_fine_on_loopback(host: str) -> None:
    assert addresses.slack_root(f"http://{host}:8080/api", allow_http=False) == f"http://{host.lower()}:8080/api/"


def test_http_is_fine_where_it_is_allowed() -> None:
    assert addresses.endpoint("http://langsmith.internal/api/v1", allow_http=True) == "http://langsmith.internal"


def test_the_root_of_slack_ends_in_a_slash() -> None:
    for given_ in ("https://slack-gov.com/api", "https://slack-gov.com/api/", "https://slack-gov.com/api//"):
        assert addresses.slack_root(given_, allow_http=False) == "https://slack-gov.com/api/"


def test_a_heartbeat_keeps_its_path_and_query() -> None:
    url = "https://hc.example.com/ping/MARKED?rid=1"
    kept = addresses.heartbeat(url, allow_http=False)
    assert kept.get_secret_value() == url
    assert "MARKED" not in repr(kept)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8814", ("127.0.0.1", 8814)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:8814", ("::1", 8814)),
        ("[::]:8814", ("::", 8814)),
        (":8814", ("*", 8814)),
        ("*:8814", ("*", 8814)),
    ],
)
def test_an_address_to_listen_on(text: str, address: tuple[str, int]) -> None:
    assert addresses.host_and_port(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "8814",
        "**:8814",
        "*.a:80",
        "a..b:80",
        ".:80",
        "x" * 64 + ":80",
        "localhost",
        "localhost:",
        "::1:8814",
        "a:0",
        "a:65536",
        "a:99999",
        "http://a:80",
        "a b:80",
    ],
)
def test_a_bad_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not host:port with a port from 1 to 65535; write 127\.0\.0\.1:8814"):
        addresses.host_and_port(text)


def test_names_of_hosts_are_listed() -> None:
    given = "notifier.example.com, *.Corp.example.com.,localhost"
    assert addresses.host_names(given) == ("notifier.example.com", "*.corp.example.com", "localhost")


@pytest.mark.parametrize(
    "text", ["*", "a.*", "http://a.example.com", "a.example.com:80", "a b", "a..b", "ä.example.com"]
)
def test_what_is_no_name_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a host; write names alone"):
        addresses.host_names(text)


def test_brackets_hold_an_ipv6_address() -> None:
    for text in ("[localhost]:80", "[:::]:80", "[127.0.0.1]:80"):
        with pytest.raises(ValueError, match="is not an IPv6 address in its brackets"):
            addresses.host_and_port(text)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///worker.db", "/srv/worker/worker.db"),
        ("sqlite:///state/worker.db", "/srv/worker/state/worker.db"),
        ("sqlite:///./worker.db", "/srv/worker/worker.db"),
        ("sqlite:////var/lib/worker.db", "/var/lib/worker.db"),
        ("sqlite+pysqlite:////var/lib/worker.db", "/var/lib/worker.db"),
        ("SQLite:///worker.db", "/srv/worker/worker.db"),
        ("sqlite:///with space.db", "/srv/worker/with space.db"),
        ("sqlite:////50%25/worker.db", "/50%/worker.db"),
        ("sqlite:////a%3Fb/worker.db", "/a?b/worker.db"),
    ],
)
def test_an_sqlite_url_names_its_file_absolutely(url: str, file: str) -> None:
    resolved = addresses.database_url(url, directory=HERE)
    assert resolved.startswith("sqlite:////")
    assert make_url(resolved).database == file
    assert addresses.passwords(resolved) == ()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_file_survives_its_url(name: str) -> None:
    file = Path("/") / name.replace("/", "-") / "worker.db"
    assert make_url(addresses.sqlite_url(file)).database == str(file)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "keeps the database in memory, where every restart would forget it"),
        ("sqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file::memory:?uri=true", "in memory"),
        ("sqlite:///x.db?mode=memory&uri=true", "in memory"),
        ("sqlite://worker.db", "write three: sqlite:///worker.db"),
        ("sqlite://host/worker.db", "write three"),
        ("sqlite:///worker.db?timeout=5", "does not name a file alone"),
        ("sqlite:////var/lib/", "does not name a file alone"),
        ("worker.db", "is neither SQLite nor PostgreSQL"),
        ("sqlite", "is neither SQLite nor PostgreSQL"),
        ("mysql://u:MARKED@host/db", "is neither SQLite nor PostgreSQL"),
        ("postgresql+asyncpg://u:MARKED@host/db", r"PostgreSQL by psycopg; write .*postgresql\+psycopg://"),
        ("postgresql://u:MARK@ED@host/db", "cannot be parsed"),
        ("postgresql://u:MARKED@host:port/db", "cannot be parsed"),
        ("postgresql://u:MAR KED@host/db", "cannot be parsed"),
        ("postgresql://u:0?MARKED@@host/db", "cannot be parsed"),
        ("", "is empty"),
        (5, "is not text"),
    ],
)
def test_a_bad_database_url_is_refused(url: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        addresses.database_url(url, directory=HERE)
    assert "MARK" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
@pytest.mark.parametrize("rest", ["u:p@host:5432/db", "host/db", "u@/db?host=/run/pg", "u:@[::1]:5432/db", "/db", "h"])
def test_postgresql_goes_by_psycopg(scheme: str, rest: str) -> None:
    url = addresses.database_url(f"{scheme}://{rest}", directory=HERE)
    assert url == f"postgresql+psycopg://{rest}"
    assert make_url(url).get_driver_name() == "psycopg"


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("postgresql://u:pass%40word@host/db", {"pass%40word", "pass@word"}),
        ("postgresql://u:pa/ss?w@host/db", {"pa/ss?w"}),
        ("postgresql://u@host/db?password=p%20w&sslmode=require", {"p%20w", "p w"}),
        ("postgresql://u@host/db?password=a+b%2Bc", {"a+b%2Bc", "a b+c"}),
        ("postgresql://host/db?sslpassword=key", {"key"}),
        ("postgresql://u:@host/db", set()),
        ("postgresql://host/db", set()),
    ],
)
def test_the_passwords_in_a_url_are_known(url: str, passwords: set[str]) -> None:
    assert set(addresses.passwords(addresses.database_url(url, directory=HERE))) == passwords


def test_a_plus_behind_the_question_mark_is_a_space_unless_it_is_encoded() -> None:
    """As the reference says; libpq would keep both: see findings/sqlalchemy-reads-plus-as-a-space.sh."""
    url = make_url(addresses.database_url("postgresql://u@host/db?password=a+b%2Bc", directory=HERE))
    assert url.query == {"password": "a b+c"}


@given(PASSWORD)
@example("0?@")
def test_what_sqlalchemy_reads_as_the_password_is_known(password: str) -> None:
    try:
        url = addresses.database_url(f"postgresql://u:{password}@host/db", directory=HERE)
    except ValueError:
        return
    meant = make_url(url).password
    assert not meant or str(meant) in addresses.passwords(url)
