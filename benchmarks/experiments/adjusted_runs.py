"""What users' history takes off the variance of a difference (CUPED), and whether the interval still holds."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from operators.experiments.cuped import adjusted_difference
from operators.experiments.outcomes import Sample

RATE, SPREAD, ITEMS, LIFT = 0.05, 10.0, 20, 0.1


@dataclass(frozen=True)
class AdjustedRuns:
    """`variance_ratio`: adjusted by unadjusted, mean. `coverage`: share of 95 % intervals for one look that hold the
    truth. `bias`: mean error in shares of the truth."""

    variance_ratio: float
    coverage: float
    bias: float


def adjusted(users: int, with_history: float, runs: int, seed: int) -> AdjustedRuns:
    """`with_history`: the share of the users of whom something is known from before."""
    rng = np.random.default_rng(seed)
    half, truth = NormalDist().inv_cdf(0.975), RATE * LIFT
    ratios, errors, held = [], [], 0
    for _ in range(runs):
        arm = rng.random(users) < 0.5
        probability = rng.beta(RATE * SPREAD, (1 - RATE) * SPREAD, users)
        clicks_before = rng.binomial(5 * ITEMS, probability)
        history = {f"u{n}": float(clicks_before[n]) for n in np.flatnonzero(rng.random(users) < with_history)}
        clicks = rng.binomial(ITEMS, np.minimum(1, np.where(arm, probability * (1 + LIFT), probability)))
        samples = [
            Sample(
                tuple(f"u{n}" for n in np.flatnonzero(of_arm)),
                np.full(int(of_arm.sum()), float(ITEMS)),
                clicks[of_arm].astype(np.float64),
            )
            for of_arm in (~arm, arm)
        ]
        (_, without), (estimate, variance) = (
            adjusted_difference(samples[0], samples[1], known) for known in ({}, history)
        )
        ratios.append(variance / without)
        errors.append(estimate - truth)
        held += abs(estimate - truth) <= half * variance**0.5
    return AdjustedRuns(float(np.mean(ratios)), held / runs, float(np.mean(errors)) / truth)
