"""A file of settings and an environment as people leave them: what is wrong is said with its place, what is not ours is left."""

import os
from pathlib import Path

import pytest

from operators.configuration.settings_file import read_settings_file
from operators.configuration.settings_variables import is_of_service
from operators.errors import SettingsError
from operators.settings import REPLACED, ScorerSettings, load_settings


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LIVESHELF_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of settings that counts."""
    monkeypatch.setenv("LIVESHELF_FILE", str(tmp_path / "liveshelf.toml"))
    return tmp_path / "liveshelf.toml"


def refused(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(file) in str(error.value)
    return str(error.value)


def test_a_syntax_error_is_said_with_line_column_and_the_line(file: Path) -> None:
    assert "line 2, column 8: Invalid value: size = ten" in refused(file, b"[lists]\nsize = ten\n")
    assert "its end, line 2" in refused(file, b'[lists]\nsize = """ten\n')
    assert "[lists" in refused(file, b"[lists\nsize = 1\n")


def test_a_line_about_a_secret_is_not_shown(file: Path) -> None:
    assert "hush" not in refused(file, b"[kafka.security]\npassword = hush\n")
    assert "hush" not in refused(file, b'[job]\nrest_url = "https://shop:hush@flink/\n')


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_byte_order_mark_is_skipped(file: Path, newline: bytes) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + newline.join((b"[lists]", b"size = 7", b"")))
    assert load_settings().lists.size == 7


def test_other_encodings_are_said(file: Path) -> None:
    assert "UTF-8" in refused(file, '[job]\nname = "Bücher"\n'.encode("latin-1"))
    assert "line 2" in refused(file, '[job]\nname = "Bücher"\n'.encode("latin-1"))
    assert "UTF-8" in refused(file, "[job]\n".encode("utf-16"))


@pytest.mark.parametrize(
    "content", [b"kafka = 3\n", b"[kafka]\nsecurity = 3\n", b"stack = 1\n", b"[kafka.security]\njob = []\n"]
)
def test_a_table_that_is_none_is_said(file: Path, content: bytes) -> None:
    assert "a valid value for" in refused(file, content)


def test_an_unknown_key_names_the_nearest(file: Path) -> None:
    assert "`kafka.bootstrp`" in refused(file, b'[kafka]\nbootstrp = "x:1"\n')
    assert "did you mean bootstrap?" in refused(file, b'[kafka]\nbootstrp = "x:1"\n')
    assert "did you mean lists?" in refused(file, b"[list]\nsize = 1\n")


def test_a_key_that_was_replaced_names_its_successor(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(file, b'[scorer]\nshared_dir = "/run/liveshelf"\n')
    assert "`scorer.shared_dir`" in said and "scorer.socket replaced it" in said
    file.unlink()
    monkeypatch.delenv("LIVESHELF_FILE")
    monkeypatch.setenv("LIVESHELF_SCORER__SHARED_DIR", "/run/liveshelf")
    with pytest.raises(SettingsError, match=r"scorer\.socket replaced it"):
        load_settings()
    assert all(key.rpartition(".")[2] not in ScorerSettings.model_fields for key in REPLACED)


@pytest.mark.parametrize("path", ["run/scorer.sock", "/" + "ä" * 60])
def test_a_socket_that_no_machine_can_make_is_refused(file: Path, path: str) -> None:
    assert "`scorer.socket`" in refused(file, f'[scorer]\nsocket = "{path}"\n'.encode())


def test_a_file_that_is_named_and_not_there_is_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match=f"no file {file}"):
        load_settings()


def test_a_folder_is_no_file_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Is a directory"):
        read_settings_file(tmp_path)


KUBERNETES = {  # of the Services liveshelf and liveshelf-storefront, as a pod of their namespace has them
    "LIVESHELF_SERVICE_HOST": "10.96.0.10",
    "LIVESHELF_SERVICE_PORT": "80",
    "LIVESHELF_SERVICE_PORT_HTTP": "80",
    "LIVESHELF_PORT": "tcp://10.96.0.10:80",
    "LIVESHELF_PORT_80_TCP": "tcp://10.96.0.10:80",
    "LIVESHELF_PORT_80_TCP_PROTO": "tcp",
    "LIVESHELF_PORT_80_TCP_PORT": "80",
    "LIVESHELF_PORT_80_TCP_ADDR": "10.96.0.10",
    "LIVESHELF_STOREFRONT_SERVICE_HOST": "10.96.0.11",
    "LIVESHELF_STOREFRONT_PORT": "tcp://10.96.0.11:8000",
    "LIVESHELF_STOREFRONT_PORT_8000_TCP_ADDR": "10.96.0.11",
    "LIVESHELF_MY_SHOP_PORT_53_UDP": "udp://10.96.0.12:53",
}


def test_what_kubernetes_puts_into_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    for name, value in KUBERNETES.items():
        assert is_of_service(name, value), name
        monkeypatch.setenv(name, value)
    assert load_settings() == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LIVESHELF_PORT", "8000", "LIVESHELF_PORT"),
        ("LIVESHELF_STOREFRONT_PORT", "8000", "did you mean LIVESHELF_STOREFRONT__PORT"),
        ("LIVESHELF_KAFKA_BOOTSTRAP", "x:1", "did you mean LIVESHELF_KAFKA__BOOTSTRAP"),
        ("LIVESHELF_FILES", "x", "did you mean LIVESHELF_FILE"),
    ],
)
def test_what_was_meant_for_us_is_not(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        load_settings()


@pytest.mark.parametrize(
    ("given", "brokers"),
    [
        ("broker1:9092", [("broker1", 9092)]),
        (" a:1 , b.example.com:2 ", [("a", 1), ("b.example.com", 2)]),
        ("[::1]:9092", [("::1", 9092)]),
        (["a:1", "b:2"], [("a", 1), ("b", 2)]),
    ],
)
def test_addresses_of_brokers(given: object, brokers: list[tuple[str, int]]) -> None:
    kafka = load_settings(kafka={"bootstrap": given}).kafka
    assert kafka.brokers == brokers
    assert len(kafka.client_options()["bootstrap_servers"]) == len(brokers)


@pytest.mark.parametrize(
    "given", ["broker1", "", "a:1,", "a:0", "a:99999", "http://a:1", "a:1;b:2", "::1", [], "a b:1"]
)
def test_what_is_no_address_of_a_broker_is_refused(given: object) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap as host:port"):
        load_settings(kafka={"bootstrap": given})


def test_a_broker_without_its_port_is_told_how_to_write_it() -> None:
    with pytest.raises(SettingsError, match="as in broker1:9092"):
        load_settings(kafka={"bootstrap": "broker1"})
