"""The bootstrap interval of a paired difference, over users."""

import numpy as np
import numpy.typing as npt

from model_export.gate.report import Interval

RESAMPLES = 1000
LEVEL = 0.95


def interval(difference: npt.NDArray[np.float64], user: npt.NDArray[np.int64], seed: int) -> Interval:
    """The 95 % percentile interval of the mean of `difference` [B], when users (`user` [B], from 0) are drawn again.

    Questions of one user are alike, so whole users are drawn with all their questions: single questions would give an
    interval that is too narrow. Cluster bootstrap: Davison and Hinkley, Bootstrap Methods (1997), section 3.8.
    """
    sums, counts = np.bincount(user, weights=difference), np.bincount(user)
    rng, means = np.random.default_rng(seed), np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = rng.integers(len(sums), size=len(sums))
        means[number] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
