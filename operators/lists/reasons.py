"""Why an item is on a list: it resembles one of the shopper's own steps, or it is trending, popular, or for this shopper."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.lists.popular_order import REASON_KINDS, PopularOrder
from operators.records.contracts import ReasonKind
from operators.shopper.features import Features, Rows
from operators.shopper.user_state import KINDS

SIMILAR_ENOUGH = 0.35  # cosine; below it "because you viewed X" reads as chance
_BY_STEP: dict[str, ReasonKind] = {
    "view": "viewed",
    "click": "viewed",
    "rate": "viewed",
    "add_to_cart": "in_basket",
    "purchase": "bought",
}
NAMED_KINDS = frozenset(
    (*_BY_STEP.values(), "new")
)  # these name an item: the shopper's own, or one that a new product is like
ANCHORS = 8  # the newest steps: a shopper does not remember older ones


class PlaceReasons(NamedTuple):
    """The reason of each place of lists, both int64 [B, places]. `kinds`: places in `REASON_KINDS`; `rows`: of the
    item that a kind of `NAMED_KINDS` names, else 0."""

    kinds: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def of_list(self, number: int) -> "PlaceReasons":
        """One list as a batch of one."""
        return PlaceReasons(*(array[number : number + 1] for array in self))

    def first(self, places: int) -> "PlaceReasons":
        """The first places of each list."""
        return PlaceReasons(*(array[:, :places] for array in self))

    def followed_by(self, others: "PlaceReasons") -> "PlaceReasons":
        """The places of both, of the same number of lists."""
        return PlaceReasons(*(np.concatenate(pair, axis=1) for pair in zip(self, others, strict=True)))


class Reasons:
    """Gives reasons for the rows of lists."""

    def __init__(self, popular: PopularOrder, vectors: npt.NDArray[np.float32]) -> None:
        """`vectors`: [N + 1, d], rows of length 1 (or 0)."""
        self._vectors, self._popular = vectors, popular
        # places in `REASON_KINDS`; 0: this kind of step is no reason
        self._by_step = np.zeros(max(KINDS.values()) + 1, dtype=np.int64)
        for step, name in _BY_STEP.items():
            self._by_step[KINDS[step]] = REASON_KINDS.index(name)

    def of(self, rows: Rows, features: Features) -> PlaceReasons:
        """`rows`: [B, size] -> a reason for each place."""
        recent = np.maximum(features.length[:, None] - 1 - np.arange(ANCHORS), 0)
        users = np.arange(len(rows))[:, None]  # `take_along_axis` makes such indexes too, for 6 us more a call
        own = features.items[users, recent]
        similarity = np.matmul(self._vectors.take(rows, axis=0), self._vectors.take(own, axis=0).transpose(0, 2, 1))
        nearest = similarity.argmax(axis=2)
        highest = similarity.max(axis=2)
        anchor = own[users, nearest].astype(np.int64)
        why = self._by_step[features.kinds[users, recent[users, nearest]]]
        good = (highest >= SIMILAR_ENOUGH) & (anchor > 0) & (anchor != rows) & (why > 0)
        return PlaceReasons(np.where(good, why, self._popular.now().kinds[rows]), np.where(good, anchor, 0))

    def without_history(self, rows: Rows) -> PlaceReasons:
        """Reasons of fallback lists, of the shape of `rows`."""
        return PlaceReasons(self._popular.now().kinds[rows], np.zeros(rows.shape, dtype=np.int64))
