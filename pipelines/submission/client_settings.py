"""The configuration of Flink's client for one submission: the cluster's address, its certificates, and nothing else.

The configuration of this machine's own stack would travel with the job: another cluster would write its checkpoints to
the folders of this one.
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

ADD_OPENS = "env.java.opts.all"  # the wheel's own; without them the client cannot pickle

# Flink's default knows RSA alone; many an ingress has a certificate with an elliptic curve
CIPHERS = ",".join(
    f"TLS_ECDHE_{kind}_WITH_AES_{bits}" for kind in ("ECDSA", "RSA") for bits in ("256_GCM_SHA384", "128_GCM_SHA256")
)


def prepare_client(job: JobSettings, environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Writes the client's configuration below `scratch`, and returns `environment` with what the client needs of it.

    What the client leaves in its temporary folder (a zip of the whole submission) goes with `scratch` too.
    Raises `SettingsError` for certificates that cannot be used.
    """
    folder, temporary = scratch / "conf", scratch / "tmp"
    folder.mkdir()
    temporary.mkdir()
    given = Path(environment["FLINK_CONF_DIR"])
    for file in given.glob("log4j*"):
        shutil.copyfile(file, folder / file.name)
    address = RestAddress.parse(job.rest_url)
    options = {
        ADD_OPENS: yaml.safe_load((given / "config.yaml").read_text())[ADD_OPENS],
        "env.java.opts.client": f"-Djava.io.tmpdir={temporary}",
        "high-availability.type": "NONE",  # the client asks the address above, not the local ZooKeeper, who leads
        **_tls(job, address, folder),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(options, width=10_000))
    own = {"FLINK_CONF_DIR": str(folder), "TMPDIR": str(temporary)}
    if address.user:
        token = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        own["FLINK_REST_CLIENT_HEADERS"] = f"Authorization:Basic {token}"
    return {**environment, **own}


def _tls(job: JobSettings, address: RestAddress, folder: Path) -> dict[str, object]:
    """Flink's options for https. Java reads no PEM, so the certificates are written as PKCS12; they end with `folder`."""
    if address.scheme != "https":
        return {}
    authority, own = rest_files(job)
    password = secrets.token_urlsafe(16)
    lock = BestAvailableEncryption(password.encode())
    options: dict[str, object] = {"security.ssl.rest.enabled": True, "security.ssl.algorithms": CIPHERS}
    try:
        if authority:  # else Java trusts what its installation trusts
            trusted = [PKCS12Certificate(one, None) for one in load_pem_x509_certificates(authority.read_bytes())]
            options |= _store("truststore", serialize_java_truststore(trusted, lock), password, folder)
        if own:
            pem = own.read_bytes()
            key, (first, *chain) = load_pem_private_key(pem, None), load_pem_x509_certificates(pem)
            store = serialize_key_and_certificates(b"rest", key, first, chain, lock)  # type: ignore[arg-type]
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
