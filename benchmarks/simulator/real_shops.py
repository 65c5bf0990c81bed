"""Figures of real shops that the simulated one follows: skew of demand, lengths of sessions, pauses, baskets.

| figure | source |
|---|---|
| skew | clicks of 338,417 items, bol.com (bkersbergen/etudelib, `notebooks/inverse_cdf/freqs.csv`, Apache-2.0) |
| lengths, pauses | 23,753 sessions, bol.com (bolcom/serenade, `assets/example`, Apache-2.0) |
| returns | 12,715 gaps between orders of a customer (UCI Online Retail, doi 10.24432/C5BW33, CC BY 4.0) |
| baskets | 110,300 events of Taobao (Alibaba Tianchi, dataset 649): figures only |
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Zipf-Mandelbrot: an item of rank r of n has a share proportional to (r + ZIPF_SHIFT * n) ** -ZIPF_EXPONENT. Least squares on
# the share of clicks that the top 0.1 % to 90 % of the items have; a shift in proportion to n keeps these shares at any n
ZIPF_EXPONENT, ZIPF_SHIFT = 0.828, 0.00171

# share of sessions that are no longer, and the clicks of such a session; one-click sessions were removed at the source
SESSION_LENGTHS = (
    (0.3355, 2), (0.5499, 3), (0.6683, 4), (0.754, 5), (0.8098, 6), (0.8527, 7), (0.8839, 8), (0.9072, 9), (0.9241, 10),
    (0.938, 11), (0.95, 13), (0.99, 22), (0.999, 54),
)  # fmt: skip
THINK_S, THINK_SPREAD = 50.0, 1.59  # between the clicks of a session: median, standard deviation of the logarithm
RETURN_SPREAD = 1.5  # standard deviation of the logarithm of the time until a shopper comes back
CART_SHARE = 0.062  # of views: 6,063 of 98,361
PURCHASE_SHARE = 0.41  # of cart events: 2,493 of 6,063


def demand_shares(items: int) -> Floats:
    """float64 [items], falling, sum 1: each item's share of all clicks."""
    weights: Floats = (np.arange(1, items + 1) + ZIPF_SHIFT * items) ** -ZIPF_EXPONENT
    weights /= weights.sum()
    return weights


def session_length(rng: np.random.Generator) -> int:
    """The number of pages of one session: the source's inverse distribution function, linear between its figures."""
    shares, lengths = zip(*SESSION_LENGTHS, strict=True)
    return int(np.ceil(np.interp(rng.random(), shares, lengths)))


def mean_session_length() -> float:
    """Of `session_length`, pages."""
    shares, lengths = zip(*SESSION_LENGTHS, strict=True)
    draws = (np.arange(100_000) + 0.5) / 100_000
    return float(np.ceil(np.interp(draws, shares, lengths)).mean())


def log_normal(rng: np.random.Generator, median: float, spread: float) -> float:
    """A positive number; `spread`: standard deviation of its logarithm."""
    return float(median * np.exp(spread * rng.standard_normal()))
