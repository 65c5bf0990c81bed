"""Lists without the model: neighbours of the shopper's last items, then popular items."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from operators.lists.popular_order import PopularOrder
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import Source
from operators.shopper.features import Features, Rows
from operators.shopper.user_state import TAKEN_OUT

RECENT = 5
CANDIDATES = 64  # popular items at a time: the cost of a list must not grow with the catalogue

Usable = Callable[[Rows], npt.NDArray[np.bool_]]  # rows [K] -> bool [K]: which of them may be listed for this shopper


class Fallback:
    """Serves cold users, unknown items, and everyone while the model fails. Thread-safe: it only reads."""

    def __init__(self, bundle: ModelBundle, popular: PopularOrder) -> None:
        self._neighbours = bundle.neighbours
        self._popular = popular

    def rows(self, features: Features, user: int, usable: Usable, size: int) -> tuple[list[int], list[float], Source]:
        """(rows, scores in 0-1, source) for one user of a batch; `size`: of the list.

        A neighbour's score is the sum of 1 / (age in steps * place) over the last `RECENT` items that were not taken out:
        newer and nearer first.
        """
        points: dict[int, float] = {}
        items, kinds = features.items[user], features.kinds[user]
        history = items[(items > 0) & (kinds != TAKEN_OUT)][::-1][:RECENT]
        neighbours = self._neighbours[history]
        good = usable(neighbours.ravel()).reshape(neighbours.shape) & ~np.isin(neighbours, history) & (neighbours > 0)
        for age, place in zip(*map(np.ndarray.tolist, np.nonzero(good)), strict=True):
            row = int(neighbours[age, place])
            points[row] = points.get(row, 0.0) + 1 / ((age + 1) * (place + 1))
        rows = sorted(points, key=lambda row: (-points[row], row))[:size]
        top = points[rows[0]] if rows else 1.0
        scores = [points[row] / top for row in rows]
        filled = self.fill(rows, usable, size)
        source: Source = "neighbours" if rows else "popular"
        return filled, scores + self._popular_scores(len(filled) - len(rows)), source

    def fill(self, rows: list[int], usable: Usable, size: int) -> list[int]:
        """The rows with popular ones after them, up to the list's size."""
        filled, listed = rows[:size], set(rows)
        popular = self._popular.now().rows
        for begin in range(0, len(popular), CANDIDATES):
            if len(filled) == size:
                break
            candidates = popular[begin : begin + CANDIDATES]
            more = [row for row in candidates[usable(candidates)].tolist() if row not in listed]
            filled += more[: size - len(filled)]
        return filled

    def _popular_scores(self, count: int) -> list[float]:
        return np.linspace(0.5, 0.0, count, endpoint=False).tolist() if count else []
