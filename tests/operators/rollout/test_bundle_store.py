"""Bundles in a store, and their copies where they serve."""

from pathlib import Path

import fsspec
import msgspec
import pytest

from operators.errors import BundleError, StackError
from operators.model.bundle_files import MANIFEST, manifest_sum
from operators.model.bundle_signature import new_key, sign_bundle
from operators.model.model_bundle import ModelBundle
from operators.rollout.bundle_store import fetched, forget, put
from tests.builders import write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "mine")


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}/store"


def test_what_was_put_is_fetched_whole(bundle: Path, store: str, tmp_path: Path) -> None:
    reference = put(bundle, store)
    assert (reference.name, reference.version, reference.sum) == ("known", "1", manifest_sum(bundle))
    copy = fetched(reference, tmp_path / "cache")
    assert ModelBundle.load(copy).vocabulary.item_ids == ModelBundle.load(bundle).vocabulary.item_ids
    assert put(bundle, store) == reference, "twice is once"
    assert fetched(reference, tmp_path / "cache") == copy
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [reference.sum], "nothing else is left behind"


def test_a_bundle_that_is_signed_later_is_put_again(bundle: Path, store: str, tmp_path: Path) -> None:
    reference, key = put(bundle, store), new_key(tmp_path / "key.pem")
    with pytest.raises(BundleError, match="signed"):
        fetched(reference, tmp_path / "before", [key])
    sign_bundle(bundle, str(tmp_path / "key.pem"))
    assert put(bundle, store) == reference
    assert fetched(reference, tmp_path / "cache", [key]).name == reference.sum


def test_a_copy_that_was_fetched_before_the_bundle_was_signed_is_fetched_again(
    bundle: Path, store: str, tmp_path: Path
) -> None:
    reference, cache = put(bundle, store), tmp_path / "cache"
    fetched(reference, cache)
    key, newer = new_key(tmp_path / "key.pem"), new_key(tmp_path / "newer.pem")
    for public, private in ((key, "key.pem"), (newer, "newer.pem")):  # a key is rotated
        sign_bundle(bundle, str(tmp_path / private))
        put(bundle, store)
        assert fetched(reference, cache, [public]).name == reference.sum
    with pytest.raises(BundleError, match="another key"):
        fetched(reference, cache, [key])


@pytest.mark.parametrize("file", [MANIFEST, "model.onnx"])
def test_a_damaged_copy_is_fetched_again(bundle: Path, store: str, tmp_path: Path, file: str) -> None:
    reference, cache = put(bundle, store), tmp_path / "cache"
    (fetched(reference, cache) / file).write_bytes(b"damaged")
    assert ModelBundle.load(fetched(reference, cache)).version == "1"


@pytest.mark.parametrize("file", [MANIFEST, "model.onnx"])
def test_a_bundle_that_is_damaged_in_the_store_is_mended_by_the_next_put(
    bundle: Path, store: str, tmp_path: Path, file: str
) -> None:
    reference = put(bundle, store)
    with fsspec.open(f"{reference.address}/{file}", "wb") as damaged:
        damaged.write(b"damaged")
    with pytest.raises(BundleError):
        fetched(reference, tmp_path / "cache")
    put(bundle, store)
    assert fetched(reference, tmp_path / "cache").is_dir()


def test_a_damaged_bundle_is_not_put(bundle: Path, store: str) -> None:
    (bundle / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        put(bundle, store)


@pytest.mark.parametrize("wrong", [{"name": "another"}, {"version": "2"}])
def test_a_reference_with_another_name_or_version_than_the_manifest_is_refused(
    bundle: Path, tmp_path: Path, wrong: dict[str, str]
) -> None:
    """Lists name the manifest's: guard and metrics would look for lists of the reference's."""
    reference = put(bundle, str(tmp_path / "store"))
    fetched(reference, tmp_path / "cache")
    with pytest.raises(BundleError, match="record of the rollout"):
        fetched(msgspec.structs.replace(reference, **wrong), tmp_path / "cache")


@pytest.mark.parametrize("file", [MANIFEST, "model.onnx"])
def test_a_bundle_that_was_changed_in_the_store_is_refused(bundle: Path, tmp_path: Path, file: str) -> None:
    reference = put(bundle, str(tmp_path / "store"))
    changed = Path(reference.address) / file
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(BundleError):
        fetched(reference, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_store_that_is_away_may_come_back(bundle: Path, store: str, tmp_path: Path) -> None:
    reference = put(bundle, store)
    away = msgspec.structs.replace(reference, address=f"{reference.address}-away")
    with pytest.raises(StackError) as raised:
        fetched(away, tmp_path / "cache")
    assert raised.value.retriable
    with pytest.raises(StackError):
        fetched(msgspec.structs.replace(reference, address="no-such-scheme://x/y"), tmp_path / "cache")


def test_a_copy_that_nobody_uses_is_removed(bundle: Path, tmp_path: Path) -> None:
    reference = put(bundle, str(tmp_path / "store"))
    copy = fetched(reference, tmp_path / "cache")
    forget(tmp_path / "cache", [reference.sum])
    assert copy.is_dir()
    forget(tmp_path / "cache", [])
    assert not copy.exists()


def test_a_far_bundle_without_its_manifest_is_put_again(bundle: Path, tmp_path: Path) -> None:
    store = f"memory://{tmp_path.name}/torn"
    reference = put(bundle, store)
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}/torn/{reference.sum}/{MANIFEST}")
    put(bundle, store)
    assert fetched(reference, tmp_path / "cache").is_dir()
