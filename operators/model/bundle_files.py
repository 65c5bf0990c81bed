"""Reads the files of a bundle's folder, each once and within a limit.

A path may lead to other bytes when it is opened again after its hash was checked. So callers get the hashed bytes.
"""

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from operators.errors import BundleError

MANIFEST = "manifest.json"
SIGNATURE, SIGNATURE_BYTES = "manifest.sig", 64  # `operators/model/bundle_signature.py`
MAX_MANIFEST = 1 << 20  # it is parsed before it is verified; real ones have a few KB
MAX_FILES = 64  # a bundle has sixteen
MAX_FILE = (1 << 31) - 1  # protobuf's limit and therefore a graph's; item vectors of 5 million items fit too
MAX_BUNDLE = 4 << 30  # of all files together: a million items need 0.9 GB
FIX = "make the bundle again with `liveshelf train`, or name another with --bundle"
_CHUNK = 1 << 20
_plain = re.compile(r"[\w-][\w.-]{0,127}")  # a file's own name: no folder, no hidden file
_label = re.compile(r"\w[\w .+:-]{0,63}")
_sum = re.compile(r"[0-9a-f]{64}")


class BundleFiles:
    """A folder and the manifest of its files."""

    def __init__(self, folder: Path, manifest: dict[str, Any] | None = None) -> None:
        """`manifest`: of an earlier `read_manifest`. Raises `BundleError`."""
        self.folder = folder
        self.manifest = read_manifest(folder) if manifest is None else manifest
        self._sums: dict[str, str] = self.manifest["files"]
        self._sizes: dict[str, int] = {}  # of the files that were verified

    def read(self, name: str, limit: int = MAX_FILE) -> bytes:
        """The bytes of a file, `limit` at most, whose sha256 is the manifest's; raises `BundleError`."""
        expected = self._expected_sum(name)
        content = _read(self.folder / name, limit)
        _compare(name, expected, hashlib.sha256(content).hexdigest())
        self._count(name, len(content))
        return content

    def verify_others(self, *but: str) -> None:
        """Verifies the files that were not read yet, except `but`. Raises `BundleError`."""
        for name in self._sums.keys() - self._sizes.keys() - {*but}:
            for _ in self._verified(name):
                pass

    def unlisted(self) -> list[str]:
        """Other names in the folder. No code reads them, and `copy` leaves them out."""
        return sorted({entry.name for entry in self.folder.iterdir()} - self._sums.keys() - {MANIFEST, SIGNATURE})

    def copy(self, target: Path) -> None:
        """Writes the manifest, its signature if there is one, and the files that it names, verified, into the empty folder
        `target`.

        Raises `BundleError` if a file differs from the manifest; then `target` is not complete.
        """
        target.mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).write_bytes(_read(self.folder / MANIFEST, MAX_MANIFEST))
        if (self.folder / SIGNATURE).is_file():
            (target / SIGNATURE).write_bytes(_read(self.folder / SIGNATURE, SIGNATURE_BYTES))
        for name in self._sums:
            with (target / name).open("xb") as copied:
                for chunk in self._verified(name):
                    copied.write(chunk)

    def _verified(self, name: str) -> Iterator[bytes]:
        """A file piece by piece; raises `BundleError` at its end if it differs from the manifest."""
        summed, size = hashlib.sha256(), 0
        for chunk in _chunks(self.folder / name, MAX_FILE):
            summed.update(chunk)
            size += len(chunk)
            yield chunk
        _compare(name, self._expected_sum(name), summed.hexdigest())
        self._count(name, size)

    def _count(self, name: str, size: int) -> None:
        self._sizes[name] = size
        if (total := sum(self._sizes.values())) > MAX_BUNDLE:
            raise BundleError(f"a bundle of at most {MAX_BUNDLE} bytes", f"{total} or more", FIX)

    def _expected_sum(self, name: str) -> str:
        if name not in self._sums:
            raise BundleError(f"{name} in the bundle's manifest", "none", FIX)
        return self._sums[name]


def weights_trained_s(manifest: Mapping[str, Any]) -> float:
    """When a bundle's weights were trained, epoch s: `trained_at` of the trainer that keeps up, whose light rounds make bundles
    with the weights of an earlier one; else when the bundle was made. 0 if the manifest names no such time."""
    trained_ms, created = manifest.get("trained_at"), manifest.get("created")
    if isinstance(trained_ms, int | float):
        return trained_ms / 1000
    try:
        return datetime.fromisoformat(str(created)).timestamp()
    except ValueError:
        return 0.0


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json with its required keys, its files named by plain names and sums; raises `BundleError`."""
    return parse_manifest(manifest_bytes(folder))


def parse_manifest(content: bytes) -> dict[str, Any]:
    """As `read_manifest`, of the file's bytes."""
    manifest = json_of(MANIFEST, content)
    if not isinstance(manifest, dict):
        raise BundleError(f"a JSON object in {MANIFEST}", type(manifest).__name__, FIX)
    if missing := {"name", "version", "files"} - manifest.keys():
        raise BundleError(f"name, version and files in {MANIFEST}", f"no {', '.join(sorted(missing))}", FIX)
    for key in ("name", "version"):
        check_label(key, manifest[key])
    _check_sums(manifest["files"])
    if created := manifest.get("created"):
        try:
            datetime.fromisoformat(created)
        except (TypeError, ValueError) as error:
            raise BundleError(f"an ISO 8601 time as created in {MANIFEST}", repr(created)[:100], FIX) from error
    return manifest


def manifest_bytes(folder: Path) -> bytes:
    """manifest.json as it is; raises `BundleError`."""
    file = folder / MANIFEST
    if not file.exists():
        raise BundleError(f"a bundle folder with a {MANIFEST}", f"none at {file}", FIX)
    return _read(file, MAX_MANIFEST)


def manifest_sum(folder: Path) -> str:
    """sha256 of a bundle's manifest, which holds the sums of all files: it identifies the bundle. Raises `BundleError`."""
    return hashlib.sha256(manifest_bytes(folder)).hexdigest()


def check_label(key: str, value: Any) -> None:
    """Raises `BundleError` where a bundle's name or version is not one: file names and metrics are made of them."""
    if not isinstance(value, str) or not _label.fullmatch(value):
        raise BundleError(f"a {key} of 1 to 64 letters, digits, blanks or . + : -", repr(value)[:100], FIX)


def json_of(name: str, content: bytes) -> Any:
    """The JSON value in a file; raises `BundleError`, also where it is nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"JSON in {name}", str(error)[:200], FIX) from error


def file_hash(file: Path) -> str:
    """sha256 of a file, as hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _check_sums(files: Any) -> None:
    if not isinstance(files, dict):
        raise BundleError(f"files as an object in {MANIFEST}", type(files).__name__, FIX)
    if len(files) > MAX_FILES:
        raise BundleError(f"at most {MAX_FILES} files in a bundle", f"{len(files)}", FIX)
    for name, sha256 in files.items():
        if not _plain.fullmatch(name) or name == MANIFEST:
            raise BundleError(f"plain file names in {MANIFEST}", repr(name)[:100], FIX)
        if not isinstance(sha256, str) or not _sum.fullmatch(sha256):
            raise BundleError(f"the sha256 of {name} in {MANIFEST}", repr(sha256)[:100], FIX)


def _compare(name: str, expected: str, actual: str) -> None:
    if actual != expected:
        raise BundleError(f"{name} with sha256 {expected[:12]}…", f"{actual[:12]}…", FIX)


def _read(file: Path, limit: int) -> bytes:
    with _opened(file, limit) as (opened, size):
        content = opened.read(size + 1)
    if len(content) != size:
        raise BundleError(f"{file.name} to stay as it is", "a file that is being written", FIX)
    return content


def _chunks(file: Path, limit: int) -> Iterator[bytes]:
    total = 0
    with _opened(file, limit) as (opened, _):
        while chunk := opened.read(_CHUNK):
            if (total := total + len(chunk)) > limit:
                raise BundleError(f"{file.name} of at most {limit} bytes", "more", FIX)
            yield chunk


@contextmanager
def _opened(file: Path, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """(the file, its size). A link may lead out of the folder, and a pipe or a device never ends: they are refused."""
    try:
        with open(file, "rb", opener=_no_link) as opened:
            size = os.fstat(opened.fileno()).st_size
            if size > limit:
                raise BundleError(f"{file.name} of at most {limit} bytes", f"{size}", FIX)
            yield opened, size
    except OSError as error:
        came = "a link" if file.is_symlink() else str(error.strerror)
        raise BundleError(f"the file {file.name} in the bundle", came, FIX) from error


def _no_link(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "something that is no regular file")
    return descriptor
