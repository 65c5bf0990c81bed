"""What `liveshelf up --secure` writes before anything starts."""

import re
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local import stack
from deploy.local.kafka import broker, secure_broker
from deploy.local.kafka.access import _entry
from deploy.local.kafka.certificates import Authority, write_private
from deploy.local.layout import Layout
from deploy.local.supervisor import programs, write_supervisor_conf
from operators.configuration.secret_files import secret
from operators.errors import SettingsError, StackError
from operators.kafka_io.rights import rights
from operators.records import contracts
from operators.settings import Settings
from tests.deploy.test_local_stack import settings
from tests.places import ROOT


def prepared(tmp_path: Path, **sections) -> tuple[Settings, Layout]:
    given = settings(tmp_path, **sections)
    layout = Layout.of(given)
    layout.make()
    secure_broker.prepare_secrets(given, layout, True, broker.properties(given, layout))
    return given, layout


def passwords(layout: Layout) -> dict[str, str]:
    return {file.stem: secret(str(file), "x") for file in layout.secrets.glob("*.password")}


def test_every_part_has_a_password_of_its_own_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    _, layout = prepared(tmp_path)
    found = passwords(layout)
    assert found.keys() == {"admin", "broker", "job", "storefront", "monitor", "shop", "trainer"}
    assert len(set(found.values())) == len(found) and min(map(len, found.values())) >= 32
    assert stat.S_IMODE(layout.secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in layout.secrets.iterdir()} == {0o600}
    assert stat.S_IMODE((layout.data / "secure.toml").stat().st_mode) == 0o600


def test_a_second_up_keeps_the_passwords_and_renews_the_brokers_certificate(tmp_path: Path) -> None:
    given, layout = prepared(tmp_path)
    before, authority, certificate = passwords(layout), *pems(layout)
    secure_broker.prepare_secrets(given, layout, False, broker.properties(given, layout))
    assert passwords(layout) == before
    assert pems(layout)[0] == authority
    assert pems(layout)[1] != certificate


def pems(layout: Layout) -> tuple[bytes, bytes]:
    return (layout.secrets / "ca.pem").read_bytes(), (layout.secrets / "broker.pem").read_bytes()


def test_a_plain_stack_stays_plain(tmp_path: Path) -> None:
    given = settings(tmp_path)
    layout = Layout.of(given)
    layout.make()
    secure_broker.prepare_secrets(given, layout, False, broker.properties(given, layout))
    assert not layout.secrets.exists()
    assert secure_broker.part_variables(layout, "storefront") == {}


def test_a_broker_with_data_and_no_users_is_not_made_secure(tmp_path: Path) -> None:
    given = settings(tmp_path)
    layout = Layout.of(given)
    (layout.kafka / "data").mkdir(parents=True)
    (layout.kafka / "data" / "meta.properties").touch()
    with pytest.raises(StackError, match="down --purge"):
        secure_broker.prepare_secrets(given, layout, True, broker.properties(given, layout))


def test_a_shops_own_access_is_not_mixed_with_a_local_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.security\.protocol = SSL"):
        prepared(tmp_path, kafka={"security": {"protocol": "SSL"}})


def test_no_listener_stays_open_and_no_password_stands_in_the_configuration(tmp_path: Path) -> None:
    link = {
        "listeners": "CLIENTS://127.0.0.1:9092,LINK://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": "CLIENTS://127.0.0.1:9092,LINK://broker.example:9094",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT,LINK:PLAINTEXT",
        "num.partitions": "9",
    }
    given, layout = prepared(tmp_path, stack={"broker": link})
    written = secure_broker.secured(broker.properties(given, layout), layout)
    assert written["listener.security.protocol.map"] == "CONTROLLER:SSL,CLIENTS:SASL_SSL,LINK:SASL_SSL"
    assert written["listener.name.controller.ssl.client.auth"] == "required"
    assert "listener.name.link.scram-sha-512.sasl.jaas.config" in written
    assert written["num.partitions"] == "9"
    assert "allow.everyone.if.no.acl.found" not in written
    assert not [one for one in passwords(layout).values() if one in str(written)]
    assert '["127.0.0.1:9092", "broker.example:9094"]' in (layout.data / "secure.toml").read_text()
    names = certificate(layout).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def certificate(layout: Layout) -> x509.Certificate:
    return x509.load_pem_x509_certificate((layout.secrets / "broker.pem").read_bytes())


def test_the_brokers_certificate_is_one_that_python_trusts(tmp_path: Path) -> None:
    _, layout = prepared(tmp_path)
    context = ssl.create_default_context(cafile=layout.secrets / "ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(layout.secrets / "broker.pem")
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(ours, theirs, server_hostname="127.0.0.1")
    answering = server.wrap_bio(theirs, ours, server_side=True)
    for _ in range(3):
        for side in (client, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.getpeercert()["subject"] == ((("commonName", "liveshelf-broker"),),)


def test_the_users_are_made_from_a_file_and_not_on_a_command_line(tmp_path: Path) -> None:
    given, layout = prepared(tmp_path)
    file = secure_broker.scram_arguments(given, layout)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    assert lines[0::2] == ["--add-scram"] * 7
    assert lines[1] == f"SCRAM-SHA-512=[name=admin,password={passwords(layout)['admin']}]"


def test_a_format_that_fails_leaves_no_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, layout = prepared(tmp_path)
    seen: list[str] = []

    def run(command: list[str], **_: object) -> object:
        seen.extend(command)
        assert not [one for one in passwords(layout).values() if one in " ".join(command)]
        raise OSError("no java")

    monkeypatch.setattr(broker.subprocess, "run", run)
    with pytest.raises(OSError, match="no java"):
        broker.prepare_broker(given, layout)
    assert seen[-1].startswith("@")
    assert not Path(seen[-1][1:]).exists()


def test_each_part_is_its_own_user_and_supervisors_file_names_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__PASSWORD", "hush-hush")
    given, layout = prepared(tmp_path)
    variables = {part.name: part.environment for part in programs(given, layout)}
    for part in ("storefront", "monitor"):
        assert variables[part]["LIVESHELF_KAFKA__SECURITY__USERNAME"] == part
        assert variables[part]["LIVESHELF_KAFKA__SECURITY__PASSWORD_FILE"].endswith(f"secrets/{part}.password")
    # what becomes of it where a part starts; the settings themselves are made already
    for name in ("LIVESHELF_KAFKA__SECURITY", "LIVESHELF_KAFKA", "LIVESHELF_KAFKA__SECURITY__Password"):
        monkeypatch.setenv(name, '{"password": "hush-hush"}')
    write_supervisor_conf(given, layout)
    text = layout.supervisor_conf.read_text()
    assert not [one for one in (*passwords(layout).values(), "hush-hush") if one in text]


def test_a_running_plain_stack_is_not_called_secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.Supervisor, "running", lambda _: True)
    assert stack.start_stack(settings(tmp_path)) is False
    with pytest.raises(StackError, match="down --purge"):
        stack.start_stack(settings(tmp_path), secure=True)


def test_a_private_file_is_never_open_to_others(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)


def test_an_expired_certificate_has_a_beginning_before_its_end() -> None:
    import datetime

    pem = Authority.new("x").issue("y", ["h"], datetime.timedelta(days=-1))
    found = x509.load_pem_x509_certificate(pem)
    assert found.not_valid_before_utc < found.not_valid_after_utc < datetime.datetime.now(datetime.UTC)


def test_rights_are_the_least() -> None:
    granted = rights("liveshelf")
    writers = {right.name: set() for part in granted.values() for right in part if right.operation == "WRITE"}
    for part, own in granted.items():
        for right in own:
            if right.operation == "WRITE":
                writers[right.name].add(part)
    assert (writers[contracts.RECOMMENDATIONS], writers[contracts.DEAD_LETTERS]) == ({"job"}, {"job", "monitor"})
    assert writers[contracts.EVENTS] == {"shop", "storefront"}
    assert writers[contracts.ERASURES] == {"shop"}
    assert contracts.AUDIT not in writers
    written = [right.name for right in granted["monitor"] if right.operation == "WRITE"]
    assert written == [contracts.DEAD_LETTERS, contracts.MODELS, "liveshelf-models-liveshelf"], (
        "its guard; promotion is an administrator's"
    )
    assert [right.name for right in granted["job"] if right.prefixed] == ["liveshelf-"]
    entry = _entry("job", granted["job"][-1])
    assert (entry.principal, entry.resource_pattern.pattern_type.name) == ("User:job", "PREFIXED")


def test_the_docs_name_the_rights_of_each_part() -> None:
    lines = (ROOT / "docs" / "security.md").read_text().splitlines()
    for part, own in rights("{job}").items():
        _, _, reads, writes, _ = next(line for line in lines if line.startswith(f"| `{part}`")).split("|")
        for operation, cell in (("READ", reads), ("WRITE", writes)):
            assert set(re.findall("`(.+?)`", cell)) == {right.name for right in own if right.operation == operation}
        described = {right.name for right in own if right.operation == "DESCRIBE_CONFIGS"}
        told = next((line for line in lines if line.startswith(f"- `{part}`: DESCRIBE_CONFIGS")), "")
        assert set(re.findall("`(shop.+?)`", told)) == described


def test_purge_leaves_nothing_of_it(tmp_path: Path) -> None:
    _, layout = prepared(tmp_path)
    layout.purge()
    assert not layout.data.exists()
