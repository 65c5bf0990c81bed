"""Why an item is on a list: what of the shopper's own steps it resembles, else trending, popular, or just for them."""

import numpy as np
import numpy.typing as npt

from operators.contracts import Reason, ReasonKind
from operators.features import Features, Rows
from operators.model_bundle import ModelBundle
from operators.user_state import KINDS

SIMILAR_ENOUGH = 0.35  # cosine; below it "because you viewed X" reads as chance
_BY_KIND: dict[int, ReasonKind] = {
    KINDS["view"]: "viewed",
    KINDS["click"]: "viewed",
    KINDS["rate"]: "viewed",
    KINDS["add_to_cart"]: "in_basket",
    KINDS["purchase"]: "bought",
}
_HEAD = 100
ANCHORS = 8  # of the newest steps: an older one is no reason that a shopper remembers


class Reasons:
    """Gives reasons for the rows of lists."""

    def __init__(self, bundle: ModelBundle, vectors: npt.NDArray[np.float32]) -> None:
        """`vectors`: [N + 1, d], rows of length 1 (or 0)."""
        self._vectors = vectors
        self._items = bundle.vocabulary.item_ids
        self._trending = frozenset(bundle.trending[:_HEAD].tolist())
        self._popular = frozenset(bundle.popular[:_HEAD].tolist())
        self._known: dict[tuple[ReasonKind, int], Reason] = {}

    def of(self, rows: Rows, features: Features) -> list[list[Reason]]:
        """`rows`: [B, size] -> a reason for each place."""
        recent = np.maximum(features.length[:, None] - 1 - np.arange(ANCHORS), 0)
        own = np.take_along_axis(features.items, recent, axis=1)
        similarity = np.matmul(self._vectors[rows], self._vectors[own].transpose(0, 2, 1))
        nearest = similarity.argmax(axis=2)
        close = similarity.max(axis=2) >= SIMILAR_ENOUGH
        anchor = np.where(close, np.take_along_axis(own, nearest, axis=1), 0).tolist()
        kind = np.take_along_axis(np.take_along_axis(features.kinds, recent, axis=1), nearest, axis=1).tolist()
        return [
            [self._reason(row, own, step) for row, own, step in zip(*columns, strict=True)]
            for columns in zip(rows.tolist(), anchor, kind, strict=True)
        ]

    def without_history(self, rows: list[int]) -> list[Reason]:
        """Reasons of a fallback list."""
        return [self._reason(row, 0, 0) for row in rows]

    def _reason(self, row: int, anchor: int, step: int) -> Reason:
        kind = _BY_KIND.get(step) if anchor and anchor != row else None
        if kind is None:
            anchor = 0
            kind = "trending" if row in self._trending else "popular" if row in self._popular else "for_you"
        reason = self._known.get((kind, anchor))
        if reason is None:
            reason = Reason(kind, self._items[anchor - 1] if anchor else None)
            self._known[kind, anchor] = reason
        return reason


def unit_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros stay."""
    scaled: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return scaled
