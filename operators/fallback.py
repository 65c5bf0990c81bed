"""Lists without the model: the neighbours of what the shopper touched last, then what is popular."""

import numpy as np
import numpy.typing as npt

from operators.contracts import Source
from operators.features import Features
from operators.model_bundle import ModelBundle

RECENT = 5


class Fallback:
    """Serves cold users, unknown items, and everyone while the model fails. Thread-safe: it only reads."""

    def __init__(self, bundle: ModelBundle, size: int) -> None:
        self._neighbours = bundle.neighbours
        self._popular = bundle.popular
        self._size = size

    def rows(
        self, features: Features, user: int, usable: npt.NDArray[np.bool_]
    ) -> tuple[list[int], list[float], Source]:
        """(rows, scores in 0-1, source) for one user of a batch; `usable`: bool by model row.

        A neighbour's score is the sum over the last `RECENT` items of 1 / (age in steps * place): newer and nearer first.
        """
        points: dict[int, float] = {}
        history = features.items[user, : features.length[user]][::-1][:RECENT].tolist()
        for age, item in enumerate(history, start=1):
            for place, row in enumerate(self._neighbours[item].tolist(), start=1):
                if row and usable[row] and row not in history:
                    points[row] = points.get(row, 0.0) + 1 / (age * place)
        rows = sorted(points, key=lambda row: (-points[row], row))[: self._size]
        top = points[rows[0]] if rows else 1.0
        scores = [points[row] / top for row in rows]
        filled = self.fill(rows, usable)
        source: Source = "neighbours" if rows else "popular"
        return filled, scores + self._popular_scores(len(filled) - len(rows)), source

    def fill(self, rows: list[int], usable: npt.NDArray[np.bool_]) -> list[int]:
        """The rows with popular ones after them, up to the list's size."""
        have = set(rows)
        more = [row for row in self._popular.tolist() if usable[row] and row not in have]
        return rows + more[: self._size - len(rows)]

    def _popular_scores(self, count: int) -> list[float]:
        return np.linspace(0.5, 0.0, count, endpoint=False).tolist() if count else []
