"""The catalogue topic as rows of a local table. A row is the newest readable record of an item."""

from operators.errors import BadRecord
from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.records.catalogue_decode import read_item, read_record
from operators.records.contracts import CatalogueItem

# what a reader gets for an item whose record left the topic without a tombstone
GONE = CatalogueItem(item_id="(gone)")


def read_row(row: bytes) -> CatalogueItem | None:
    """The item of a row; None if an earlier release wrote a row that this one cannot read."""
    try:
        return read_item("", row)
    except BadRecord:
        return None


CATALOGUE_BUFFER_MB = 4  # of its table: a larger one would fill for most of an hour with fifty changes a second


class CatalogueRows:
    """A `RowRule`: an unreadable record leaves the row unchanged."""

    sweeps = False
    gone: CatalogueItem | None = GONE

    def __init__(self, placeholders: frozenset[str]) -> None:
        """`placeholders`: of `EventSettings`."""
        self._placeholders = placeholders

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, CatalogueItem | None]:
        """As `RowRule`."""
        if record.value is None:
            return None, None
        try:
            key = (record.key or b"").decode("utf-8", "replace")
            return record.value, read_record(key, record.value, self._placeholders)
        except BadRecord as bad:
            raise Refused(bad.reason) from bad

    def head(self, row: bytes) -> bytes:
        """As `RowRule`: a record replaces any row."""
        return b""

    def read(self, row: bytes) -> CatalogueItem | None:
        """As `RowRule`."""
        return read_row(row)

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`."""
        return False
