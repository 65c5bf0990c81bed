"""What a table makes of a record: the rule by which a local row changes, or the record is refused."""

from typing import Protocol, TypeVar

Value_co = TypeVar("Value_co", covariant=True)


class TopicRecord(Protocol):
    """The part of kafka-python's record that a rule looks at."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Refused(Exception):
    """A record that changes no row. `reason` is a label of a metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RowRule(Protocol[Value_co]):
    """How the records of a topic become rows. Called from the table's thread alone, but for `read`."""

    sweeps: bool  # whether `stale` says yes to any row

    @property
    def gone(self) -> Value_co | None:
        """What a reader is told in the place of a row that the topic no longer has."""

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, Value_co | None]:
        """The row after a record (None: no row), and what a reader is told. Raises `Refused`."""

    def read(self, row: bytes) -> Value_co | None:
        """What a row says to a reader; None: nothing."""

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """Whether a row may go. `tombstones_ms`: how long the topic keeps a tombstone."""
