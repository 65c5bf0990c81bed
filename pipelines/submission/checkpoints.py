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
    """All below these folders, newest first. One that is being written has no `_metadata` yet and is left out."""
    return sorted(_found(folders), key=lambda one: -one.made_at)


def orphans(folder: Path, running: Set[str], older_than_s: float, now: float) -> list[Path]:
    """State files below `folder` (a folder for each job) that no checkpoint there names and none will.

    Flink forgets what it uploaded for a checkpoint that was in the making when the JobManager died, and never deletes it: up
    to a whole state for each such death. `running` are the ids of jobs that live: their files must be older than their
    newest checkpoint, for the next one may be in the making. Files younger than `older_than_s` at `now` (epoch s) stay.
    """
    named: set[bytes] = set()
    newest: dict[str, float] = {}
    for one in _found((folder,)):
        named.update(_NAME.findall(_metadata_of(one)))
        job = one.path.relative_to(folder).parts[0]
        newest[job] = max(newest.get(job, 0.0), one.made_at)
    found = []
    for file in files_below(folder):
        if _NAME.fullmatch(name := file.name.encode()) and name not in named:
            job = file.relative_to(folder).parts[0]
            until = newest.get(job, 0.0) if job in running else now
            with contextlib.suppress(FileNotFoundError):
                found += [file] if file.stat().st_mtime < until - older_than_s else []
    return sorted(found)


def superseded(folder: Path, serving: str, running: Set[str], older_than_s: float, now: float) -> list[Path]:
    """Folders below `folder` of jobs that ended, from which the job `serving` has taken over.

    A job that was resumed leaves its checkpoints where they are, a whole state. They are not needed once `serving` (an id, as
    `running`, those of all jobs that live) has a newer checkpoint of its own and no living job's checkpoint names a file of
    theirs. Empty before. What is younger than `older_than_s` at `now` (epoch s) stays.
    """
    newest = max((one.made_at for one in _found((folder / serving,))), default=0.0)
    named = {
        name for one in _found(tuple(folder / job for job in running)) for name in _NAME.findall(_metadata_of(one))
    }
    found = []
    for job in sorted(folder.iterdir() if newest else ()):
        files = [*files_below(job)] if job.name not in running else []
        if files and not any(file.name.encode() in named for file in files):
            youngest = max(_changed_at(file) for file in files)
            found += [job] if youngest < min(newest, now - older_than_s) else []
    return found


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder from which Flink deletes meanwhile: `Path.rglob` raises where a folder goes before it is read."""
    for at, _, names in os.walk(folder):
        yield from (Path(at, name) for name in names)


def bytes_of(files: Iterable[Path]) -> int:
    """Of those that are still there."""
    total = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _changed_at(file: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_mtime
    return 0.0  # deleted meanwhile


def _metadata_of(one: Checkpoint) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # replaced by a newer one meanwhile
        return (one.path / "_metadata").read_bytes()
    return b""


def _found(folders: tuple[Path, ...]) -> Iterator[Checkpoint]:
    for folder in folders:
        for metadata in (file for file in files_below(folder) if file.name == "_metadata"):
            with contextlib.suppress(FileNotFoundError):
                yield Checkpoint(metadata.parent, metadata.stat().st_mtime)
