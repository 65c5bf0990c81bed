"""The items of lists as JSON, joined from fragments: the part of an item is encoded once and kept.

The bytes are those that msgspec gives for the same items of a `RecommendationList`, but that a propensity stands before the
reason: so it is a part of the fragment of rank and reason.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from operators.lists.exploring.explored import Explored
from operators.lists.popular_order import REASON_KINDS
from operators.lists.reasons import NAMED_KINDS, PlaceReasons
from operators.model.click_head import NONE, STEPS
from operators.shopper.features import Rows

_encode = msgspec.json.Encoder().encode
FRAGMENTS_KEPT = 200_000  # of each kind: a catalogue may have millions of items
# of a place: item, score, rank with the reason's kind, the reason's item; and `p_click` where the bundle has it
_PARTS = 4
_ITEM = b',{"item_id":%b,"score":'
_REASONS = [  # by place in `REASON_KINDS`
    b',"reason":{"kind":"%b"%b' % (kind.encode(), b',"item_id":' if kind in NAMED_KINDS else b"")
    for kind in REASON_KINDS
]

Fragments = npt.NDArray[Any]  # of bytes objects


class ItemsJson:
    """Encodes the items of lists. Thread-safe: where two threads make the same fragment, either is kept."""

    def __init__(self, item_ids: list[str], places: int, *, with_clicks: bool = False) -> None:
        """`item_ids`: row i + 1 is the i-th; `places`: the most items of a list; `with_clicks`: items may have a `p_click`."""
        self._items = _RowFragments(item_ids, _ITEM, b"")
        ends = b"}" if with_clicks else b"}}"
        self._own_items = _RowFragments(item_ids, b"%b" + ends, ends)
        self._clicks = _click_fragments() if with_clicks else None
        self._ranks = _ranks([b""] * places)
        self._likely: tuple[float, int, Fragments] | None = (
            None  # usual propensity, the first place that has it, fragments
        )

    def encode(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float64],
        reasons: PlaceReasons,
        explored: Explored | None = None,
        clicks: Rows | None = None,
    ) -> list[bytes]:
        """The items of lists of one length, all arrays [B, places]. Row 0 must not be listed, but for a newcomer of `explored`.
        With `explored` each item has its propensity.

        `clicks`: as `operators.model.click_head.in_steps` gives them, `NONE` for an item without; None: for all.
        """
        users, places = rows.shape
        if not places:
            return [b"[]"] * users
        parts = np.empty((users, places, _PARTS + (self._clicks is not None)), dtype=object)
        parts[..., 0] = self._items.of(rows)
        parts[..., 1] = np.array(_encode(scores.ravel().tolist())[1:-1].split(b","), dtype=object).reshape(rows.shape)
        if explored is None:
            parts[..., 2] = self._ranks[np.arange(places), reasons.kinds]
        else:
            could = explored.possible.astype(np.intp)[:, None]
            parts[..., 2] = self._ranks_of(explored)[could, np.arange(places), reasons.kinds]
            _put_explored(parts, explored, reasons)
        parts[..., 3] = self._own_items.of(reasons.rows)
        if self._clicks is not None:
            parts[..., 4] = self._clicks[NONE if clicks is None else clicks]
        return [b"[%b]" % b"".join(of_list)[1:] for of_list in parts.reshape(users, -1).tolist()]

    def _ranks_of(self, explored: Explored) -> Fragments:
        """[2, places, kinds]: of lists that could not explore, and of those that could."""
        usual, first, likely = explored.usual, explored.first, self._likely
        if likely is None or likely[:2] != (usual, first):
            places = range(len(self._ranks))
            likely_texts = [_propensity(1.0 if place < first else usual) for place in places]
            fragments = np.stack((_ranks([_propensity(1.0)] * len(places)), _ranks(likely_texts)))
            self._likely = likely = usual, first, fragments
        return likely[2]


def _put_explored(parts: Fragments, explored: Explored, reasons: PlaceReasons) -> None:
    """The propensities of places that explore, and the ids of newcomers."""
    lists, at, new = explored.drawn.lists, explored.at, explored.names_from
    if not len(at):
        return
    cells = at.tolist(), explored.drawn.chances.tolist(), reasons.kinds[lists, at].tolist()
    parts[lists, at, 2] = [
        b',"rank":%d,"propensity":%.6g%b' % (place + 1, chance, _REASONS[kind])
        for place, chance, kind in zip(*cells, strict=True)
    ]
    parts[lists[new:], at[new:], 0] = [_ITEM % _encode(name) for name in explored.names]


def _ranks(propensities: list[bytes]) -> Fragments:
    """[places, kinds]."""
    made = np.empty((len(propensities), len(REASON_KINDS)), dtype=object)
    for place, propensity in enumerate(propensities):
        for number in range(len(REASON_KINDS)):
            made[place, number] = _rank(place, propensity, number)
    return made


def _rank(place: int, propensity: bytes, kind: int) -> bytes:
    return b',"rank":%d%b%b' % (place + 1, propensity, _REASONS[kind])


def _propensity(chance: float) -> bytes:
    return b',"propensity":%b' % _encode(chance)


def _click_fragments() -> Fragments:
    """By probability in steps; the last one, of `NONE`, is of an item without."""
    texts = [b',"p_click":%b}' % _encode(step / STEPS) for step in range(STEPS + 1)]
    return np.array([*texts, b"}"], dtype=object)


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
