"""The catalogue topic as rows of a local table."""

from operators.errors import BadRecord
from operators.kafka_io.row_rules import PlainRows, Record, Refused
from operators.records.catalogue_decode import read_record

# in the place of a record's value: the topic has no record of this item any more, and no tombstone said so
GONE = b""


class CatalogueRows(PlainRows):
    """The rule of a local table: a record that cannot be read leaves the row as it was."""

    def __init__(self, placeholders: frozenset[str]) -> None:
        """`placeholders`: of `EventSettings`."""
        super().__init__(GONE)
        self._placeholders = placeholders

    def take(self, old: bytes | None, record: Record, now_ms: int) -> tuple[bytes | None, bytes | None]:
        """As `RowRule`."""
        if record.value is not None:
            try:
                read_record((record.key or b"").decode("utf-8", "replace"), record.value, self._placeholders)
            except BadRecord as bad:
                raise Refused(bad.reason) from bad
        return record.value, record.value
