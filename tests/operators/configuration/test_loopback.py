import httpx
import pytest

from operators.configuration.loopback import is_loopback, keep_loopback_direct, uses_environment_proxies
from operators.errors import SettingsError
from operators.flink_io.rest_client import rest_client
from operators.settings import JobSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST.", "a.localhost", "::1", "[::1]"])
def test_this_machines_own_addresses(host: str) -> None:
    assert is_loopback(host)


def test_what_java_shows_for_127_0_0_1_is_loopback_and_the_wildcards_are_not() -> None:
    assert is_loopback("::ffff:127.0.0.1")
    for host in ("0.0.0.0", "::", "", "10.0.0.1", "::ffff:10.0.0.1", "flink.example.com", "localhost.example.com"):
        assert not is_loopback(host)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead HTTP proxy, and a socks proxy that httpx cannot speak to without another package."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")


@pytest.mark.usefixtures("proxies")
def test_no_proxy_of_the_environment_stands_before_this_machine() -> None:
    with pytest.raises(ImportError, match="socks"):
        httpx.Client()  # what a plain client does here
    for url in ("http://127.0.0.1:8081", "http://[::1]:1/x", "http://localhost", "http://0.0.0.0:8000"):
        assert not uses_environment_proxies(url)
        httpx.Client(base_url=url, trust_env=uses_environment_proxies(url)).close()
    assert uses_environment_proxies("http://flink.example.com")


@pytest.mark.usefixtures("proxies")
def test_the_rest_client_asks_this_machine_directly_and_names_a_proxy_that_it_cannot_use() -> None:
    rest_client(JobSettings()).close()
    with pytest.raises(SettingsError, match="ALL_PROXY"):
        rest_client(JobSettings(rest_url="https://flink.example.com"))


def test_other_libraries_are_told_by_no_proxy() -> None:
    environment = {"NO_PROXY": "shop.example.com, 127.0.0.1"}
    keep_loopback_direct(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"] == "shop.example.com,127.0.0.1,localhost,::1"
    everything = {"no_proxy": "*"}
    keep_loopback_direct(everything)
    assert everything == {"no_proxy": "*"}
