"""`[kafka.security]`: what fits together, what each client gets of it, and that a secret is shown nowhere."""

import json
from pathlib import Path

import pytest

from operators.configuration.kafka_security import PROVIDER_CLASS, SHADED
from operators.errors import SettingsError
from operators.settings import Settings, load_settings

SECRET = "correct-horse"
LOGIN = {"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "username": "shop"}


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("LIVESHELF_"):
            monkeypatch.delenv(name)


@pytest.fixture
def password(tmp_path: Path) -> str:
    return private(tmp_path / "password", f"{SECRET}\n")


def private(file: Path, text: str) -> str:
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def security(**fields) -> Settings:
    return load_settings(kafka={"security": fields})


def test_one_table_becomes_kafka_pythons_names(password: str, tmp_path: Path) -> None:
    ca, cert, key = (private(tmp_path / name, "-----BEGIN PRIVATE KEY-----") for name in ("ca", "cert", "key"))
    files = {"ca_file": ca, "cert_file": cert, "key_file": key, "key_password_file": password}
    options = security(**LOGIN, **files, password_file=password).kafka.security.python_options()
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "shop",
        "sasl_plain_password": SECRET,
        "ssl_cafile": ca,
        "ssl_certfile": cert,
        "ssl_keyfile": key,
        "ssl_password": SECRET,
    }


def test_flinks_clients_get_files_by_name_and_no_secret(password: str, tmp_path: Path) -> None:
    key = private(tmp_path / "key", "-----BEGIN PRIVATE KEY-----")
    cert = private(tmp_path / "cert", "-----BEGIN CERTIFICATE-----")
    files = {"ca_file": cert, "cert_file": cert, "key_file": key, "key_password_file": password}
    options = security(**LOGIN, **files, password_file=password).kafka.java_options()
    assert SECRET not in json.dumps(options)
    assert options["sasl.jaas.config"] == (
        f'{SHADED}.common.security.scram.ScramLoginModule required username="shop" '
        f'password="${{liveshelf:{tmp_path}:password}}\n;'
    )
    assert options["ssl.keystore.key"] == f"${{liveshelf:{tmp_path}:key}}"
    assert (options["ssl.truststore.type"], options["ssl.truststore.location"]) == ("PEM", cert)
    assert (options["config.providers"], options["config.providers.liveshelf.class"]) == ("liveshelf", PROVIDER_CLASS)


def test_a_shop_with_providers_of_its_own_keeps_them(password: str) -> None:
    client = {"java": {"config.providers": "vault", "config.providers.vault.class": "x"}}
    options = load_settings(
        kafka={"security": LOGIN | {"password_file": password}, "client": client}
    ).kafka.java_options()
    assert options["config.providers"] == "liveshelf,vault"


def test_without_security_nothing_is_said_of_it() -> None:
    kafka = load_settings().kafka
    assert not [name for name in kafka.java_options() if name.startswith(("sasl", "ssl", "security"))]
    assert not [name for name in kafka.client_options() if name.startswith(("sasl", "ssl", "security"))]


def test_the_job_may_be_another_user_whose_files_lie_on_the_cluster_alone(password: str) -> None:
    job = {"username": "job", "password_file": "/etc/liveshelf/job.password"}
    settings = security(**LOGIN, password_file=password, job=job)
    assert settings.kafka.security.python_options()["sasl_plain_username"] == "shop"
    arrived = Settings.of_dump(json.loads(json.dumps(settings.shipped())))
    assert arrived.kafka.security.username == "job"
    assert 'password="${liveshelf:/etc/liveshelf:job.password}\n;' in arrived.kafka.java_options()["sasl.jaas.config"]
    assert "shop" not in json.dumps(settings.shipped()["kafka"]["security"])


def test_a_password_of_the_environment_is_in_no_dump_but_the_shipped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__PASSWORD", SECRET)
    settings = security(**LOGIN)
    assert settings.kafka.security.python_options()["sasl_plain_password"] == SECRET
    for shown in (repr(settings), str(settings), json.dumps(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown
    arrived = Settings.of_dump(json.loads(json.dumps(settings.shipped())))
    assert arrived.kafka.security.python_options() == settings.kafka.security.python_options()
    assert SECRET in arrived.kafka.java_options()["sasl.jaas.config"]
    assert SECRET not in json.dumps(arrived.model_dump()), "what the scorer process is told"


def test_addresses_that_the_job_does_not_read_stay_here() -> None:
    """Whoever knows the address of a webhook may write there, and the shipped settings lie in Flink's storage of jobs."""
    settings = Settings(
        alerts={"webhook_url": f"https://chat/{SECRET}"}, lineage={"url": f"https://u:{SECRET}@lineage"}
    )
    assert SECRET not in json.dumps(settings.shipped())
    assert SECRET in settings.alerts.webhook_url


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a'b", "a$b", "a;b", "ab "])
def test_a_password_of_the_environment_is_escaped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__PASSWORD", text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\044")
    assert security(**LOGIN).kafka.java_options()["sasl.jaas.config"].endswith(f'password="{escaped}";')


def test_a_password_in_a_file_takes_the_mark_that_it_does_not_hold(tmp_path: Path) -> None:
    quoted = security(**LOGIN, password_file=private(tmp_path / "quoted", 'a"b')).kafka.java_options()
    assert f"password='${{liveshelf:{tmp_path}:quoted}}\n;" in quoted["sasl.jaas.config"]


@pytest.mark.parametrize("text", ["a\\b", "a\"b'c"])
def test_a_password_that_java_would_read_wrongly_is_refused(tmp_path: Path, text: str) -> None:
    settings = security(**LOGIN, password_file=private(tmp_path / "password", text))
    assert settings.kafka.security.python_options()["sasl_plain_password"] == text
    with pytest.raises(SettingsError, match="without a backslash") as refused:
        settings.kafka.java_options()
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"protocol": "SASL_SSL", "mechanism": "PLAIN"}, "kafka.security.username"),
        ({"protocol": "SASL_SSL"}, "kafka.security.mechanism"),
        ({"protocol": "SASL_SSL", "username": "u", "password_file": "p"}, "kafka.security.mechanism"),
        (LOGIN, "password_file"),
        ({"protocol": "SSL", "mechanism": "PLAIN"}, "kafka.security.protocol"),
        ({"username": "u", "password_file": "p"}, "kafka.security.protocol"),
        (
            {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "u", "password_file": "p", "ca_file": "c"},
            "ca_file",
        ),
        ({"protocol": "SSL", "cert_file": "c"}, "cert_file and key_file"),
        ({"protocol": "SSL", "key_password_file": "c"}, "cert_file and key_file"),
        ({**LOGIN, "password_file": "p", "password": SECRET}, "password and password_file"),
        ({**LOGIN, "password_file": "p", "job": {"username": "job"}}, "kafka.security.job"),
        ({"protocol": "TLS"}, "kafka.security.protocol"),
        ({"mechanism": "GSSAPI"}, "kafka.security.mechanism"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_setting(fields: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        security(**fields)
    assert SECRET not in str(refused.value)


def test_other_mechanisms_pass_through_in_each_clients_own_words() -> None:
    java = {"sasl.mechanism": "GSSAPI", "sasl.jaas.config": "a.b.Krb5LoginModule required keyTab='/k';"}
    python = {"sasl.mechanism": "GSSAPI", "sasl.kerberos.service.name": "kafka"}
    kafka = load_settings(
        kafka={"security": {"protocol": "SASL_SSL"}, "client": {"java": java, "python": python}}
    ).kafka
    assert kafka.java_options()["sasl.jaas.config"] == java["sasl.jaas.config"]
    assert kafka.client_options()["sasl_kerberos_service_name"] == "kafka"


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ({"sasl.jaas.config": "x"}, "kafka.security"),
        ({"ssl_cafile": "x"}, "kafka.security"),
        ({"java": {"sasl.jaas.config": f'a.B required password="{SECRET}";'}}, "password_file"),
        ({"java": {"ssl.keystore.password": SECRET}}, "password_file"),
        ({"python": {"sasl_plain_password": SECRET}}, "password_file"),
    ],
)
def test_a_clients_own_table_holds_no_secret(client: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings(kafka={"client": client})
    assert SECRET not in str(refused.value)


def test_a_mistyped_key_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__PASWORD", SECRET)
    with pytest.raises(SettingsError, match=r"kafka\.security\.pasword") as refused:
        load_settings()
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_a_table_that_is_no_json_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY", "username=shop")
    with pytest.raises(SettingsError, match="JSON"):
        load_settings()


def test_a_password_in_a_file_of_settings_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "liveshelf.toml"
    file.write_text(f'[kafka.security.job]\npassword = "{SECRET}"\n')
    monkeypatch.setenv("LIVESHELF_FILE", str(file))
    with pytest.raises(SettingsError, match=r"kafka\.security\.job\.password_file") as refused:
        load_settings()
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_secret_that_anybody_can_read_is_refused(password: str, mode: int) -> None:
    Path(password).chmod(mode)
    with pytest.raises(SettingsError, match=f"{mode:04o}.*chmod 600"):
        security(**LOGIN, password_file=password).kafka.client_options()


def test_a_secret_for_the_group_is_allowed_as_kubernetes_mounts_it(password: str) -> None:
    Path(password).chmod(0o440)
    assert security(**LOGIN, password_file=password).kafka.client_options()["sasl_plain_password"] == SECRET


@pytest.mark.parametrize(("text", "said"), [("", "none"), ("\n", "none"), ("a\nb\n", "several")])
def test_a_secret_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"came {said}"):
        security(**LOGIN, password_file=private(tmp_path / "password", text)).kafka.client_options()


def test_files_that_are_not_there_are_named_when_a_client_is_made_and_not_before() -> None:
    settings = security(protocol="SSL", ca_file="/no/such/ca.pem")
    with pytest.raises(SettingsError, match=r"kafka\.security\.ca_file.*No such file"):
        settings.kafka.client_options()


def test_a_key_that_java_cannot_read_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    key = private(tmp_path / "key.pem", "-----BEGIN RSA PRIVATE KEY-----\n")
    with pytest.raises(SettingsError, match="openssl pkcs8"):
        security(protocol="SSL", cert_file=key, key_file=key).kafka.java_options()


def test_relative_paths_are_below_the_project() -> None:
    file = security(protocol="SSL", ca_file="secrets/ca.pem").kafka.security.ca_file
    assert Path(file).is_absolute() and file.endswith("secrets/ca.pem")
