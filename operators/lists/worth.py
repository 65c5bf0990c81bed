"""What a sale of an item brings the shop, by model row: price x margin, as the catalogue has them."""

import threading

import numpy as np
import numpy.typing as npt

from operators.records.contracts import CatalogueItem

_UNKNOWN = np.nan


class Worth:
    """Thread-safe: the table's thread calls `put`, the scorer asks `by_row`.

    An item without a price counts with the mean price, one without a margin with the mean margin, of the items that have
    one; where none has, with 1. So an item whose price is missing is neither preferred nor hidden.
    """

    def __init__(self, rows: int) -> None:
        self._prices, self._margins = np.full(rows, _UNKNOWN), np.full(rows, _UNKNOWN)
        self._by_row: npt.NDArray[np.float64] | None = None
        self._lock = threading.Lock()

    def put(self, row: int, item: CatalogueItem | None) -> None:
        """The item's record from now on; None: the catalogue has none."""
        with self._lock:
            for values, value in ((self._prices, item and item.price), (self._margins, item and item.margin)):
                values[row] = _UNKNOWN if value is None else value
            self._by_row = None

    def by_row(self) -> npt.NDArray[np.float64]:
        """float64 [rows]. Do not modify it."""
        by_row = self._by_row
        if by_row is None:
            with self._lock:
                by_row = self._by_row = _filled(self._prices) * _filled(self._margins)
        return by_row


def _filled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = np.isfinite(values)
    return np.where(known, values, values[known].mean() if known.any() else 1.0)
