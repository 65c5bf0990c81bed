"""Checkpoints and savepoints of the local stack: what `liveshelf resume` can start from, and files that none of them needs."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # of a state file, as `_metadata` holds it


@dataclass(frozen=True)
class Checkpoint:
    """A folder with Flink's `_metadata`: a savepoint, or a checkpoint that was retained."""

    path: Path
    made_at: float  # epoch s

    @property
    def kind(self) -> str:
        """savepoint or checkpoint."""
        return "savepoint" if self.path.name.startswith("savepoint") else "checkpoint"


def find_checkpoints(*folders: Path) -> list[Checkpoint]:
    """All checkpoints below these folders, newest first; an unfinished one has no `_metadata` yet and is left out."""
    return sorted(_checkpoints_below(folders), key=lambda checkpoint: -checkpoint.made_at)


def orphans(folder: Path, running: Set[str], older_than_s: float, now: float) -> list[Path]:
    """State files below `folder` (a folder for each job) that no checkpoint refers to, now or later.

    When the JobManager dies during a checkpoint, Flink never deletes the files of that checkpoint: up to a whole state each
    time. `running` are the ids of running jobs: their files must be older than their newest checkpoint, for the next one
    may be in progress. Files younger than `older_than_s` at `now` (epoch s) stay.
    """
    named: set[bytes] = set()
    newest: dict[str, float] = {}
    for checkpoint in _checkpoints_below((folder,)):
        named.update(_NAME.findall(_metadata_of(checkpoint)))
        job = checkpoint.path.relative_to(folder).parts[0]
        newest[job] = max(newest.get(job, 0.0), checkpoint.made_at)
    unnamed = []
    for file in files_below(folder):
        if _NAME.fullmatch(name := file.name.encode()) and name not in named:
            job = file.relative_to(folder).parts[0]
            until = newest.get(job, 0.0) if job in running else now
            with contextlib.suppress(FileNotFoundError):
                unnamed += [file] if file.stat().st_mtime < until - older_than_s else []
    return sorted(unnamed)


def superseded(folder: Path, serving: str, running: Set[str], older_than_s: float, now: float) -> list[Path]:
    """Folders below `folder` of ended jobs that the job `serving` has replaced.

    A resumed job leaves the checkpoints of its predecessor, a whole state. They are not needed once `serving` has a newer
    checkpoint of its own and no checkpoint of a running job refers to one of their files; before that the answer is empty.
    `serving` and `running` are job ids. Folders younger than `older_than_s` at `now` (epoch s) stay.
    """
    newest = max((checkpoint.made_at for checkpoint in _checkpoints_below((folder / serving,))), default=0.0)
    named = {
        name
        for checkpoint in _checkpoints_below(tuple(folder / job for job in running))
        for name in _NAME.findall(_metadata_of(checkpoint))
    }
    old_jobs = []
    for job in sorted(folder.iterdir() if newest else ()):
        files = [*files_below(job)] if job.name not in running else []
        if files and not any(file.name.encode() in named for file in files):
            youngest = max(_changed_at(file) for file in files)
            old_jobs += [job] if youngest < min(newest, now - older_than_s) else []
    return old_jobs


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder from which Flink deletes meanwhile: `Path.rglob` raises where a folder goes before it is read."""
    for at, _, names in os.walk(folder):
        yield from (Path(at, name) for name in names)


def bytes_of(files: Iterable[Path]) -> int:
    """Their size on the disk; deleted files count as 0."""
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
