"""The items' vectors by slot, and the items nearest to a query: exact, by one matrix product."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class ItemVectors:
    """float32 rows of unit length by slot; an item without a vector has a row of zeros. One thread writes."""

    def __init__(self, dimensions: int) -> None:
        self._rows = np.zeros((0, dimensions), dtype=np.float32)

    def put(self, slot: int, vector: Vector | None) -> None:
        """Sets the vector of a slot; None: it has none."""
        if slot >= len(self._rows):
            if vector is None:
                return
            grown = np.zeros((max(slot + 1, len(self._rows) * 3 // 2), self._rows.shape[1]), dtype=np.float32)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._rows[slot] = 0 if vector is None else vector

    def nearest(self, vector: Vector, floor: float, limit: int) -> list[tuple[int, float]]:
        """At most `limit` slots with a cosine above `floor`, the nearest first."""
        cosines = self._rows @ vector
        slots = np.flatnonzero(cosines > floor)
        if len(slots) > limit:
            slots = slots[np.argpartition(-cosines[slots], limit - 1)[:limit]]
        slots = slots[np.argsort(-cosines[slots], kind="stable")]
        return [(int(slot), float(cosines[slot])) for slot in slots]

    def cosines(self, vector: Vector, slots: Sequence[int]) -> Vector:
        """float32 [slots]: the cosine of each; 0 of a slot without a vector."""
        cosines = np.zeros(len(slots), dtype=np.float32)
        held = np.fromiter((slot < len(self._rows) for slot in slots), bool, len(slots))
        cosines[held] = self._rows[np.asarray(slots, dtype=np.int64)[held]] @ vector
        return cosines

    def mean(self, slots: Sequence[int]) -> Vector | None:
        """float32 [d] of unit length: the middle of these items; None if none has a vector."""
        rows = self._rows[[slot for slot in slots if slot < len(self._rows)]]
        length = float(np.linalg.norm(total := rows.sum(axis=0))) if len(rows) else 0.0
        return None if length < 1e-9 else np.asarray(total / length, dtype=np.float32)
