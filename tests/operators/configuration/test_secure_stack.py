"""Verbs find the access to a local stack that `up --secure` made, and take it for no other broker."""

from pathlib import Path

import pytest

from operators.settings import Settings, load_settings

LEFT = """
brokers = ["127.0.0.1:9092"]
[security]
protocol = "SASL_SSL"
mechanism = "SCRAM-SHA-512"
ca_file = "secrets/ca.pem"
username = "admin"
password_file = "secrets/admin.password"
[security.job]
username = "job"
password_file = "secrets/job.password"
"""


@pytest.fixture(autouse=True)
def left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    import os

    for name in list(os.environ):
        if name.startswith("LIVESHELF_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIVESHELF_STACK__DATA_DIR", str(tmp_path))
    (tmp_path / "secure.toml").write_text(LEFT)
    return tmp_path


def who(settings: Settings) -> tuple[str, str, str]:
    security = settings.kafka.security
    return security.protocol, security.username, security.of_job().username


def test_verbs_are_the_administrator_and_the_job_is_the_job(left: Path) -> None:
    settings = load_settings()
    assert who(settings) == ("SASL_SSL", "admin", "job")
    assert settings.kafka.security.password_file == str(left / "secrets" / "admin.password")
    assert settings.kafka.security.job.password_file == str(left / "secrets" / "job.password")


def test_another_broker_is_not_told_our_password() -> None:
    assert who(load_settings(kafka={"bootstrap": "kafka.example:9092"})) == ("PLAINTEXT", "", "")


def test_the_shops_own_security_wins() -> None:
    own = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "me", "password_file": "p"}
    assert who(load_settings(kafka={"security": own})) == ("SASL_SSL", "me", "me")


def test_the_environment_names_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__USERNAME", "shop")
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__PASSWORD_FILE", "/secrets/shop.password")
    settings = load_settings()
    assert who(settings) == ("SASL_SSL", "shop", "job")
    assert settings.kafka.security.password_file == "/secrets/shop.password"


def test_the_environment_names_a_password_instead_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__SECURITY__PASSWORD", "x")
    settings = load_settings()
    assert who(settings) == ("SASL_SSL", "admin", "job")
    assert settings.kafka.security.password_file == ""


def test_a_plain_stack_leaves_nothing(left: Path) -> None:
    (left / "secure.toml").unlink()
    assert who(load_settings()) == ("PLAINTEXT", "", "")
