"""The simplest rule of a local table."""

from operators.kafka_io.row_rules import TopicRecord


class PlainRows:
    """A row is the newest value of its key. An empty value is a tombstone."""

    sweeps = False

    def __init__(self, gone: bytes | None = None) -> None:
        """`gone`: told in the place of a value that the topic no longer has, and no tombstone said so."""
        self.gone = gone

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, bytes | None]:
        """As `RowRule`."""
        value = record.value or None
        return value, value

    def head(self, row: bytes) -> bytes:
        """As `RowRule`."""
        return row

    def read(self, row: bytes) -> bytes | None:
        """As `RowRule`."""
        return row

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`."""
        return False
