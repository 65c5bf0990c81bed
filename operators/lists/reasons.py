"""Why an item is on a list: it resembles one of the shopper's own steps, or it is trending, popular, or for this shopper."""

import numpy as np
import numpy.typing as npt

from operators.model.model_bundle import ModelBundle
from operators.records.contracts import Reason, ReasonKind
from operators.shopper.features import Features, Rows
from operators.shopper.user_state import KINDS

SIMILAR_ENOUGH = 0.35  # cosine; below it "because you viewed X" reads as chance
# the first one applies where no other does
_NAMES: tuple[ReasonKind, ...] = ("for_you", "popular", "trending", "viewed", "in_basket", "bought")
_BY_STEP: dict[str, ReasonKind] = {
    "view": "viewed",
    "click": "viewed",
    "rate": "viewed",
    "add_to_cart": "in_basket",
    "purchase": "bought",
}
_HEAD = 100
ANCHORS = 8  # the newest steps: a shopper does not remember older ones
CACHED_REASONS = 100_000


class Reasons:
    """Gives reasons for the rows of lists."""

    def __init__(self, bundle: ModelBundle, vectors: npt.NDArray[np.float32]) -> None:
        """`vectors`: [N + 1, d], rows of length 1 (or 0)."""
        self._vectors = vectors
        self._general = np.zeros(len(vectors), dtype=np.int64)  # by row; these and the next are places in `_NAMES`
        self._general[bundle.popular[:_HEAD]] = _NAMES.index("popular")
        self._general[bundle.trending[:_HEAD]] = _NAMES.index("trending")
        self._by_step = np.zeros(max(KINDS.values()) + 1, dtype=np.int64)  # 0: this kind of step is no reason
        for step, name in _BY_STEP.items():
            self._by_step[KINDS[step]] = _NAMES.index(name)
        self._cache = _ReasonCache(bundle.vocabulary.item_ids)

    def of(self, rows: Rows, features: Features) -> list[list[Reason]]:
        """`rows`: [B, size] -> a reason for each place."""
        recent = np.maximum(features.length[:, None] - 1 - np.arange(ANCHORS), 0)
        own = np.take_along_axis(features.items, recent, axis=1)
        similarity = np.matmul(self._vectors[rows], self._vectors[own].transpose(0, 2, 1))
        nearest = similarity.argmax(axis=2)
        anchor = np.take_along_axis(own, nearest, axis=1).astype(np.int64)
        step = np.take_along_axis(np.take_along_axis(features.kinds, recent, axis=1), nearest, axis=1)
        why = self._by_step[step]
        good = (similarity.max(axis=2) >= SIMILAR_ENOUGH) & (anchor > 0) & (anchor != rows) & (why > 0)
        numbers = np.where(good, anchor * len(_NAMES) + why, self._general[rows])
        return [[*map(self._cache.__getitem__, row)] for row in numbers.tolist()]

    def without_history(self, rows: list[int]) -> list[Reason]:
        """Reasons of a fallback list."""
        return [*map(self._cache.__getitem__, self._general[rows].tolist())]


class _ReasonCache(dict[int, Reason]):
    """One object for each reason, by anchor row * len(_NAMES) + place in `_NAMES`: every list needs 20 of them."""

    def __init__(self, item_ids: list[str]) -> None:
        self._items = item_ids

    def __missing__(self, number: int) -> Reason:
        if len(self) >= CACHED_REASONS:  # else the cache grows with the catalogue
            self.clear()
        anchor, why = divmod(number, len(_NAMES))
        reason = self[number] = Reason(_NAMES[why], self._items[anchor - 1] if anchor else None)
        return reason
