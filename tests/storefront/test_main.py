"""What the storefront opens, and that it says so."""

import logging
import resource
import socket
from pathlib import Path

import pytest

from operators.errors import SettingsError
from operators.settings import Settings, StackSettings, StorefrontSettings
from storefront import __main__ as main
from storefront.app import create_app
from storefront.watching.exposure import is_loopback, opened


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("shop.example", False)],
)  # fmt: skip
def test_a_host_that_opens_the_shop_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    assert ("only this machine" in opened(StorefrontSettings(host=host))) is loopback


def served_with(monkeypatch: pytest.MonkeyPatch, **options: object) -> None:
    """`python -m storefront` up to the moment at which it would listen."""
    settings = Settings(storefront=StorefrontSettings(**options))
    monkeypatch.setattr(main, "load_settings", lambda: settings)
    monkeypatch.setattr(main, "configure", lambda part: None)
    monkeypatch.setattr(main, "server", lambda _: type("Server", (), {"run": lambda self: None})())
    main.main()


def test_it_says_what_it_opens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        served_with(monkeypatch)
        assert caplog.text == ""
        served_with(monkeypatch, host="0.0.0.0", port=8123)
    assert "storefront.host = 0.0.0.0 opens the shop to other machines" in caplog.text
    assert "port 8123" in caplog.text and "any number of requests" in caplog.text
    assert "50 requests/s a client" in opened(StorefrontSettings(host="::", requests_per_s=50))
    shared = {"cors_origins": ["https://www.shop.example", "*"]}
    for host in ("127.0.0.1", "0.0.0.0"):
        assert "web pages of https://www.shop.example, * may ask it" in opened(StorefrontSettings(host=host, **shared))


def test_a_data_folder_that_is_a_file_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(stack=StackSettings(data_dir=str(tmp_path / "file")))
    with pytest.raises(SettingsError, match=r"a stack\.data_dir that can be written"):
        create_app(settings)


def test_open_files_are_allowed_for_the_connections(caplog: pytest.LogCaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        main.allow_files(700)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (700, before[1])
        main.allow_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 700, "never fewer than there were"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_by_default_only_this_machine_reaches_it(shop: object) -> None:
    port = shop.port  # type: ignore[attr-defined]
    with open("/proc/net/tcp") as sockets:
        listening = [line.split()[1] for line in sockets if line.split()[3] == "0A"]
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening
    assert socket.gethostbyname("localhost") == "127.0.0.1"
