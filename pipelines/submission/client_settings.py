"""Configuration of Flink's client for one submission: the cluster's address and certificates only.

The client sends its configuration with the job. With that of the local stack, another cluster would write checkpoints
to this machine's folders.
"""

import base64
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
    serialize_key_and_certificates,
)
from cryptography.x509 import load_pem_x509_certificates

from operators.configuration.rest_address import RestAddress
from operators.errors import SettingsError
from operators.flink_io.rest_client import rest_files
from operators.settings import JobSettings

ADD_OPENS = "env.java.opts.all"  # from PyFlink's wheel; without it the client cannot pickle

# Flink's default has only RSA; many ingresses use elliptic-curve certificates.
CIPHERS = ",".join(
    f"TLS_ECDHE_{kind}_WITH_AES_{bits}" for kind in ("ECDSA", "RSA") for bits in ("256_GCM_SHA384", "128_GCM_SHA256")
)


def prepare_client(job: JobSettings, environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Writes the client's configuration below `scratch`; returns `environment` with the client's variables.

    The client's temporary folder is below `scratch` too: it keeps a zip of the whole submission.
    Raises `SettingsError` for unusable certificates.
    """
    folder, temporary = scratch / "conf", scratch / "tmp"
    folder.mkdir()
    temporary.mkdir()
    home_conf = Path(environment["FLINK_CONF_DIR"])
    for file in home_conf.glob("log4j*"):
        shutil.copyfile(file, folder / file.name)
    address = RestAddress.parse(job.rest_url)
    options = {
        ADD_OPENS: yaml.safe_load((home_conf / "config.yaml").read_text())[ADD_OPENS],
        "env.java.opts.client": f"-Djava.io.tmpdir={temporary}",
        "high-availability.type": "NONE",  # use the address of -m, and do not ask the local ZooKeeper for the leader
        **_tls(job, address, folder),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(options, width=10_000))
    variables = {"FLINK_CONF_DIR": str(folder), "TMPDIR": str(temporary)}
    if address.user:
        token = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        variables["FLINK_REST_CLIENT_HEADERS"] = f"Authorization:Basic {token}"
    return {**environment, **variables}


def _tls(job: JobSettings, address: RestAddress, folder: Path) -> dict[str, object]:
    """Flink's options for https. Java reads no PEM: writes the certificates to `folder` as PKCS12."""
    if address.scheme != "https":
        return {}
    authority, client_pem = rest_files(job)
    password = secrets.token_urlsafe(16)
    encryption = BestAvailableEncryption(password.encode())
    options: dict[str, object] = {"security.ssl.rest.enabled": True, "security.ssl.algorithms": CIPHERS}
    try:
        if authority:  # else Java trusts its own authorities
            trusted = [
                PKCS12Certificate(certificate, None)
                for certificate in load_pem_x509_certificates(authority.read_bytes())
            ]
            options |= _store("truststore", serialize_java_truststore(trusted, encryption), password, folder)
        if client_pem:
            content = client_pem.read_bytes()
            key, (certificate, *chain) = load_pem_private_key(content, None), load_pem_x509_certificates(content)
            store = serialize_key_and_certificates(b"rest", key, certificate, chain, encryption)  # type: ignore[arg-type]
            options |= _store("keystore", store, password, folder)
            options |= {"security.ssl.rest.authentication-enabled": True, "security.ssl.rest.key-password": password}
    except (ValueError, TypeError) as error:
        raise SettingsError(
            "certificates in PEM, and our own with its key",
            str(error),
            "correct job.rest_ca_file and job.rest_cert_file",
        ) from error
    return options


def _store(name: str, content: bytes, password: str, folder: Path) -> dict[str, object]:
    file = folder / f"{name}.p12"
    file.write_bytes(content)
    key = f"security.ssl.rest.{name}"
    return {key: str(file), f"{key}-type": "PKCS12", f"{key}-password": password}
