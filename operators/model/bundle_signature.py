"""The signature of a bundle: Ed25519 (RFC 8032) over the bytes of its manifest, which holds the sums of all files.

It is in the file `manifest.sig` of the bundle's folder: 64 bytes. A key is written as the base64 of its 32 bytes.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from operators.configuration.secret_files import private
from operators.errors import BundleError, SettingsError
from operators.model.bundle_files import SIGNATURE, SIGNATURE_BYTES, manifest_bytes, parse_manifest

KEY_SETTING = "bundle.signing_key_file"


def new_key(file: Path) -> str:
    """Writes a new private key (PEM, for this user alone) and returns its public key. Raises `SettingsError` where the file is
    there already or cannot be written."""
    key = Ed25519PrivateKey.generate()
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except OSError as error:
        raise SettingsError("a new file for the key", f"{file} ({error.strerror})", "name another") from error
    return public_key_of(key)


def public_key_of(key: Ed25519PrivateKey) -> str:
    """As it stands in `bundle.public_keys`."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def read_signing_key(path: str) -> Ed25519PrivateKey:
    """The key of `bundle.signing_key_file`. Raises `SettingsError` for another file, and for one that others may read."""
    try:
        key = load_pem_private_key(private(path, KEY_SETTING).read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"a PEM file at {KEY_SETTING}", f"{path}: {error}"[:200], "liveshelf models key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"an Ed25519 key at {KEY_SETTING}", type(key).__name__, "liveshelf models key")
    return key


def sign_bundle(folder: Path, key_file: str) -> None:
    """Writes the signature of the folder's manifest. Raises `SettingsError` without a key, `BundleError` without a manifest."""
    if not key_file:
        raise SettingsError(f"a key at {KEY_SETTING}", "none is set", "liveshelf models key FILE makes one")
    signature = read_signing_key(key_file).sign(manifest_bytes(folder))
    written = folder / f"{SIGNATURE}.{os.getpid()}"
    written.write_bytes(signature)
    written.rename(folder / SIGNATURE)


def read_public_key(text: str) -> Ed25519PublicKey:
    """A key of `bundle.public_keys`. Raises `SettingsError`."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise SettingsError(
            "an Ed25519 key in bundle.public_keys: base64 of 32 bytes", repr(text)[:100], "liveshelf models key"
        ) from error


def signed_manifest(folder: Path, public_keys: Sequence[str]) -> dict[str, Any]:
    """The manifest of a bundle; where there are `public_keys` one of them must have signed it. Raises `BundleError`."""
    content = manifest_bytes(folder)
    if public_keys:
        _check_signature(folder, content, public_keys)
    return parse_manifest(content)


def _check_signature(folder: Path, manifest: bytes, public_keys: Sequence[str]) -> None:
    """Raises `BundleError` where no key of `public_keys` signed the manifest's bytes."""
    keys = [read_public_key(text) for text in public_keys]
    try:
        with (folder / SIGNATURE).open("rb") as opened:
            signature = opened.read(SIGNATURE_BYTES + 1)
    except OSError as error:
        raise _unsigned(folder, f"no {SIGNATURE}") from error
    for key in keys:
        try:
            key.verify(signature, manifest)
        except InvalidSignature:
            continue
        return
    raise _unsigned(folder, f"a {SIGNATURE} of another key or for another manifest")


def _unsigned(folder: Path, came: str) -> BundleError:
    return BundleError(
        "a bundle signed with a key of bundle.public_keys (bundle.require_signature)",
        f"{came} in {folder.name}",
        "sign it where it was made: liveshelf models sign BUNDLE",
    )
