"""The items of lists as JSON, joined from fragments: the part of an item is encoded once and kept as long as the bundle.

The bytes are those that msgspec gives for the same items of a `RecommendationList`.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from operators.lists.reasons import OWN_KINDS, REASON_KINDS, PlaceReasons
from operators.shopper.features import Rows

_encode = msgspec.json.Encoder().encode
_PARTS = 4  # of a place: item, score, rank with the reason's kind, the reason's item

Fragments = npt.NDArray[Any]  # of bytes objects


class ItemsJson:
    """Encodes the items of lists. Thread-safe: where two threads make the same fragment, either is kept."""

    def __init__(self, item_ids: list[str], places: int) -> None:
        """`item_ids`: row i + 1 is the i-th; `places`: the most items of a list."""
        self._items = _RowFragments(item_ids, b',{"item_id":%b,"score":', b"")
        self._own_items = _RowFragments(item_ids, b"%b}}", b"}}")
        self._ranks = np.empty((places, len(REASON_KINDS)), dtype=object)
        for place in range(places):
            for number, kind in enumerate(REASON_KINDS):
                own_item = b',"item_id":' if kind in OWN_KINDS else b""
                self._ranks[place, number] = b',"rank":%d,"reason":{"kind":"%b"%b' % (
                    place + 1,
                    kind.encode(),
                    own_item,
                )

    def encode(self, rows: Rows, scores: npt.NDArray[np.float64], reasons: PlaceReasons) -> list[bytes]:
        """The items of lists of one length, all arrays [B, places]. Row 0 must not be listed."""
        users, places = rows.shape
        if not places:
            return [b"[]"] * users
        parts = np.empty((users, places, _PARTS), dtype=object)
        parts[..., 0] = self._items.of(rows)
        parts[..., 1] = np.array(_encode(scores.ravel().tolist())[1:-1].split(b","), dtype=object).reshape(rows.shape)
        parts[..., 2] = self._ranks[np.arange(places), reasons.kinds]
        parts[..., 3] = self._own_items.of(reasons.rows)
        return [b"[%b]" % b"".join(of_list)[1:] for of_list in parts.reshape(users, -1).tolist()]


class _RowFragments:
    """A fragment for each item by model row, made at its first use: a large catalogue lists few of its items."""

    def __init__(self, item_ids: list[str], form: bytes, without_item: bytes) -> None:
        """`form` has %b in place of the id's JSON; `without_item` is the fragment of row 0."""
        self._item_ids, self._form = item_ids, form
        self._fragments = np.empty(len(item_ids) + 1, dtype=object)
        self._made = np.zeros(len(item_ids) + 1, dtype=bool)
        self._fragments[0], self._made[0] = without_item, True

    def of(self, rows: npt.NDArray[Any]) -> Fragments:
        """The fragments of rows of any shape."""
        made = self._made[rows]
        if not made.all():
            for row in np.unique(rows[~made]).tolist():
                self._fragments[row] = self._form % _encode(self._item_ids[row - 1])
                self._made[row] = True
        fragments: Fragments = self._fragments[rows]
        return fragments
