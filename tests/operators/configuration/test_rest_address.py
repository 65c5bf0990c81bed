from pathlib import Path

import pytest

from operators.configuration.rest_address import RestAddress
from operators.errors import SettingsError
from operators.flink_io.rest_client import rest_client
from operators.settings import JobSettings, load_settings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://flink.example.com", "http://flink.example.com:80"),
        ("https://flink.example.com/", "https://flink.example.com:443"),
        ("https://flink.example.com/team/a/", "https://flink.example.com:443/team/a"),
        ("http://[::1]:8081", "http://[::1]:8081"),
    ],
)
def test_a_port_is_that_of_the_scheme_where_none_is_named(url: str, shown: str) -> None:
    assert RestAddress.parse(url).url == shown


def test_user_and_password_are_kept_apart_and_never_shown() -> None:
    address = RestAddress.parse("https://shop:p%40ss@flink.example.com/x")
    assert (address.user, address.password) == ("shop", "p@ss")
    assert "shop" not in address.url and "p%40ss" not in address.url


@pytest.mark.parametrize(
    "url", ["flink.example.com:8081", "ftp://x", "http://", "http://x:99999", "http://x:port", "http://x?a=b", ""]
)
def test_what_is_no_address_is_refused_with_the_settings_name(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_JOB__REST_URL", url)
    with pytest.raises(SettingsError, match=r"job\.rest_url"):
        load_settings()


def test_a_refused_address_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_JOB__REST_URL", "https://shop:secret@flink.example.com:port")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "secret" not in str(refused.value)


def test_the_flag_is_checked_as_the_setting_is() -> None:
    with pytest.raises(SettingsError, match="neither with http"):
        load_settings(job={"rest_url": "flink:8081"})
    assert load_settings(job={"rest_url": "http://flink"}).job.name == "liveshelf", "the rest stays"


def test_the_client_has_the_user_and_the_path() -> None:
    with rest_client(JobSettings(rest_url="http://shop:secret@127.0.0.1:1/team")) as client:
        request = client.build_request("GET", "/overview")
        assert str(request.url) == "http://127.0.0.1:1/team/overview"
        assert client.auth is not None


def test_a_certificate_that_cannot_be_read_names_its_setting(tmp_path: Path) -> None:
    missing = JobSettings(rest_url="https://127.0.0.1", rest_ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match=r"job\.rest_ca_file"):
        rest_client(missing)
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="PEM"):
        rest_client(JobSettings(rest_url="https://127.0.0.1", rest_cert_file=str(tmp_path / "text.pem")))
