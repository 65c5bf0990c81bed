"""What changes in a shop, and when: shoppers turn to other categories, items go in and out of fashion, new items arrive."""

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from benchmarks.simulator.real_shops import Floats

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drift:
    """`tastes`: share of shoppers who turn to other categories. `appeal`: share of items whose appeals are exchanged within
    their category, the hottest for the coldest. `arrivals`: new items that are as hot as the hottest of their category, in
    parts of the items that there were.

    Each change has a moment of its own between `at_s` and `at_s + over_s` (s of the run); `over_s` 0: all at once.
    """

    at_s: float = inf
    over_s: float = 0.0
    tastes: float = 0.5
    appeal: float = 0.5
    arrivals: float = 0.2

    def moments(self, count: int, rng: np.random.Generator) -> Floats:
        """float64 [count], rising."""
        return np.sort(self.at_s + self.over_s * rng.random(count))


class Schedule:
    """Rising moments of changes, of which each is due once."""

    def __init__(self, moments: Floats) -> None:
        self._moments, self._done = moments, 0

    def due(self, now_s: float) -> slice:
        """The changes since the last call."""
        first, self._done = self._done, int(np.searchsorted(self._moments, now_s, side="right"))
        return slice(first, self._done)


def exchanged(rows: Rows, appeal: Floats, share: float, rng: np.random.Generator) -> Rows:
    """int64 [pairs, 2] of a category's `rows`: a random `share` of them, the hottest with the coldest, and so on inwards."""
    chosen = rng.permutation(rows)[: round(share * len(rows))]
    by_appeal = chosen[np.argsort(-appeal[chosen], kind="stable")]
    pairs = len(by_appeal) // 2
    return np.stack([by_appeal[:pairs], by_appeal[::-1][:pairs]], axis=1)
