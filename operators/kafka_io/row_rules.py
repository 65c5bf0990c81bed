"""The rule by which a record of a topic changes a row of a local table, or is refused."""

from typing import Protocol, TypeVar

Value_co = TypeVar("Value_co", covariant=True)


class TopicRecord(Protocol):
    """The fields of kafka-python's record that a rule reads."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Refused(Exception):
    """A record that changes no row. `reason` is a label of a metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RowRule(Protocol[Value_co]):
    """How the records of a topic become rows. Only the table's thread calls it, but any thread calls `read`."""

    sweeps: bool  # whether `stale` is ever true

    @property
    def gone(self) -> Value_co | None:
        """The value that a reader gets for a row that the topic no longer has."""

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, Value_co | None]:
        """The row after a record (None: no row), and the value for readers. Raises `Refused`."""

    def head(self, row: bytes) -> bytes:
        """What `take` reads of the row that a record replaces; it takes the head in place of the row."""

    def read(self, row: bytes) -> Value_co | None:
        """The value of a row for readers; None: none."""

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """Whether a row may be removed. `tombstones_ms`: how long the topic keeps a tombstone."""
