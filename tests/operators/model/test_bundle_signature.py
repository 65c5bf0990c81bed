"""Who signed a bundle."""

from pathlib import Path

import pytest

from operators.errors import BundleError, SettingsError
from operators.model.bundle_files import MANIFEST, SIGNATURE, BundleFiles
from operators.model.bundle_signature import new_key, read_public_key, sign_bundle
from operators.model.model_bundle import ModelBundle
from operators.settings import Settings
from tests.builders import write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.fixture
def public_key(tmp_path: Path) -> str:
    return new_key(tmp_path / "key.pem")


def test_a_signed_bundle_serves_where_one_of_the_keys_signed_it(bundle: Path, tmp_path: Path, public_key: str) -> None:
    sign_bundle(bundle, str(tmp_path / "key.pem"))
    other = new_key(tmp_path / "other.pem")
    assert ModelBundle.load(bundle, [other, public_key]).name == "known"
    with pytest.raises(BundleError, match="of another key"):
        ModelBundle.load(bundle, [other])


def test_a_bundle_without_a_signature_serves_only_where_none_is_required(bundle: Path, public_key: str) -> None:
    assert ModelBundle.load(bundle).name == "known"
    with pytest.raises(BundleError, match=r"no manifest\.sig"):
        ModelBundle.load(bundle, [public_key])


@pytest.mark.parametrize("change", ["manifest", "signature", "longer"])
def test_a_changed_byte_ends_the_signature(bundle: Path, tmp_path: Path, public_key: str, change: str) -> None:
    sign_bundle(bundle, str(tmp_path / "key.pem"))
    if change == "manifest":
        file = bundle / MANIFEST
        file.write_bytes(file.read_bytes() + b" ")
    else:
        file = bundle / SIGNATURE
        content = file.read_bytes()
        file.write_bytes(content + b"x" if change == "longer" else bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(BundleError, match="for another manifest"):
        ModelBundle.load(bundle, [public_key])


def test_a_copy_keeps_the_signature(bundle: Path, tmp_path: Path, public_key: str) -> None:
    sign_bundle(bundle, str(tmp_path / "key.pem"))
    assert BundleFiles(bundle).unlisted() == []
    BundleFiles(bundle).copy(tmp_path / "copy")
    assert ModelBundle.load(tmp_path / "copy", [public_key]).name == "known"


def test_a_key_is_for_its_owner_alone_and_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    read_public_key(new_key(file))
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match="a new file"):
        new_key(file)
    file.chmod(0o644)
    with pytest.raises(SettingsError):
        sign_bundle(tmp_path, str(file))


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ="])
def test_what_is_no_key_is_said(text: str) -> None:
    with pytest.raises(SettingsError, match="base64 of 32 bytes"):
        read_public_key(text)


def test_signatures_cannot_be_required_without_a_key() -> None:
    with pytest.raises(ValueError, match="public_keys"):
        Settings(bundle={"require_signature": True})
