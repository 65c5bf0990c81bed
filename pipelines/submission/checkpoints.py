"""Checkpoints and savepoints of the local stack: those that `liveshelf resume` can start from, and orphaned files."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # name of a state file in `_metadata`


@dataclass(frozen=True)
class Checkpoint:
    """A folder with Flink's `_metadata`: a savepoint or a retained checkpoint."""

    path: Path
    made_at: float  # epoch s

    @property
    def kind(self) -> str:
        """savepoint or checkpoint."""
        return "savepoint" if self.path.name.startswith("savepoint") else "checkpoint"


def find_checkpoints(*folders: Path) -> list[Checkpoint]:
    """All complete checkpoints below these folders, newest first: an unfinished one has no `_metadata` yet."""
    return sorted(_checkpoints_below(folders), key=lambda checkpoint: -checkpoint.made_at)


def orphans(folder: Path, running: Set[str], older_than_s: float, now: float) -> list[Path]:
    """State files below `folder` (a folder for each job) that no checkpoint refers to, now or later.

    When the JobManager dies during a checkpoint, Flink never deletes that checkpoint's files: up to a whole state each
    time. `running`: ids of running jobs. A checkpoint of theirs may be in progress, so their orphans must be older than
    their newest checkpoint. Files younger than `older_than_s` at `now` (epoch s) stay.
    """
    referenced: set[bytes] = set()
    newest_at: dict[str, float] = {}
    for checkpoint in _checkpoints_below((folder,)):
        referenced.update(_NAME.findall(_metadata_of(checkpoint)))
        job = checkpoint.path.relative_to(folder).parts[0]
        newest_at[job] = max(newest_at.get(job, 0.0), checkpoint.made_at)
    unreferenced = []
    for file in files_below(folder):
        if _NAME.fullmatch(name := file.name.encode()) and name not in referenced:
            job = file.relative_to(folder).parts[0]
            cutoff = newest_at.get(job, 0.0) if job in running else now
            with contextlib.suppress(FileNotFoundError):
                unreferenced += [file] if file.stat().st_mtime < cutoff - older_than_s else []
    return sorted(unreferenced)


def superseded(folder: Path, serving: str, running: Set[str], older_than_s: float, now: float) -> list[Path]:
    """Folders below `folder` of ended jobs that the job `serving` has replaced.

    A job does not delete the checkpoints it was resumed from, a whole state. They can go when `serving` has a newer
    checkpoint of its own, and no checkpoint of a running job refers to one of their files. `serving` and `running` are
    job ids. Folders younger than `older_than_s` at `now` (epoch s) stay.
    """
    newest_at = max((checkpoint.made_at for checkpoint in _checkpoints_below((folder / serving,))), default=0.0)
    referenced = {
        name
        for checkpoint in _checkpoints_below(tuple(folder / job for job in running))
        for name in _NAME.findall(_metadata_of(checkpoint))
    }
    old_jobs = []
    for job in sorted(folder.iterdir() if newest_at else ()):
        files = [*files_below(job)] if job.name not in running else []
        if files and not any(file.name.encode() in referenced for file in files):
            youngest = max(_changed_at(file) for file in files)
            old_jobs += [job] if youngest < min(newest_at, now - older_than_s) else []
    return old_jobs


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder. Flink may delete folders meanwhile, for which `Path.rglob` would raise."""
    for directory, _, names in os.walk(folder):
        yield from (Path(directory, name) for name in names)


def bytes_of(files: Iterable[Path]) -> int:
    """Total size in bytes; a deleted file counts 0."""
    total = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _changed_at(file: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_mtime
    return 0.0  # deleted meanwhile


def _metadata_of(checkpoint: Checkpoint) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # replaced by a newer one meanwhile
        return (checkpoint.path / "_metadata").read_bytes()
    return b""


def _checkpoints_below(folders: tuple[Path, ...]) -> Iterator[Checkpoint]:
    for folder in folders:
        for metadata in (file for file in files_below(folder) if file.name == "_metadata"):
            with contextlib.suppress(FileNotFoundError):
                yield Checkpoint(metadata.parent, metadata.stat().st_mtime)
