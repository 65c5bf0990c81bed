"""Folders of backups: private, complete or absent; rotation removes the oldest."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from operators.errors import StackError

MANIFEST = "manifest.json"
_NAME = re.compile(r"backup-\d{8}T\d{6}Z")
_LEFTOVER = re.compile(r"\.backup-\d{8}T\d{6}Z\.(part|old)")


@contextlib.contextmanager
def new_backup(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yields (folder to write to, name that `seal` gives it); removes an unsealed folder at the end.

    The time names both; the first is hidden. Only this user may read them: they hold shoppers' events.
    Raises `StackError` while another backup writes to `root`, and for errors of the disk.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (root / ".lock").open("w") as lock:
            _lock(lock.fileno(), root)
            for leftover in [entry for entry in root.iterdir() if _LEFTOVER.fullmatch(entry.name)]:
                shutil.rmtree(leftover)  # of a run that was killed
            folder = root / time.strftime("backup-%Y%m%dT%H%M%SZ", time.gmtime())
            if folder.exists():
                raise StackError("a backup a second, at most", f"{folder} is there", "try again")
            part_folder = root / f".{folder.name}.part"
            part_folder.mkdir(mode=0o700)
            try:
                yield part_folder, folder
            finally:
                shutil.rmtree(part_folder, ignore_errors=True)
    except OSError as error:
        raise StackError(f"room for a backup in {root}", str(error), "look at the disk, then try again") from error


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StackError(f"one backup at a time in {root}", "another one that runs", "wait for it") from error


def seal(part_folder: Path, folder: Path, facts: dict[str, Any]) -> None:
    """Writes the manifest (`facts` and the checksum of each file), and renames the folder: the backup is complete."""
    manifest = facts | {"files": sums(part_folder)}
    (part_folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in (part_folder, *part_folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    _to_disk(part_folder / MANIFEST)
    part_folder.rename(folder)
    _to_disk(folder.parent)


def rotate(root: Path, current: Path, job: str, keep: int) -> list[Path]:
    """Removes all but the newest `keep` backups of `job`, never `current`; returns the removed folders.

    A backup has exactly a backup's name and a manifest of this job. Everything else in `root` stays.
    """
    previous = sorted(folder for folder in root.iterdir() if folder != current and _is_backup_of(folder, job))
    removed = previous[: max(0, len(previous) - (keep - 1))]
    for folder in removed:
        hidden = root / f".{folder.name}.old"  # a half removed folder must not look like a backup
        try:
            folder.rename(hidden)
            shutil.rmtree(hidden)
        except OSError as error:
            raise StackError(
                f"to remove the old backup {folder}",
                f"{error}; the new one is whole: {current}",
                f"remove {folder} by hand",
            ) from error
    return removed


def _is_backup_of(folder: Path, job: str) -> bool:
    if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    try:
        return bool(json.loads((folder / MANIFEST).read_text())["job"] == job)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a backup, after a check of all checksums. Raises `StackError`."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        expected = dict(manifest["files"])
        _ = manifest["partitions"], manifest["made_at"], manifest["records"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise StackError(f"a backup with {MANIFEST} in {folder}", repr(error), "name a folder backup-…") from error
    actual = sums(folder)
    for name, digest in expected.items():
        if actual.get(name) != digest:
            raise StackError(f"{name} with the sum of {MANIFEST}", actual.get(name, "no file"), "use an older backup")
    return manifest


def sums(folder: Path) -> dict[str, str]:
    """Path below `folder` -> sha256 of each file except the manifest. Flushes each file to the disk."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
    return {str(file.relative_to(folder)): _checksum(file) for file in files}


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
