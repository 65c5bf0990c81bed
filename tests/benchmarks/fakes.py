"""What benchmarks ask, without a stack: lists on a topic, a load, processes, a cluster."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measuring.conditions import Check, Parts, Sources
from operators.errors import ClusterError


@dataclass
class Record:
    """As kafka-python gives it."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    topic: str = ""


def list_record(user: str, version: int, event_time: int, **fields: Any) -> Record:
    """A list on the output topic."""
    record = {
        "recommendation_id": "r", "user_id": user, "version": version, "event_time": event_time, "event_id": "e",
        "generated_at": event_time + 1, "model": {"name": "m", "version": "1"}, "source": "model", "items": [],
        "expires_at": event_time + 1000,
    }  # fmt: skip
    return Record(user.encode(), json.dumps(record | fields).encode())


@dataclass
class Consumer:
    """Gives one batch of records a poll; `unread` records are behind them and never come."""

    batches: Iterator[list[Record]]
    unread: int = 0
    closed: bool = False
    taken: int = field(default=0)

    def poll(self, timeout_ms: int) -> dict[str, list[Record]]:
        records = next(self.batches, [])
        self.taken += len(records)
        return {"lists-0": records} if records else {}

    def assignment(self) -> set[str]:
        return {"lists-0"}

    def end_offsets(self, partitions: Iterable[str]) -> dict[str, int]:
        return dict.fromkeys(partitions, self.taken + self.unread)

    def position(self, partition: str) -> int:
        return self.taken

    def close(self) -> None:
        self.closed = True


@dataclass
class Generator:
    """A load in the background that has ended after so many polls."""

    report: dict[str, float] | None
    polls: int = 3
    returncode: int = 0

    def poll(self) -> int | None:
        self.polls -= 1
        return self.returncode if self.polls <= 0 else None

    def communicate(self) -> tuple[str, None]:
        return json.dumps(self.report) if self.report else "", None

    def terminate(self) -> None:
        pass


def sent(count: int, **fields: float) -> dict[str, float]:
    """What a load says of itself that kept a rate of 100/s."""
    return {"sent": count, "failed": 0, "seconds": count / 100, "late_ms": 3.0} | fields


@dataclass
class Says:
    """A check that finds these things wrong."""

    reasons: list[str]

    def find_violations(self) -> list[str]:
        return self.reasons


class Counted(Sources):
    """Lists by source."""

    def __init__(self, **lists: int) -> None:
        self._lists = lists

    def since(self) -> dict[str, int]:
        return self._lists


def parts(*reasons: str, **sources: int) -> Parts:
    """This process as the stack, of which `reasons` are said at the end."""
    checks: list[Check] = [Says([*reasons])]
    return Parts(lambda: {"storefront": os.getpid()}, lambda: checks, (lambda: Counted(**sources)) if sources else None)


class Cluster:
    """A Flink cluster whose jobs, failures and tasks are as they are set; `None`: out of reach."""

    def __init__(self, *names: str) -> None:
        self.running: list[dict[str, str]] | None = [{"jid": f"id of {name}", "name": name} for name in names]
        self.failures: list[dict[str, int]] = []
        self.tasks_run = True

    def jobs(self, name: str | None = None) -> list[dict[str, str]]:
        if self.running is None:
            raise ClusterError("a Flink cluster", "refused", "liveshelf up")
        return [job for job in self.running if name in (None, job["name"])]

    def get(self, path: str) -> dict[str, Any]:
        return {"exceptionHistory": {"entries": self.failures}}

    def running_tasks(self, job_id: str) -> bool:
        return self.tasks_run
