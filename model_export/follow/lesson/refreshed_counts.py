"""What a candidate counts anew: popular, trending, neighbours, and the followers of the transition head.

The history is shorter than what the champion learned from. So the champion's lists count as some events beside it: they
decide where the history says little, and yield where it says much. They are read from the champion itself, so that they
weigh the same in each round.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from model_export.bundles.export import neighbours, trending_rows
from model_export.data.dataset import Examples
from model_export.data.transition_counts import transition_counts
from model_export.follow.assortment import Assortment
from operators.model.model_bundle import ModelBundle
from operators.time_units import DAY_MS

POPULAR_EVENTS = 1000.0  # for which the champion's popular list counts, falling as 1 / (place + 10)
NEIGHBOUR_EVENTS = 2.0  # for which an item's first neighbour of the champion counts, falling to 0
FOLLOWER_EVENTS = 20.0  # for which all followers of an item together count at most, once the history has some
RECENT_MS = 7 * DAY_MS
RECENT_SHARE = 0.25  # of a shorter history: how much of it can trend
Rows = npt.NDArray[np.int32]


def fallbacks(
    champion: ModelBundle,
    items: Assortment,
    train: Examples,
    weights: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float32],
) -> dict[str, Rows]:
    """The arrays of a bundle's fallbacks. `weights` [B]: of the examples as neighbours; `vectors` float32 [N + 1, d]."""
    size, newest_ms = len(items.words) + 1, int(train.time_ms.max())
    span_ms = newest_ms - int(train.time_ms.min())
    all_time = np.bincount(train.target, minlength=size).astype(np.float64)
    week = np.bincount(train.target[train.time_ms > newest_ms - RECENT_MS], minlength=size)
    recent_ms = min(RECENT_MS, RECENT_SHARE * span_ms)
    recent = np.bincount(train.target[train.time_ms > newest_ms - recent_ms], minlength=size).astype(np.float64)
    popular = np.argsort(-(week + _popular_prior(items.renumbered(champion.popular), size)), kind="stable")
    prior = _neighbour_prior(items, champion.neighbours)
    return {
        "popular": popular[popular > 0].astype(np.int32),
        "trending": trending_rows(recent, all_time),
        "neighbours": neighbours(vectors, transition_counts(train, size - 1, weights) + prior),
    }


def follower_counts(
    items: Assortment,
    train: Examples,
    weights: npt.NDArray[np.float64],
    rows: Rows,
    share: npt.NDArray[np.float32],
    seen: npt.NDArray[np.float32],
) -> sparse.csr_matrix:
    """float32 [N + 1, N + 1]: how often an item (column) followed another. `rows`, `share` [N + 1, F] and `seen` [N + 1]:
    the champion's transition head, whose counts stay where the history has none."""
    counts = transition_counts(train, len(items.words), weights)
    totals = np.expm1(seen[items.rows]) * (items.rows > 0)
    evidence = np.asarray(counts.sum(axis=1)).ravel() > 0
    totals = np.where(evidence, np.minimum(totals, FOLLOWER_EVENTS), totals)
    followers = items.renumbered(rows)[items.rows]
    weight = np.exp(share[items.rows]) * totals[:, None] * (followers > 0)
    return (counts + _matrix(followers, weight)).tocsr()


def _popular_prior(popular: Rows, size: int) -> npt.NDArray[np.float64]:
    prior = np.zeros(size)
    prior[popular] = 1 / (np.arange(len(popular)) + 10)
    prior[0] = 0
    prior *= POPULAR_EVENTS / max(float(prior.sum()), 1e-9)
    return prior


def _neighbour_prior(items: Assortment, neighbours: Rows) -> sparse.csr_matrix:
    nearest = items.renumbered(neighbours)[items.rows]
    places = nearest.shape[1]
    weight = NEIGHBOUR_EVENTS * (1 - np.arange(places) / places) * (nearest > 0) * (items.rows > 0)[:, None]
    return _matrix(nearest, weight)


def _matrix(columns: Rows, weight: npt.NDArray[Any]) -> sparse.csr_matrix:
    """[N + 1, N + 1] with the weights [N + 1, F] at these columns; zeros are left out."""
    size = len(columns)
    row, place = np.nonzero(weight)
    values = weight[row, place].astype(np.float32)
    return sparse.csr_matrix((values, (row, columns[row, place])), shape=(size, size))
