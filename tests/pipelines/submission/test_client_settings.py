import base64
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from operators.errors import SettingsError
from operators.settings import JobSettings
from pipelines.submission.client_settings import prepare_client
from tests.certificates import Authority


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a local stack, whose configuration must not reach another cluster."""
    conf = tmp_path / "conf"
    conf.mkdir()
    config = {"env.java.opts.all": "--add-opens=x", "execution.checkpointing.dir": "file:///my/checkpoints"}
    (conf / "config.yaml").write_text(yaml.safe_dump(config | {"high-availability.type": "zookeeper"}))
    (conf / "log4j-cli.properties").touch()
    return {"FLINK_CONF_DIR": str(conf), "FLINK_HOME": str(tmp_path), "PATH": "/bin"}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def written_config(environment: dict[str, str]) -> dict[str, object]:
    return yaml.safe_load((Path(environment["FLINK_CONF_DIR"]) / "config.yaml").read_text())


def test_nothing_of_this_machines_stack_travels(environment: dict[str, str], scratch: Path) -> None:
    variables = prepare_client(JobSettings(rest_url="http://flink.example.com"), environment, scratch)
    options = written_config(variables)
    assert set(options) == {"env.java.opts.all", "env.java.opts.client", "high-availability.type"}
    assert options["high-availability.type"] == "NONE"
    assert (variables["FLINK_HOME"], variables["PATH"]) == (environment["FLINK_HOME"], "/bin")
    assert (Path(variables["FLINK_CONF_DIR"]) / "log4j-cli.properties").is_file()


def test_what_the_client_leaves_behind_lies_in_the_scratch_folder(environment: dict[str, str], scratch: Path) -> None:
    variables = prepare_client(JobSettings(), environment, scratch)
    temporary = Path(variables["TMPDIR"])
    assert temporary.is_dir() and temporary.is_relative_to(scratch)
    assert written_config(variables)["env.java.opts.client"] == f"-Djava.io.tmpdir={temporary}"


def test_the_user_of_an_ingress_is_in_no_file(environment: dict[str, str], scratch: Path) -> None:
    variables = prepare_client(JobSettings(rest_url="http://shop:p%40ss@flink.example.com"), environment, scratch)
    kind, _, token = variables["FLINK_REST_CLIENT_HEADERS"].partition("Basic ")
    assert (kind, base64.b64decode(token)) == ("Authorization:", b"shop:p@ss")
    assert "p@ss" not in str(written_config(variables)) and "p%40ss" not in str(written_config(variables))


def test_certificates_become_what_java_reads(environment: dict[str, str], scratch: Path, tmp_path: Path) -> None:
    authority = Authority("ours")
    job = JobSettings(
        rest_url="https://127.0.0.1:8443",
        rest_ca_file=str(authority.write_ca(tmp_path / "ca.pem")),
        rest_cert_file=str(authority.write_pem("submitter", tmp_path / "own.pem")),
    )
    options = written_config(prepare_client(job, environment, scratch))
    assert options["security.ssl.rest.enabled"] is True
    assert options["security.ssl.rest.authentication-enabled"] is True
    for name in ("truststore", "keystore"):
        password = str(options[f"security.ssl.rest.{name}-password"]).encode()
        store = load_pkcs12(Path(str(options[f"security.ssl.rest.{name}"])).read_bytes(), password)
        assert (store.key is None) == (name == "truststore")
    assert len(password) > 15


def test_without_an_authority_java_trusts_what_its_installation_trusts(
    environment: dict[str, str], scratch: Path
) -> None:
    options = written_config(prepare_client(JobSettings(rest_url="https://flink.example.com"), environment, scratch))
    assert {name for name in options if "ssl" in name} == {"security.ssl.rest.enabled", "security.ssl.algorithms"}


@pytest.mark.parametrize("setting", ["rest_ca_file", "rest_cert_file"])
def test_a_file_that_is_no_certificate_is_said(
    environment: dict[str, str], scratch: Path, tmp_path: Path, setting: str
) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="PEM"):
        prepare_client(
            JobSettings.model_validate({"rest_url": "https://x", setting: str(tmp_path / "x.pem")}),
            environment,
            scratch,
        )
