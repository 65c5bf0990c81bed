"""Clients of a broker that is away, hangs up or is not trusted: in seconds an error that says why, and nothing stays."""

import re
import socket
import threading
import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from deploy.local.kafka.certificates import Authority
from operators.configuration.kafka_settings import CONNECT_MS, KafkaSettings
from operators.errors import BrokerError, SettingsError
from operators.kafka_io.broker_errors import broker_error, error_text, is_final
from operators.kafka_io.kafka_clients import (
    broker_errors,
    connect,
    new_admin,
    new_consumer,
    new_producer,
    partitions_of,
)
from tests.places import ROOT
from tests.refusing_broker import refusing_broker
from tests.tls_server import faulty_port

MAKERS = (new_consumer, new_producer, new_admin)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("test")


def secured(address: str, authority: Authority, folder: Path) -> KafkaSettings:
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "password").write_text("x\n")
    (folder / "password").chmod(0o600)
    login = {"username": "shop", "password_file": str(folder / "password"), "ca_file": str(folder / "ca.pem")}
    return KafkaSettings(bootstrap=address, security={"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", **login})


@pytest.mark.parametrize(
    ("fault", "came", "fix"),
    [
        ("expired", "certificate has expired", "renew the broker's certificate"),
        ("wrong CA", "self-signed certificate in certificate chain", "kafka.security.ca_file"),
        ("wrong name", "IP address mismatch", "kafka.bootstrap"),
    ],
)
@pytest.mark.parametrize("maker", MAKERS)
def test_a_certificate_that_is_not_trusted_is_tried_once(
    maker, fault: str, came: str, fix: str, authority: Authority, tmp_path: Path
) -> None:
    threads, begun = threading.active_count(), time.monotonic()
    with faulty_port(fault, authority, tmp_path) as port:
        with pytest.raises(BrokerError, match=f"(?s)valid and trusted.*came .*{came}.*{fix}") as refused:
            maker(secured(port.address, authority, tmp_path))
        assert port.connections == 1
    assert not refused.value.retriable
    assert time.monotonic() - begun < 3
    assert threading.active_count() == threads


def test_a_broker_that_refuses_a_login_and_hangs_up_in_one_packet_is_understood(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x\n")
    (tmp_path / "password").chmod(0o600)
    login = {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "shop"}
    with refusing_broker() as address:
        settings = KafkaSettings(bootstrap=address, security=login | {"password_file": str(tmp_path / "password")})
        begun = time.monotonic()
        with pytest.raises(BrokerError, match="to know the mechanism PLAIN") as refused:
            new_consumer(settings)
        assert time.monotonic() - begun < 2
    assert not refused.value.retriable


def test_a_broker_that_hangs_up_after_its_greeting_and_is_silent_afterwards_has_hung_up() -> None:
    """The last attempt runs into the deadline on a busy machine, and its timeout says nothing."""
    hung_up = r"another kafka\.security\.protocol than PLAINTEXT"
    with refusing_broker(then_silent=True) as address, pytest.raises(BrokerError, match=hung_up) as refused:
        new_consumer(KafkaSettings(bootstrap=address))
    assert "Timeout" not in refused.value.came and "TimedOut" not in refused.value.came


def test_a_port_without_tls_is_tried_a_few_times(authority: Authority, tmp_path: Path) -> None:
    with faulty_port("no TLS", authority, tmp_path) as port:
        begun = time.monotonic()
        with pytest.raises(BrokerError, match="does it speak TLS there"):
            new_consumer(secured(port.address, authority, tmp_path))
        assert time.monotonic() - begun < CONNECT_MS / 1000 + 1
        assert port.connections <= 15


@pytest.mark.parametrize(("maker", "ms"), [(new_consumer, CONNECT_MS), (new_producer, 1000), (new_admin, 1000)])
def test_a_broker_that_is_away_is_said_in_seconds(maker, ms: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    threads, begun = threading.active_count(), time.monotonic()
    with pytest.raises(BrokerError, match=f"a broker at {nobody}.*ECONNREFUSED.*liveshelf up") as refused:
        maker(
            KafkaSettings(
                bootstrap=nobody, client={"python": {} if ms == CONNECT_MS else {"bootstrap.timeout.ms": str(ms)}}
            )
        )
    assert refused.value.retriable
    assert time.monotonic() - begun < ms / 1000 + 1
    assert threading.active_count() == threads


def test_one_broker_that_refuses_does_not_hide_another_that_is_away(authority: Authority, tmp_path: Path) -> None:
    with faulty_port("expired", authority, tmp_path) as port:
        settings = secured(f"{port.address},127.0.0.1:1", authority, tmp_path)
        begun = time.monotonic()
        with pytest.raises(BrokerError):
            new_admin(settings, bootstrap_timeout_ms=2000)
        assert time.monotonic() - begun > 1.5, "the other might have come back"


def test_a_name_that_kafka_python_does_not_know_is_said_with_its_place() -> None:
    settings = KafkaSettings(client={"receive.buffers": "1"})
    with pytest.raises(SettingsError, match=r"receive_buffers.*\[kafka\.client\.java\]"):
        new_consumer(settings)


def test_an_option_goes_to_the_clients_that_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kind:
        DEFAULT_CONFIG = {"client_id": None, "kafka_client": None}  # noqa: RUF012

        def __init__(self, **options) -> None:
            self.options = options

    assert "linger_ms" in KafkaSettings().producer_options()
    found = connect(Kind, {"client_id": "x", "linger_ms": 2, "max_poll_records": 3})
    assert found.options.keys() == {"client_id", "kafka_client"}
    assert "max_poll_records" in KafkaConsumer.DEFAULT_CONFIG


def test_what_is_raised_later_comes_out_as_ours() -> None:
    settings = KafkaSettings(bootstrap="b:1")
    with pytest.raises(BrokerError, match=r"the right.*shop.events.v1.*docs/security.md"), broker_errors(settings):
        raise TopicAuthorizationFailedError({"shop.events.v1"})
    with pytest.raises(BrokerError, match="a broker at b:1") as away, broker_errors(settings):
        raise KafkaTimeoutError("no answer")
    assert away.value.retriable
    with pytest.raises(ZeroDivisionError), broker_errors(settings):
        raise ZeroDivisionError


OPTIONS = {
    "bootstrap_servers": ["b:1"],
    "security_protocol": "SASL_SSL",
    "sasl_plain_username": "shop",
    "sasl_mechanism": "PLAIN",
}


def test_a_refused_login_names_the_user_and_not_the_password() -> None:
    error = broker_error(
        SaslAuthenticationFailedError("invalid credentials"), OPTIONS | {"sasl_plain_password": "hush"}
    )
    assert "b:1 to accept the user shop (SASL_SSL, PLAIN)" in str(error)
    assert "invalid credentials" in error.came
    assert "hush" not in str(error)


def test_what_comes_right_by_itself_is_told_from_what_does_not() -> None:
    assert is_final(SaslAuthenticationFailedError())
    assert is_final(UnsupportedSaslMechanismError())
    assert is_final(TopicAuthorizationFailedError())
    # as the producer of kafka-python 3.0.12 says it
    assert is_final(
        KafkaError("Unexpected error in InitProducerIdResponse: [Error 31] ClusterAuthorizationFailedError")
    )
    assert is_final(SettingsError("a", "b", "c"))
    assert not is_final(KafkaConnectionError("closed"))
    assert not is_final(BrokerError("a", "b", "c", retriable=True))


def test_a_log_line_says_what_to_do() -> None:
    assert "Next:" in error_text(TopicAuthorizationFailedError({"t"}))
    assert error_text(ValueError("x")) == "ValueError('x')"


def test_a_topic_that_is_not_there_or_not_ours_to_see(tmp_path: Path, authority: Authority) -> None:
    class Consumer:
        def partitions_for_topic(self, topic: str) -> set[int]:
            return {2, 0} if topic == "t" else set()

    assert [place.partition for place in partitions_of(Consumer(), "t", KafkaSettings())] == [0, 2]
    with pytest.raises(BrokerError, match="came no such topic"):
        partitions_of(Consumer(), "missing", KafkaSettings())
    with pytest.raises(BrokerError, match="none that the user shop may see"):
        partitions_of(Consumer(), "missing", secured("b:1", authority, tmp_path))


def test_clients_are_made_in_one_place() -> None:
    """Elsewhere a broker that refuses or is away would be half a minute of silence, and a thread that stays."""
    root = ROOT
    rooms = ("operators", "pipelines", "storefront", "deploy", "benchmarks", "model_export")
    files = [file for room in rooms for file in (root / room).rglob("*.py") if not file.stem.startswith("on_")]
    assert len(files) > 100
    made = [str(file) for file in files if re.search(r"Kafka(Producer|Consumer|AdminClient)\(", file.read_text())]
    assert not made
