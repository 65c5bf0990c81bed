"""Fakes of a job with a savepoint and of topics."""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from operators.records.contracts import ERASURES, EVENTS
from operators.settings import Settings
from pipelines.submission.served_bundle import FOLDER, NAME, SUM, manifest_sum

SETTINGS = Settings.of_dump(Settings.model_construct().model_dump() | {"kafka": {"partitions": 2}})
SOURCE_OFFSETS = {(EVENTS, 0): 700, (EVENTS, 1): -3, (ERASURES, 0): 5, (ERASURES, 1): 0}
RECORD_MS = 1_700_000_000_000


def split(topic: str, partition: int, offset: int) -> bytes:
    return struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">iqq", partition, offset, -(2**63))


class Job:
    """A running job of a cluster on this machine."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.bundle, self.savepoints = bundle, folder / "savepoints"
        self.disposed: list[str] = []

    def __call__(self, rest_url: str) -> "Job":
        return self

    def jobs(self, name: str | None = None) -> list[dict[str, str]]:
        return [{"jid": "a", "name": SETTINGS.job.name}]

    def get(self, path: str) -> dict[str, Any]:
        parameters = {SUM: manifest_sum(self.bundle), NAME: "known 1", FOLDER: str(self.bundle)}
        return {"execution-config": {"user-config": parameters}}

    def savepoint(self, job_id: str) -> str:
        folder = self.savepoints / "savepoint-1"
        folder.mkdir(parents=True)
        (folder / "_metadata").write_bytes(
            b"".join(split(*partition, offset) for partition, offset in SOURCE_OFFSETS.items())
        )
        (folder / "state").write_bytes(b"everyone")
        return f"file:{folder}"

    def dispose_savepoint(self, location: str) -> None:
        self.disposed.append(location)


class Topic:
    """A range of a topic. Erasures: the state has seen two of three."""

    ranges: list[tuple[str, Any]]

    def __init__(self, kafka: Any, topic: str, after: Any = None) -> None:
        Topic.ranges.append((topic, after))
        self._topic = topic

    def __iter__(self) -> Iterator[Any]:
        offsets = {EVENTS: (700, 701), ERASURES: (1, 4, 6)}.get(self._topic, (3,))
        for offset in offsets:
            yield SimpleNamespace(
                partition=0, offset=offset, timestamp=RECORD_MS + offset, key=b"k", value=b"v", headers=[]
            )

    def close(self) -> None:
        pass


def paths_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"} if folder.exists() else set()
