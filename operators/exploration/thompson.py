"""Thompson sampling by its probabilities: how probable it is that an item has the best click rate of its pool.

Thompson (1933) draws a rate for each item from its posterior and shows the best. Here the probability of that is computed
and not simulated, so that it can be logged: P(i is best) = integral of f_i(x) * product of F_j(x) over the others, on a grid.
f and F are density and distribution of Beta(a + clicks, b + impressions - clicks); a and b are fitted on all items.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.demand.item_counts import LARGEST

RIVALS = 20  # in a larger pool an item is compared with so many others, drawn at random: a list does not compete with a catalogue
FEWEST = 1e-6  # chance of an item: none is out for good
MEAN, STRENGTH = 0.03, 30.0  # of the prior before there are impressions, which count as `STRENGTH` of them
WEIGHT = 10 * STRENGTH  # of that strength, in impressions: few items say little about how items differ
WEAKEST, STRONGEST = 2.0, 1000.0  # a + b of a fitted prior
MANY, FINE, COARSE = 1000, 0.01, 0.05  # counts of many items that differ by 5 % count as equal: few posteriors are left
_LOGITS = np.linspace(-14.0, 7.0, 512)
_LOG_RATE, _LOG_REST = -np.logaddexp(0.0, -_LOGITS), -np.logaddexp(0.0, _LOGITS)

Numbers = npt.NDArray[np.float64]


class Prior(NamedTuple):
    """Beta(a, b) of the click rate of an item without an impression."""

    a: float
    b: float


def usable(impressions: Numbers, clicks: Numbers) -> tuple[Numbers, Numbers]:
    """Both counts, with what cannot be as the nearest that can: NaN, infinity and numbers below 0 are 0, and there are no more
    clicks than impressions."""
    impressions, clicks = (np.clip(np.nan_to_num(n, posinf=0.0), 0.0, LARGEST) for n in (impressions, clicks))
    return impressions, np.minimum(clicks, impressions)


def fitted_prior(impressions: Numbers, clicks: Numbers) -> Prior:
    """The prior whose mean and variance are those of the items' rates, without what chance adds to the variance (Kleinman,
    "Proportions with Extraneous Variance", JASA 1973). Counts as `usable` gives them, [items]."""
    shown = impressions > 0
    n, k = impressions[shown], clicks[shown]
    total = float(n.sum())
    mean = (float(k.sum()) + MEAN * STRENGTH) / (total + STRENGTH)
    strength = STRENGTH
    spare = total - float((n * n).sum()) / total - (len(n) - 1) if total > 0 else 0.0
    if len(n) > 1 and spare > 0:
        spread = float((n * (k / n - mean) ** 2).sum()) / (mean * (1 - mean))
        alike = (spread - (len(n) - 1) + WEIGHT / (STRENGTH + 1)) / (
            spare + WEIGHT
        )  # correlation within an item, 1 / (a + b + 1)
        strength = min(max(1 / max(alike, 1e-9) - 1, WEAKEST), STRONGEST)
    return Prior(mean * strength, (1 - mean) * strength)


def chances(impressions: Numbers, clicks: Numbers, prior: Prior, copies: Numbers | None = None) -> Numbers:
    """[items]: the probability that each is the best of the pool; of more than `RIVALS` others, the best beside so many of them
    drawn at random. Then they do not sum to 1: only their ratios matter.

    `copies`: how many items of the pool each stands for (default 1).
    """
    copies = np.ones(len(impressions)) if copies is None else copies
    others = float(copies.sum()) - 1
    if others <= 0:
        return np.ones(len(impressions))
    step = COARSE if len(impressions) > MANY else FINE
    levels = [np.round(np.log1p(counts) / step).astype(np.int64) for counts in usable(impressions, clicks)]
    codes, which = np.unique(levels[0] << 32 | levels[1], return_inverse=True)
    shown, clicked = (np.expm1(step * level) for level in (codes >> 32, codes & 0xFFFFFFFF))
    mass, below = _posterior(prior.a + clicked, prior.b + np.maximum(shown - clicked, 0.0))
    count = np.bincount(which, copies, len(codes))
    if others <= RIVALS:
        logs = np.log(np.maximum(below, 1e-300))
        beats = np.exp(count @ logs - logs)
    else:
        beats = np.maximum((count @ below - below) / others, 0.0) ** RIVALS
    best: Numbers = np.maximum((mass * beats).sum(axis=1), FEWEST)[which]
    return best


def _posterior(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """Mass and distribution of Beta(a, b) at the grid's points, both [items, points]: half of a point's mass is below it, so that
    equal items beat each other half the time."""
    logs = a[:, None] * _LOG_RATE + b[:, None] * _LOG_REST  # the density of the logit
    mass = np.exp(logs - logs.max(axis=1, keepdims=True))
    mass /= mass.sum(axis=1, keepdims=True)
    return mass, mass.cumsum(axis=1) - mass / 2
