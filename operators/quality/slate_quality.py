"""Quality of lists without clicks: coverage, diversity, novelty, calibration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.shopper.features import Rows

SMOOTHING = 0.01  # Steck's alpha: a category that the list lacks must not make the divergence infinite


@dataclass(frozen=True)
class SlateQuality:
    """Of one list. `miscalibration` is None where the shopper's history has no known category."""

    diversity: float
    novelty: float
    miscalibration: float | None


class SlateMeter:
    """Measures single lists of a bundle. Not thread-safe."""

    def __init__(self, vectors: npt.NDArray[np.float32], unpopular: npt.NDArray[np.float64]) -> None:
        """By model row: `vectors` [items + 1, d] of length 1 (or 0); `unpopular` as `drift.popularity_places`."""
        self._vectors = vectors
        self._unpopular = unpopular

    def measure(self, rows: Rows, history: Rows, categories: npt.NDArray[np.int32]) -> SlateQuality:
        """`rows`: the list [size]; `history`: the shopper's items [W], both 0 where empty.

        Diversity: 1 - mean cosine of all pairs of the list's item vectors (Ziegler et al., WWW 2005).
        Novelty: mean place in the popularity order, 0 the most popular item, 1 the least.
        Miscalibration: KL divergence of the list's categories from the history's (Steck, RecSys 2018, eq. 5), nats.
        """
        rows, history = rows[rows > 0], history[history > 0]
        count = len(rows)
        if count < 2:
            return SlateQuality(0.0, float(self._unpopular[rows].sum()), None)
        total = self._vectors[rows].sum(axis=0)
        own = float((self._vectors[rows] ** 2).sum())
        similarity = (float(total @ total) - own) / (count * (count - 1))
        return SlateQuality(
            1 - similarity, float(self._unpopular[rows].mean()), _divergence(categories[history], categories[rows])
        )


def _divergence(history: npt.NDArray[Any], slate: npt.NDArray[Any]) -> float | None:
    history, slate = history[history > 0], slate[slate > 0]
    if not len(history) or not len(slate):
        return None
    codes, shares = np.unique(history, return_counts=True)
    p = shares / len(history)
    q = np.array([(slate == code).mean() for code in codes])
    return float((p * np.log(p / ((1 - SMOOTHING) * q + SMOOTHING * p))).sum())


class Coverage:
    """Items that were listed recently: two windows, so that the share covers one to two window lengths."""

    def __init__(self, items: int, window_s: float) -> None:
        self._window_s = window_s
        self._current = np.zeros(items + 1, dtype=bool)
        self._previous = np.zeros(items + 1, dtype=bool)
        self._window_started_at = float("-inf")

    def listed(self, rows: Rows, now_s: float) -> None:
        """Takes lists: model rows of any shape."""
        if now_s - self._window_started_at >= self._window_s:
            stale = now_s - self._window_started_at >= 2 * self._window_s
            self._previous = np.zeros_like(self._current) if stale else self._current
            self._current = np.zeros_like(self._previous)
            self._window_started_at = now_s
        self._current[rows.ravel()] = True

    def share(self, allowed: npt.NDArray[np.bool_]) -> float:
        """The share of the items that may be listed (`allowed`, bool by row) that was listed."""
        listable = int(allowed[1:].sum())
        return float(((self._current | self._previous) & allowed)[1:].sum()) / listable if listable else 0.0
