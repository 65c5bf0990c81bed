"""Drift of the model's inputs and scores against its training window: population stability index (PSI).

PSI = sum over bins of (actual - expected) * ln(actual / expected), the form of Siddiqi, Credit Risk Scorecards (2006):
below 0.1 stable, above 0.25 another population.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.model.reference import Bins
from operators.shopper.features import Features, Rows

FLOOR = 1e-4  # of a share: an empty bin must not make the index infinite
MIN_SAMPLES = 500
WINDOW_SAMPLES = 5_000


def psi(expected: npt.NDArray[Any], actual: npt.NDArray[Any]) -> float:
    """The index of two distributions over the same bins (shares or counts)."""
    e, a = (np.maximum(counts / max(counts.sum(), 1e-12), FLOOR) for counts in (expected, actual))
    return float(((a - e) * np.log(a / e)).sum())


def observed(
    inputs: Features, top_scores: npt.NDArray[Any], unpopular: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[Any]]:
    """Feature -> its value for each user. `top_scores`: [B]; `unpopular`: 0 (most popular) to 1 by model row."""
    last = np.take_along_axis(inputs.items, np.maximum(inputs.length - 1, 0)[:, None], axis=1)[:, 0]
    kind = np.take_along_axis(inputs.kinds, np.maximum(inputs.length - 1, 0)[:, None], axis=1)[:, 0]
    return {
        "history_length": inputs.length,
        "last_kind": kind,
        "last_item_popularity": unpopular[last],
        "top_score": top_scores,
    }


EDGES: dict[str, npt.NDArray[np.float64]] = {
    "history_length": np.array([2.0, 4.0, 8.0, 16.0]),
    "last_kind": np.arange(1.5, 6.5),
}


def popularity_places(popular: Rows, items: int) -> npt.NDArray[np.float64]:
    """By model row: 0 for the most popular item, 1 for the least."""
    place = np.full(items + 1, len(popular), dtype=np.float64)
    place[popular] = np.arange(len(popular))
    return place / max(1, len(popular))


class DriftMeter:
    """Counts live values in the training window's bins; the newest `WINDOW_SAMPLES` to twice as many count."""

    def __init__(self, reference: Mapping[str, Bins]) -> None:
        self._reference = dict(reference)
        self._current = self._empty()
        self._previous = self._empty()
        self._samples = 0

    def _empty(self) -> dict[str, npt.NDArray[np.float64]]:
        return {name: np.zeros(len(bins.shares)) for name, bins in self._reference.items()}

    def observe(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes feature -> values, as `observed` gives them."""
        for name, bins in self._reference.items():
            places = np.searchsorted(bins.edges, values[name], side="right")
            self._current[name] += np.bincount(places, minlength=len(bins.shares))
        self._samples += len(next(iter(values.values())))
        if self._samples >= WINDOW_SAMPLES:
            self._previous, self._current, self._samples = self._current, self._empty(), 0

    def indices(self) -> dict[str, float]:
        """Feature -> PSI against training; NaN while there are too few samples."""
        by_feature = {}
        for name, bins in self._reference.items():
            counts = self._current[name] + self._previous[name]
            by_feature[name] = psi(bins.shares, counts) if counts.sum() >= MIN_SAMPLES else float("nan")
        return by_feature
