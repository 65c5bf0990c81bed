"""The orders of popular and of trending items, from what shoppers ask for now.

Popular: by `interest`, which has decayed until now. The model's own order of popular items counts as `PRIOR_INTEREST`
with frequencies by Zipf's law, so that a new stack has an order and a day of events replaces it.

Trending: acts in the last minutes (`recent`) against what they would be if the item had its usual share of today's traffic,
as a Poisson z-score: (recent - expected) / sqrt(expected + 1). A busy evening raises all items and makes none of them trend.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.demand.item_counts import HalfLives

PRIOR_INTEREST = 100.0
MOST_TRENDING = 100  # items
SURPRISING = 3.0  # z-score of a trending item
FEWEST = 5.0  # `recent` of a trending item: a shopper who views, puts into the basket and buys is three acts
TREND_EVERY = 4  # of the popular order's first places, every fourth is a trending item
_NO_TRAFFIC = 1e-6

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


def usual_share(half_lives: HalfLives) -> float:
    """Which share of `acts` is `recent` where an item is asked for at a constant rate."""
    return half_lives.recent_ms / half_lives.long_ms


class Demand(NamedTuple):
    """Sums of all items as of now, each [items]; as in `ItemDemand`."""

    interest: Numbers
    acts: Numbers
    recent: Numbers


class Orders(NamedTuple):
    """Both orders, best first, as places of items. `popular` has all items, with trending ones at some of its places;
    `trending` at most `MOST_TRENDING`."""

    popular: Places
    trending: Places


def prior_of(popular: Sequence[int] | Places, items: int) -> Numbers:
    """The interest [items] that the model's order of popular items stands for; `popular`: places, best first."""
    prior = np.zeros(items)
    if count := len(popular):
        share = 1 / np.arange(1, count + 1)
        prior[np.asarray(popular, dtype=np.intp)] = PRIOR_INTEREST * share / share.sum()
    return prior


def orders_of(prior: Numbers, demand: Demand, half_lives: HalfLives) -> Orders:
    """The orders of items; `prior`: [items]. Equal items stay in their places' order."""
    share = usual_share(half_lives)
    usual = float(demand.acts.sum()) * share
    traffic = float(demand.recent.sum()) / usual if usual > _NO_TRAFFIC else 1.0  # 1: as usual
    expected = demand.acts * (share * traffic)
    surprise = (demand.recent - expected) / np.sqrt(expected + 1)
    candidates = np.flatnonzero((surprise >= SURPRISING) & (demand.recent >= FEWEST))
    trending = candidates[np.argsort(-surprise[candidates], kind="stable")][:MOST_TRENDING]
    popular = np.argsort(-(prior + demand.interest), kind="stable")
    return Orders(with_trending(popular, trending), trending)


def with_trending(popular: Places, trending: Places) -> Places:
    """The popular order with trending items at every fourth place. An item whose own place is as good keeps it."""
    rank = np.empty(len(popular), dtype=np.intp)
    rank[popular] = np.arange(len(popular))
    raised: list[int] = []
    for item in trending.tolist():
        if rank[item] >= TREND_EVERY * (len(raised) + 1):
            raised.append(item)
    if not raised:
        return popular
    rest = popular[~np.isin(popular, raised)]
    before = (TREND_EVERY - 1) * np.arange(1, len(raised) + 1)
    return np.insert(rest, np.minimum(before, len(rest)), raised)


def decayed(values: Numbers, ages_ms: Numbers, half_life_ms: float) -> Numbers:
    """Sums as of now; `ages_ms` [items]: since they were counted. A clock that runs behind counts as none."""
    result: Numbers = values * np.exp2(-np.maximum(ages_ms, 0.0) / half_life_ms)
    return result
