"""The catalogue as arrays by model row: availability, category, brand and worth. Applies each record of the topic."""

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.kafka_io.catalogue_rows import GONE
from operators.lists.availability import ANYTIME, FOREVER, Coverage, may_be_listed, offer_of
from operators.lists.item_codes import ItemCodes
from operators.lists.worth import Worth
from operators.records.contracts import CatalogueItem
from operators.shopper.features import Vocabulary


class _Shown(NamedTuple):
    """The items that may be listed from `start` until before `end` (epoch ms)."""

    allowed: npt.NDArray[np.bool_]
    start: int
    end: int


class Catalogue:
    """Stock, availability (`operators.lists.availability`), category, brand and worth of a model's items.

    Thread-safe: the table's thread calls `changed`, the scorer and the fallback ask `allowed`. Each record is applied
    at once, so the memory is bounded by the model's items.
    """

    def __init__(self, vocabulary: Vocabulary, coverage: float) -> None:
        rows = len(vocabulary) + 1
        self._vocabulary = vocabulary
        self._coverage = Coverage(len(vocabulary), coverage)
        self._in_stock = np.ones(rows, dtype=bool)
        self._held = np.zeros(rows, dtype=bool)
        self._delisted = np.zeros(rows, dtype=bool)
        self._start = np.zeros(rows, dtype=np.int64)
        self._end = np.full(rows, FOREVER, dtype=np.int64)
        self.categories, self.brands = ItemCodes(rows), ItemCodes(rows)
        self.worth = Worth(rows)
        self._timed: set[int] = set()  # rows that may be listed at some times only
        self._shown: _Shown | None = None
        self._lock = threading.Lock()

    def changed(self, key: str, change: CatalogueItem | None) -> None:
        """Applies the newest record of an item: None if it was delisted, `GONE` if its record left the topic. The next
        list follows it."""
        row = self._vocabulary.row(key)
        if row == 0:
            return
        item = None if change is GONE else change
        offer = ANYTIME if item is None else offer_of(item)
        with self._lock:
            self._coverage.held += (item is not None) - int(self._held[row])
            self._held[row], self._delisted[row] = item is not None, change is None
            self._in_stock[row], self._start[row], self._end[row] = offer
            if offer.start > 0 or offer.end < FOREVER:
                self._timed.add(row)
            else:
                self._timed.discard(row)
            if item is not None:
                self.categories.put(row, item.category_path)
                self.brands.put(row, item.brand or "")
            self.worth.put(row, item)
            self._shown = None

    def allowed(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """bool [rows]: whether an item may be listed at this time; row 0 never. Do not modify it."""
        shown = self._shown
        if shown is None or not shown.start <= now_ms < shown.end:
            with self._lock:
                shown = self._shown = self._at(now_ms)
        return shown.allowed

    def alike(self, item: CatalogueItem) -> npt.NDArray[np.int32]:
        """The rows of the item's category; where it has none, of its brand."""
        with self._lock:
            same = self.categories.rows(item.category_path)
            return same if len(same) else self.brands.rows(item.brand or "")

    def _at(self, now_ms: int) -> _Shown:
        allowed = may_be_listed(
            self._held,
            self._delisted,
            self._in_stock,
            self._start,
            self._end,
            covered=self._coverage.reached,
            now_ms=now_ms,
        )
        allowed[0] = False
        rows = [*self._timed]
        moments = np.concatenate((self._start[rows], self._end[rows]))
        before, after = moments[moments <= now_ms], moments[moments > now_ms]
        return _Shown(allowed, int(before.max(initial=-FOREVER)), int(after.min(initial=FOREVER)))
