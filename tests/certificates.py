"""Certificates of an authority of our own, for tests that speak TLS."""

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def elliptic() -> Key:
    """As the certificates of an ingress often have it."""
    return ec.generate_private_key(ec.SECP256R1())


def plain() -> Key:
    """RSA: what Flink's server takes with its default ciphers."""
    return rsa.generate_private_key(65537, 2048)


class Authority:
    """Signs certificates for 127.0.0.1, good for a day."""

    def __init__(self, name: str) -> None:
        self._key = plain()
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def certificate(self) -> x509.Certificate:
        """Of the authority."""
        return self._certificate

    def issue(self, name: str, make_key: Callable[[], Key] = plain) -> tuple[Key, x509.Certificate]:
        """A key and its certificate, for a server on 127.0.0.1 and for a client."""
        key = make_key()
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key).add_extension(here, False).add_extension(uses, False)
        return key, builder.sign(self._key, hashes.SHA256())

    def write_ca(self, file: Path) -> Path:
        """Its certificate as PEM."""
        file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        return file

    def write_pem(self, name: str, file: Path, make_key: Callable[[], Key] = plain) -> Path:
        """A new certificate with its key as PEM."""
        key, certificate = self.issue(name, make_key)
        open_text = serialization.NoEncryption()
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, open_text)
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + text)
        return file

    def _builder(self, subject: x509.Name, key: Key) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
