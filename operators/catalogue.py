"""The catalogue as arrays by model row: what may be listed now, and its category. Follows the topic record by record."""

import threading
from collections import deque

import msgspec
import numpy as np
import numpy.typing as npt

from operators.contracts import CatalogueItem
from operators.features import Vocabulary

_decode = msgspec.json.Decoder(CatalogueItem).decode
FOREVER = np.iinfo(np.int64).max


def decode_item(value: bytes | None) -> CatalogueItem | None:
    """A catalogue record; None when the item is delisted or the record is unusable."""
    if not value:
        return None
    try:
        return _decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


class Catalogue:
    """Stock, availability and category of a model's items.

    Without any catalogue every item may be listed. An item that the catalogue does not hold counts as delisted
    once the catalogue covers the share `coverage` of the model's items: one test product on the topic must not
    empty all lists, and a delisted item must not come back when its tombstone is compacted away.

    Thread-safe: the table's thread calls `changed`, the scorer and the fallback ask `allowed`.
    """

    def __init__(self, vocabulary: Vocabulary, coverage: float) -> None:
        rows = len(vocabulary) + 1
        self._vocabulary = vocabulary
        self._needed = max(1, int(coverage * len(vocabulary)))
        self._in_stock = np.ones(rows, dtype=bool)
        self._known = np.zeros(rows, dtype=bool)
        self._delisted = np.zeros(rows, dtype=bool)
        self._from = np.zeros(rows, dtype=np.int64)
        self._until = np.full(rows, FOREVER, dtype=np.int64)
        self.categories = np.zeros(rows, dtype=np.int32)  # 0: none
        self._category_codes: dict[str, int] = {"": 0}
        self._windows = False
        self._allowed = self._listed()
        self._changes: deque[tuple[str, bytes | None]] = deque()
        self._lock = threading.Lock()

    def changed(self, key: str, value: bytes | None) -> None:
        """Takes one record of the topic; it has effect on the next list."""
        self._changes.append((key, value))

    def _apply(self, key: str, value: bytes | None) -> None:
        """An unusable record counts as delisting."""
        row = self._vocabulary.row(key)
        if row == 0:
            return
        item = decode_item(value)
        self._known[row], self._delisted[row] = item is not None, item is None
        if item is not None:
            self._in_stock[row] = item.in_stock
            self._from[row] = item.available_from or 0
            self._until[row] = FOREVER if item.available_until is None else item.available_until
            code = self._category_codes.setdefault(item.category_path, len(self._category_codes))
            self.categories[row] = code

    def _listed(self) -> npt.NDArray[np.bool_]:
        complete = int(self._known.sum()) >= self._needed
        allowed: npt.NDArray[np.bool_] = (self._known if complete else ~self._delisted) & self._in_stock
        allowed[0] = False
        return allowed

    def allowed(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """bool [rows]: what may be listed at this time; row 0 never."""
        if self._changes:
            with self._lock:
                while self._changes:
                    self._apply(*self._changes.popleft())
                self._windows = bool(((self._from > 0) | (self._until < FOREVER)).any())
                self._allowed = self._listed()
        if not self._windows:
            return self._allowed
        return self._allowed & (self._from <= now_ms) & (now_ms < self._until)
