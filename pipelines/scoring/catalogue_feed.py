"""What an operator tells its scorer process of the catalogue."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from operators.kafka_io.catalogue_rows import GONE
from operators.records.contracts import CatalogueItem
from pipelines.scoring.wire import DELISTED, NO_RECORD, CatalogueChange, chunks


class Rows(Protocol):
    """The current catalogue: an `operators.kafka_io.compacted_table.CompactedTable`."""

    def row(self, key: str) -> bytes | None:
        """The record of an item; None where the catalogue does not hold it."""

    def rows(self) -> Iterable[tuple[str, bytes]]:
        """All records."""


class CatalogueFeed:
    """The changes that a process does not know yet. `changed` may be called from any thread."""

    def __init__(self, is_known: Callable[[str], object]) -> None:
        """`is_known`: whether the model has an item of that name; other items are left out."""
        self._is_known = is_known
        self._rows: Rows | None = None
        # items, not records: at most as many as the model has
        self._changes: dict[str, None] = {}
        self._absent: dict[str, bytes | None] = {}  # items without a row: a tombstone leaves no other trace
        self._rows_told = False

    def attach(self, rows: Rows) -> None:
        """The source: a new process is told of all rows, then of those of `changed`."""
        self._rows = rows

    def changed(self, key: str, change: CatalogueItem | None) -> None:
        """As `operators.lists.catalogue.Catalogue.changed`, after the row has changed."""
        if not self._is_known(key):
            return
        if change is None or change is GONE:
            self._absent[key] = DELISTED if change is None else NO_RECORD
        else:
            self._absent.pop(key, None)
        self._changes[key] = None

    def start_over(self) -> None:
        """Another process knows nothing."""
        self._rows_told = False

    def news(self) -> Iterator[list[CatalogueChange]]:
        """What the process must be told, in parts of a bounded size."""
        if not self._rows_told and self._rows is not None:
            self._changes.clear()  # before the rows are read: a change in between is told twice
            known_rows = ((key, row) for key, row in self._rows.rows() if self._is_known(key))
            yield from chunks(itertools.chain([*self._absent.items()], known_rows))
            self._rows_told = True
        if self._changes:
            yield from chunks(self._new_changes())

    def _new_changes(self) -> Iterator[CatalogueChange]:
        assert self._rows is not None
        while self._changes:
            key, _ = self._changes.popitem()
            row = self._rows.row(key)
            yield key, self._absent.get(key) if row is None else row
