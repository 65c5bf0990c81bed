"""Where backups lie: one folder each, private, whole or not there at all; the oldest are removed."""

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
_ASIDE = re.compile(r"\.backup-\d{8}T\d{6}Z\.(part|old)")


@contextlib.contextmanager
def new_backup(root: Path) -> Iterator[tuple[Path, Path]]:
    """(where to write, the folder that it becomes with `seal`) for one run; what it leaves unsealed is removed.

    Both are named by the time, the first hidden. Nobody but this user may look into them: they hold what shoppers did.
    Raises `StackError` while another backup writes to `root`, and where the disk refuses.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (root / ".lock").open("w") as lock:
            _lock(lock.fileno(), root)
            for leftover in [entry for entry in root.iterdir() if _ASIDE.fullmatch(entry.name)]:
                shutil.rmtree(leftover)  # of a run that was killed
            folder = root / time.strftime("backup-%Y%m%dT%H%M%SZ", time.gmtime())
            if folder.exists():
                raise StackError("a backup a second, at most", f"{folder} is there", "try again")
            work = root / f".{folder.name}.part"
            work.mkdir(mode=0o700)
            try:
                yield work, folder
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StackError(f"room for a backup in {root}", str(error), "look at the disk, then try again") from error


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StackError(f"one backup at a time in {root}", "another one that runs", "wait for it") from error


def seal(work: Path, folder: Path, facts: dict[str, Any]) -> None:
    """Writes the manifest, `facts` and the sum of each file, and gives the backup its name: now it is one."""
    manifest = facts | {"files": sums(work)}
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in (work, *work.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    _to_disk(work / MANIFEST)
    work.rename(folder)
    _to_disk(folder.parent)


def rotate(root: Path, made: Path, job: str, keep: int) -> list[Path]:
    """Removes all but the newest `keep` backups of `job`, `made` among them whatever the clock said; returns the removed.

    Only folders of a backup's exact name with a manifest of this job are backups: what else lies there stays.
    """
    others = sorted(folder for folder in root.iterdir() if folder != made and _is_of(folder, job))
    removed = others[: max(0, len(others) - (keep - 1))]
    for folder in removed:
        aside = root / f".{folder.name}.old"  # half removed it would still look like a backup
        try:
            folder.rename(aside)
            shutil.rmtree(aside)
        except OSError as error:
            raise StackError(
                f"to remove the old backup {folder}",
                f"{error}; the new one is whole: {made}",
                f"remove {folder} by hand",
            ) from error
    return removed


def _is_of(folder: Path, job: str) -> bool:
    if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    try:
        return bool(json.loads((folder / MANIFEST).read_text())["job"] == job)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a backup whose files are as they were written; raises `StackError`."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        wanted = dict(manifest["files"])
        _ = manifest["partitions"], manifest["made_at"], manifest["records"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise StackError(f"a backup with {MANIFEST} in {folder}", repr(error), "name a folder backup-…") from error
    found = sums(folder)
    for name, digest in wanted.items():
        if found.get(name) != digest:
            raise StackError(f"{name} with the sum of {MANIFEST}", found.get(name, "no file"), "use an older backup")
    return manifest


def sums(folder: Path) -> dict[str, str]:
    """Path below `folder` -> sha256, of every file but the manifest; each is on the disk when this returns."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
    return {str(file.relative_to(folder)): _sum(file) for file in files}


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
