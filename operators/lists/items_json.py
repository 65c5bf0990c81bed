"""The items of lists as JSON, joined from fragments: the part of an item is encoded once and kept.

The bytes are those that msgspec gives for the same items of a `RecommendationList`.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from operators.lists.explored import Explored, rounded
from operators.lists.popular_order import REASON_KINDS
from operators.lists.reasons import NAMED_KINDS, PlaceReasons
from operators.shopper.features import Rows

_encode = msgspec.json.Encoder().encode
FRAGMENTS_KEPT = 200_000  # of each kind: a catalogue may have millions of items
_PARTS = 4  # of a place: item, score, rank with the reason's kind, the reason's item
_ITEM = b',{"item_id":%b,"score":'

Fragments = npt.NDArray[Any]  # of bytes objects


class ItemsJson:
    """Encodes the items of lists. Thread-safe: where two threads make the same fragment, either is kept."""

    def __init__(self, item_ids: list[str], places: int, *, with_propensities: bool = False) -> None:
        """`item_ids`: row i + 1 is the i-th; `places`: the most items of a list. `with_propensities`: each item has one."""
        self._with_propensities = with_propensities
        end = b"}" if with_propensities else b"}}"
        self._items = _RowFragments(item_ids, _ITEM, b"")
        self._own_items = _RowFragments(item_ids, b"%b" + end, end)
        self._ranks = np.empty((places, len(REASON_KINDS)), dtype=object)
        for place in range(places):
            for number, kind in enumerate(REASON_KINDS):
                own_item = b',"item_id":' if kind in NAMED_KINDS else b""
                self._ranks[place, number] = b',"rank":%d,"reason":{"kind":"%b"%b' % (
                    place + 1,
                    kind.encode(),
                    own_item,
                )

    def encode(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float64],
        reasons: PlaceReasons,
        explored: Explored | None = None,
    ) -> list[bytes]:
        """The items of lists of one length, all arrays [B, places]. Row 0 must not be listed, but for a newcomer of `explored`."""
        users, places = rows.shape
        if not places:
            return [b"[]"] * users
        parts = np.empty((users, places, _PARTS + self._with_propensities), dtype=object)
        parts[..., 0] = self._items.of(rows)
        parts[..., 1] = np.array(_encode(scores.ravel().tolist())[1:-1].split(b","), dtype=object).reshape(rows.shape)
        parts[..., 2] = self._ranks[np.arange(places), reasons.kinds]
        parts[..., 3] = self._own_items.of(reasons.rows)
        if self._with_propensities:
            _put_propensities(parts, explored or Explored.nothing(users))
        return [b"[%b]" % b"".join(of_list)[1:] for of_list in parts.reshape(users, -1).tolist()]


def _put_propensities(parts: Fragments, explored: Explored) -> None:
    """The last part of each place, and the ids of newcomers."""
    ends = np.empty((2, parts.shape[1]), dtype=object)
    ends[:] = _propensity(1.0)
    ends[1, explored.first :] = _propensity(explored.usual)
    parts[..., -1] = ends[explored.possible.astype(np.intp)]
    lists, at, new = explored.drawn.lists, explored.at, explored.names_from
    if len(at):
        parts[lists, at, -1] = [_propensity(rounded(chance)) for chance in explored.drawn.chances.tolist()]
        parts[lists[new:], at[new:], 0] = [_ITEM % _encode(name) for name in explored.names]


def _propensity(chance: float) -> bytes:
    return b',"propensity":%b}' % _encode(chance)


class _Kept(NamedTuple):
    """`fragments`: by row, where `made` is set."""

    fragments: Fragments
    made: npt.NDArray[np.bool_]


class _RowFragments:
    """A fragment for each item by model row, made at its first use."""

    def __init__(self, item_ids: list[str], form: bytes, without_item: bytes) -> None:
        """`form` has %b in place of the id's JSON; `without_item` is the fragment of row 0."""
        self._item_ids, self._form, self._without_item = item_ids, form, without_item
        self._forget()

    def of(self, rows: npt.NDArray[Any]) -> Fragments:
        """The fragments of rows of any shape."""
        kept = self._kept  # another thread may replace it
        if not kept.made[rows].all():
            kept = self._add(rows)
        fragments: Fragments = kept.fragments[rows]
        return fragments

    def _add(self, rows: npt.NDArray[Any]) -> _Kept:
        if self._count >= FRAGMENTS_KEPT:
            self._forget()
        kept = self._kept
        missing = np.unique(rows[~kept.made[rows]]).tolist()
        for row in missing:
            kept.fragments[row] = self._form % _encode(self._item_ids[row - 1])
            kept.made[row] = True
        self._count += len(missing)
        return kept

    def _forget(self) -> None:
        rows = len(self._item_ids) + 1
        kept = _Kept(np.empty(rows, dtype=object), np.zeros(rows, dtype=bool))
        kept.fragments[0], kept.made[0] = self._without_item, True
        self._kept, self._count = kept, 0
