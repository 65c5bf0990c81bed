"""What `[kafka.security]` becomes for Flink, read by the connector's own Kafka classes in a JVM."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from deploy.local.jars import CONNECTOR
from deploy.local.kafka.certificates import Authority
from deploy.local.layout import Layout
from operators.configuration.kafka_security import SHADED
from operators.configuration.kafka_settings import KafkaSettings
from operators.errors import SettingsError
from operators.settings import load_settings
from pipelines.job.java_names import known_names, refuse_mistyped

JARS = Layout.of(load_settings()).jars
PASSWORDS = ("simple", 'q"uote', "it's", "a$b", "a;b", "a b", "a${liveshelf:x:y}b", "ü€", "a\\b", "a\"b'c", "a\\nb")
IN_A_FILE = [text for text in PASSWORDS if "\\" not in text and not {"'", '"'} <= set(text)]

pytestmark = pytest.mark.usefixtures("jars")


@pytest.fixture(scope="module")
def jvm(jars: None) -> Iterator[Any]:
    jars = [JARS / name for name in (CONNECTOR, "slf4j-api-1.7.36.jar", "jackson-databind-2.21.2.jar")]
    (py4j,) = (Path(sys.prefix) / "share" / "py4j").glob("py4j*.jar")
    port = launch_gateway(classpath=":".join(map(str, jars)), jarpath=str(py4j), die_on_exit=True)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
    yield gateway.jvm
    gateway.shutdown()


def kafka(**security: Any) -> KafkaSettings:
    return KafkaSettings(bootstrap="b:1", security=security)


def private(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    file.chmod(0o600)
    return str(file)


def named(jvm: Any, name: str) -> Any:
    found = jvm
    for part in f"{SHADED}.{name}".split("."):
        found = getattr(found, part)
    return found


def client_config(jvm: Any, settings: KafkaSettings) -> Any:
    options = jvm.java.util.HashMap()
    for name, value in settings.java_options().items():
        options.put(name, value)
    return named(jvm, "clients.admin.AdminClientConfig")(options)


def login(jvm: Any, settings: KafkaSettings) -> tuple[str, str, str]:
    """Module, user and password as the client's login has them."""
    values = jvm.java.util.HashMap()
    values.put("sasl.jaas.config", client_config(jvm, settings).getPassword("sasl.jaas.config"))
    entry = named(jvm, "common.security.JaasContext").loadClientContext(values).configurationEntries()[0]
    return entry.getLoginModuleName(), entry.getOptions()["username"], entry.getOptions()["password"]


LOGIN = {"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "username": 'sh"op'}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["bare", "line", "dos line"])
@pytest.mark.parametrize("text", IN_A_FILE)
def test_a_password_in_a_file_arrives_as_it_is(jvm: Any, tmp_path: Path, text: str, end: str) -> None:
    file = private(tmp_path / "password", (text + end).encode())
    assert login(jvm, kafka(**LOGIN, password_file=file))[1:] == ('sh"op', text)


@pytest.mark.parametrize("text", PASSWORDS)
def test_a_password_of_the_environment_arrives_as_it_is(jvm: Any, text: str) -> None:
    assert login(jvm, kafka(**LOGIN, password=text))[1:] == ('sh"op', text)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_login_module_is_one_that_the_connector_has(jvm: Any, mechanism: str) -> None:
    module = login(jvm, kafka(**LOGIN | {"mechanism": mechanism}, password="x"))[0]
    assert named(jvm, module.removeprefix(f"{SHADED}."))() is not None


def test_certificates_and_keys_are_loaded(jvm: Any, tmp_path: Path) -> None:
    authority = Authority.new("test")
    key, _, chain = authority.issue("shop", ["h"], timedelta(days=1)).partition(b"-----BEGIN CERTIFICATE")
    settings = kafka(
        protocol="SSL",
        ca_file=private(tmp_path / "ca.pem", authority.pem),
        cert_file=private(tmp_path / "cert.pem", b"-----BEGIN CERTIFICATE" + chain),
        key_file=private(tmp_path / "key.pem", key),
    )
    config = client_config(jvm, settings)
    factory = named(jvm, "common.security.ssl.DefaultSslEngineFactory")()
    factory.configure(config.valuesWithPrefixOverride(""))
    assert factory.keystore().getCertificateChain(factory.keystore().aliases().nextElement())
    assert factory.truststore().size() == 1
    assert key.decode() not in config.values().toString()


def test_a_secret_in_a_file_is_hidden_where_the_client_logs_its_configuration(jvm: Any, tmp_path: Path) -> None:
    file = private(tmp_path / "password", b"correct-horse\n")
    assert "correct-horse" not in client_config(jvm, kafka(**LOGIN, password_file=file)).values().toString()


def test_a_mistyped_name_is_refused_with_the_one_that_was_meant(jvm: Any) -> None:
    known = known_names(jvm)
    refuse_mistyped(KafkaSettings(client={"java": {"fetch.max.bytes": "1", "my.plugin.option": "x"}}), known)
    with pytest.raises(SettingsError, match=r"request\.timout\.ms.*request\.timeout\.ms"):
        refuse_mistyped(KafkaSettings(client={"request.timout.ms": "1"}), known)
