"""Popular and trending items for lists: the bundle's, until live demand has an order."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.demand.live_orders import HEAD
from operators.demand.popularity import Orders
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import ReasonKind
from operators.shopper.features import Rows

# the first one applies where no other does
REASON_KINDS: tuple[ReasonKind, ...] = (
    "for_you", "popular", "trending", "viewed", "in_basket", "bought", "new", "explore",
)  # fmt: skip

POPULAR_REASONS = 100  # so many of the first items are said to be popular


class Popular(NamedTuple):
    """`rows`: int32, best first, each row once; `kinds`: int64 [N + 1], by row the place in `REASON_KINDS` of its reason where
    it is not the shopper's own."""

    rows: Rows
    kinds: npt.NDArray[np.int64]


class PopularOrder:
    """Thread-safe: what it gives out is never modified."""

    def __init__(self, bundle: ModelBundle, live: Callable[[], Orders | None] = lambda: None) -> None:
        """`live`: the newest orders, by places of the bundle's items (row - 1), the best ones of each at least; None while there
        are none. The same object as before means the same orders."""
        self._bundle_rows, self._items, self._live = bundle.popular, len(bundle.vocabulary), live
        self._followed: Orders | None = None
        self._current = self._popular(bundle.popular, bundle.trending)

    def now(self) -> Popular:
        """The order as of now."""
        newest = self._live()
        if newest is not None and newest is not self._followed:
            rows = (newest.popular[:HEAD] + 1).astype(np.int32)
            is_left = np.ones(self._items + 1, dtype=bool)
            is_left[rows] = False
            rest = self._bundle_rows[is_left[self._bundle_rows]]
            self._current = self._popular(np.concatenate((rows, rest)), (newest.trending + 1).astype(np.int32))
            self._followed = newest
        return self._current

    def _popular(self, rows: Rows, trending: Rows) -> Popular:
        kinds = np.zeros(self._items + 1, dtype=np.int64)
        kinds[rows[:POPULAR_REASONS]] = REASON_KINDS.index("popular")
        kinds[trending[:POPULAR_REASONS]] = REASON_KINDS.index("trending")
        return Popular(rows, kinds)
