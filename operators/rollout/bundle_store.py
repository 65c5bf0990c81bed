"""The bundle store: a folder, or an address that fsspec opens, with one folder a bundle, named by its sum."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operators.errors import BundleError, StackError
from operators.model.bundle_files import (
    MANIFEST,
    SIGNATURE,
    BundleFiles,
    file_hash,
    manifest_sum,
    read_manifest,
)
from operators.model.bundle_signature import signed_manifest
from operators.rollout.rollout import BundleRef

SETTING = "bundle.store"


def put(folder: Path, address: str) -> BundleRef:
    """Copies a bundle into the store at `address`, each file verified. Of a bundle that is there already it writes what the
    store lacks or holds with other bytes, the signature too. Raises `BundleError`, `StackError`."""
    manifest, bundle_sum = read_manifest(folder), manifest_sum(folder)
    target = f"{address.rstrip('/')}/{bundle_sum}"
    reference = BundleRef(name=manifest["name"], version=manifest["version"], sum=bundle_sum, address=target)
    if "://" in address:
        _put_far(folder, target)
    else:
        _put_here(folder, Path(target), bundle_sum)
    return reference


def fetched(bundle: BundleRef, cache: Path, public_keys: Sequence[str] = ()) -> Path:
    """A copy of the bundle in the folder `cache`, which no other user may write to: its manifest has the reference's sum, name
    and version, each file has the manifest's sum, and with `public_keys` the manifest is signed. A copy that fails a check is
    fetched again. Raises `BundleError`; `StackError`, retriable, where the store does not answer."""
    target = cache / bundle.sum
    try:
        _check(target, bundle, public_keys)
    except BundleError:  # not there, damaged, or signed since
        with _near(bundle.address, cache) as source, _renamed(target) as copy:
            BundleFiles(source).copy(copy)
            _check(copy, bundle, public_keys)
    return target


def forget(cache: Path, used: Sequence[str]) -> None:
    """Removes the copies in `cache` whose sums are not in `used`."""
    for entry in cache.iterdir() if cache.is_dir() else ():
        if entry.name not in used:
            shutil.rmtree(entry, ignore_errors=True)


def _put_here(folder: Path, target: Path, bundle_sum: str) -> None:
    try:
        if not _is_whole(target, bundle_sum):
            target.parent.mkdir(parents=True, exist_ok=True)
            with _renamed(target) as copy:
                BundleFiles(folder).copy(copy)
        elif (signature := folder / SIGNATURE).is_file() and not _is_equal(target / SIGNATURE, signature):
            written = target / f".{SIGNATURE}-{uuid.uuid4().hex[:8]}"  # operators may read the bundle meanwhile
            shutil.copyfile(signature, written)
            written.rename(target / SIGNATURE)
    except OSError as error:
        raise StackError(f"a folder at {SETTING} that can be written", str(error), f"correct {SETTING}") from error


def _put_far(folder: Path, target: str) -> None:
    """The manifest last: a bundle without it is not complete, and nobody has its address yet."""
    files = BundleFiles(folder)
    files.verify_others()
    with _far(target) as (system, path):
        for name in [*files.manifest["files"], SIGNATURE, MANIFEST]:
            here, there = folder / name, f"{path}/{name}"
            if here.is_file() and _far_hash(system, there) != file_hash(here):
                system.makedirs(path, exist_ok=True)
                system.put_file(str(here), there)


def _far_hash(system: Any, file: str) -> str | None:
    """sha256 of a file of the store, as hex; None where there is none."""
    if not system.exists(file):
        return None
    with system.open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def _near(address: str, cache: Path) -> Iterator[Path]:
    """The bundle's folder at `address`; of another machine's a copy, which is removed again."""
    if "://" not in address:
        if not Path(address).is_dir():
            came = f"no folder {address}"
            raise StackError(f"the bundle store ({SETTING})", came, "make it reachable from here", retriable=True)
        yield Path(address)
        return
    folder = cache / f"fetch-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        with _far(address) as (system, path):
            system.get_file(f"{path}/{MANIFEST}", str(folder / MANIFEST))
            for name in [*read_manifest(folder)["files"], SIGNATURE]:
                if name != SIGNATURE or system.exists(f"{path}/{name}"):
                    system.get_file(f"{path}/{name}", str(folder / name))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _far(address: str) -> Iterator[tuple[Any, str]]:
    """fsspec's file system and the path in it."""
    try:
        import fsspec
    except ImportError as error:
        raise StackError(
            f"fsspec, for a store at {address.partition('://')[0]}://",
            "it is not installed",
            "install liveshelf[store]",
        ) from error
    try:
        yield fsspec.core.url_to_fs(address)
    except (BundleError, StackError):
        raise
    except Exception as error:  # each file system raises its own kinds
        raise StackError(
            f"the bundle store at {address.rpartition('/')[0]}",
            f"{type(error).__name__}: {error}"[:300],
            f"correct {SETTING}, or the rights there",
            retriable=True,
        ) from error


@contextmanager
def _renamed(target: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends well."""
    copy = target.with_name(f".{target.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    copy.mkdir(parents=True)
    try:
        yield copy
        if target.exists():
            shutil.rmtree(target)
        copy.rename(target)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _is_whole(folder: Path, bundle_sum: str) -> bool:
    """Whether the folder has the bundle with this sum, each file with the manifest's sum."""
    try:
        BundleFiles(folder).verify_others()
        return manifest_sum(folder) == bundle_sum
    except BundleError:
        return False


def _is_equal(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def _check(folder: Path, bundle: BundleRef, public_keys: Sequence[str]) -> None:
    """Raises `BundleError` where the folder is not the bundle of the reference, or no key of `public_keys` signed it."""
    again = "promote the bundle again: liveshelf models promote"
    if (came := manifest_sum(folder)) != bundle.sum:
        raise BundleError(
            f"{bundle.label} with the manifest {bundle.sum[:12]}…", f"{came[:12]}… at {bundle.address}", again
        )
    manifest = signed_manifest(folder, public_keys)
    if (manifest["name"], manifest["version"]) != (bundle.name, bundle.version):
        came = f"{manifest['name']} {manifest['version']} in the manifest {bundle.sum[:12]}…"
        raise BundleError(f"{bundle.label}, as the record of the rollout names it", came, again)
    BundleFiles(folder, manifest).verify_others()
