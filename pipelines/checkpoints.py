"""Checkpoints and savepoints of the local stack, newest first: what `liveshelf resume` can start from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


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


def _found(folders: tuple[Path, ...]) -> Iterator[Checkpoint]:
    for folder in folders:
        for metadata in folder.rglob("_metadata"):
            yield Checkpoint(metadata.parent, metadata.stat().st_mtime)
