"""What an environment says of proxies, exemptions and certificates: it works, or is one line with the variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import certifi
import pytest

from tests.support.settings_place import NOTHING, Place
from worker.core.ports import ConfigError
from worker.net.route import DIRECT, Proxy, Route
from worker.settings import secrets
from worker.settings.network import Network, network

if TYPE_CHECKING:
    from pathlib import Path

LANGSMITH = "https://api.smith.langchain.com"
WORD = "p4ss-w0rd-marked"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def proxy(value: str, name: str = "HTTPS_PROXY", root: str = LANGSMITH, **more: str) -> Proxy | None:
    return network({name: value, **more}).route(root).proxy


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("http://proxy:3128", Proxy("proxy", 3128), id="an address"),
        pytest.param("proxy:3128", Proxy("proxy", 3128), id="host and port"),
        pytest.param("proxy", Proxy("proxy", 80), id="a host alone"),
        pytest.param(" http://proxy:3128/ ", Proxy("proxy", 3128), id="blanks and a slash"),
        pytest.param("http://proxy:", Proxy("proxy", 80), id="an empty port"),
        pytest.param("HTTP://Proxy:3128", Proxy("proxy", 3128), id="upper case"),
        pytest.param("https://proxy", Proxy("proxy", 443, is_encrypted=True), id="by TLS"),
        pytest.param("http://10.0.0.1:3128", Proxy("10.0.0.1", 3128), id="IPv4"),
        pytest.param("http://[fd00::1]:3128", Proxy("fd00::1", 3128), id="IPv6"),
        pytest.param("[fd00::1]:3128", Proxy("fd00::1", 3128), id="IPv6 without a scheme"),
        pytest.param("http://me@proxy", Proxy("proxy", 80, auth=(b"me", b"")), id="a user"),
        pytest.param("http://:it@proxy", Proxy("proxy", 80, auth=(b"", b"it")), id="a password"),
        pytest.param("me:it@proxy:1", Proxy("proxy", 1, auth=(b"me", b"it")), id="both without a scheme"),
        pytest.param(
            "http://m%40e:%2F%C3%A9%25@proxy", Proxy("proxy", 80, auth=(b"m@e", "/é%".encode())), id="encoded"
        ),
        pytest.param("http://me:a@b@proxy", Proxy("proxy", 80, auth=(b"me", b"a@b")), id="an @ that is not encoded"),
        pytest.param("", None, id="nothing"),
        pytest.param("  ", None, id="blanks"),
    ],
)
def test_a_proxy_is_read(value: str, expected: Proxy | None) -> None:
    assert proxy(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        f"socks5://me:{WORD}@proxy:1080",
        "socks://proxy",
        "socks5h://proxy",
        "socks4://proxy",
        "ftp://proxy",
        "://proxy",
        f"http://me:{WORD}/x@proxy",
        f"http://me:{WORD}#x@proxy",
        f"http://me:{WORD}?x@proxy",
        f"http://me:12/{WORD}@proxy",
        f"http://me:12#{WORD}@proxy",
        f"http://me:12?{WORD}@proxy",
        f"me:12/{WORD}@proxy",
        f"http://me:{WORD}@",
        f"http://me:{WORD}@proxy:port",
        f"http://me:{WORD}@proxy:0",
        f"http://me:{WORD}@proxy:65536",
        f"http://me:{WORD}@[::1",
        f"http://me:{WORD}@::1:80",
        f"http://me:{WORD}@pro xy",
        f"http://me:{WORD}@pröxy",
        "http://",
        "http:///",
        "http://:3128",
        "http://[]:80",
        "http://proxy/path",
        "\x01",
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_what_is_no_proxy_is_named_without_its_value(place: Place, name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        place.load_all({name: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}: ")
    assert "http://" in line
    assert WORD not in line


def test_a_proxy_that_nothing_goes_through_is_not_looked_at(place: Place) -> None:
    socks = {"ALL_PROXY": "socks5://proxy:1080"}
    assert place.load_all(socks | {"HTTPS_PROXY": "http://proxy:3128"}).route(LANGSMITH).proxy == Proxy("proxy", 3128)
    assert place.load_all(socks | {"NO_PROXY": "*"}).route(LANGSMITH) == DIRECT
    assert place.load_all({"HTTP_PROXY": "socks5://proxy:1080"}).route(LANGSMITH) == DIRECT


def test_a_command_without_a_network_does_not_care(place: Place) -> None:
    place.load({"HTTPS_PROXY": "socks5://proxy", "SSL_CERT_FILE": "/nowhere"}, NOTHING)


def test_the_proxies_of_slack_and_of_the_heartbeat_are_looked_at_too(place: Place) -> None:
    more = {"NO_PROXY": "api.smith.langchain.com", "HTTPS_PROXY": "socks://x", "HTTP_PROXY": "socks4://x"}
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY: [^\n]*\nHTTP_PROXY: [^\n]*$"):
        place.load_all(more | {"WORKER_HEARTBEAT_URL": "http://switch.example/x", "WORKER_ALLOW_HTTP": "true"})


@pytest.mark.parametrize(
    ("texts", "host"),
    [
        pytest.param({"HTTPS_PROXY": "upper", "https_proxy": "lower"}, "lower", id="lower case wins"),
        pytest.param({"HTTPS_PROXY": "upper", "https_proxy": ""}, None, id="also where it is empty"),
        pytest.param({"HTTPS_PROXY": "own", "all_proxy": "any"}, "own", id="one of its own wins over one for all"),
        pytest.param({"ALL_PROXY": "any"}, "any", id="one for all"),
        pytest.param({"HTTP_PROXY": "other"}, None, id="of another scheme"),
    ],
)
def test_which_variable_counts(texts: dict[str, str], host: str | None) -> None:
    found = network(texts).route(LANGSMITH).proxy
    assert (found and found.host) == host


@pytest.mark.parametrize(
    ("exempt", "root", "direct"),
    [
        ("*", LANGSMITH, True),
        ("a, *", LANGSMITH, True),
        ("langchain.com", LANGSMITH, True),
        (".langchain.com", LANGSMITH, True),
        ("*.langchain.com", LANGSMITH, True),
        ("LangChain.com", LANGSMITH, True),
        ("api.smith.langchain.com", LANGSMITH, True),
        ("api.smith.langchain.com:443", LANGSMITH, True),
        ("api.smith.langchain.com:80", LANGSMITH, False),
        ("https://api.smith.langchain.com/", LANGSMITH, True),
        ("slack.com other", "https://slack.com/api/", True),
        ("chain.com", LANGSMITH, False),
        ("eu.api.smith.langchain.com", LANGSMITH, False),
        ("", LANGSMITH, False),
        (",,", LANGSMITH, False),
        (".", LANGSMITH, False),
        ("10.0.0.0/8", "https://10.1.2.3:8443", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:8443", "https://10.1.2.3:8443", True),
        ("10.1.2.3:8443", "https://10.1.2.3", False),
        ("10.0.0.0/99", "https://10.1.2.3", False),
        ("10.0.0.0/8", LANGSMITH, False),
        ("fd00::/8", "https://[fd00::1]", True),
        ("[fd00::]/8", "https://[fd00::1]", True),
        ("[fd00::1]:443", "https://[fd00::1]", True),
        ("[fd00::1]:80", "https://[fd00::1]", False),
        ("fd00::1", "https://[fd00::1]", True),
        ("*", "https://[fd00::1]", True),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_who_is_exempt(name: str, exempt: str, root: str, direct: bool) -> None:  # noqa: FBT001  a table's column
    assert (proxy("proxy:1", root=root, **{name: exempt}) is None) is direct


@pytest.mark.parametrize("root", ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]", "http://x.localhost."])
def test_this_machine_is_reached_past_every_proxy(root: str) -> None:
    assert proxy("socks5://nonsense", "ALL_PROXY", root=root) is None


def test_passwords_of_proxies_are_secrets(place: Place) -> None:
    settings = place.load_all({"HTTPS_PROXY": f"http://me:{WORD}%2F@proxy", "all_proxy": "http://you:other-w0rd@proxy"})
    assert {f"{WORD}%2F", f"{WORD}/", "other-w0rd"} <= set(secrets(settings))
    assert WORD not in repr(settings)
    assert WORD not in repr(settings.route(LANGSMITH))
    assert "other" not in repr(settings.network)


def test_env_files_may_name_proxies_too(place: Place) -> None:
    place.write(".env", "HTTPS_PROXY=http://proxy:3128\n")
    assert place.load_all().route(LANGSMITH).proxy == Proxy("proxy", 3128)


# Certificates


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_of_certificates_counts(place: Place, name: str) -> None:
    assert place.load_all({name: certifi.where()}).route(LANGSMITH) == Route(certificates=(certifi.where(),))


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nx\n", bytes(9)])
def test_a_file_without_certificates_is_named(place: Place, tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        place.load_all({name: str(file)})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}: the file {file} ")


@pytest.mark.parametrize("kind", ["missing", "empty", "not hashed", "a file"])
def test_a_folder_without_certificates_is_named(place: Place, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "authorities"
    if kind == "a file":
        folder.write_bytes(b"")
    elif kind != "missing":
        folder.mkdir()
    if kind == "not hashed":
        (folder / "authority.pem").write_text(certifi.contents())
        (folder / "notes.1").write_text("no hash")
    with pytest.raises(ConfigError, match=r"^SSL_CERT_DIR: .*openssl rehash"):
        place.load_all({"SSL_CERT_DIR": str(folder)})


def test_one_good_folder_of_several_is_enough(place: Place, tmp_path: Path) -> None:
    (tmp_path / "0a1b2c3d.0").write_text(certifi.contents())
    settings = place.load_all({"SSL_CERT_DIR": f"/nowhere:{tmp_path}:"})
    assert settings.route(LANGSMITH).certificates == (str(tmp_path),)


def test_without_encryption_nobody_looks_at_certificates(place: Place) -> None:
    roots = {"LANGSMITH_ENDPOINT": "http://127.0.0.1:1", "SLACK_BASE_URL": "http://127.0.0.1:2"}
    settings = place.load_all(roots | {"SSL_CERT_FILE": "/nowhere"})
    assert settings.route("http://127.0.0.1:1") == DIRECT


def test_nothing_said_is_nothing_special() -> None:
    assert network({"PATH": "/bin"}) == Network()
    assert Network().route(LANGSMITH) == DIRECT
