"""Experiments watched after every session: how often equal arms are called different, how soon a better arm is found."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from benchmarks.experiments.planted_arms import PlantedShop, run
from operators.experiments.statistics.confidence_sequence import difference_sequence, has_enough

ALPHA = 0.05


@dataclass(frozen=True)
class WatchedRuns:
    """Shares of the runs. `called_different`: the always-valid interval left out 0 at any look; `called_by_fixed`: an
    interval for one look did, watched in the same way; `truth_left_out`: the always-valid interval left out the planted
    difference at any look. `shoppers_until_found`: median of the runs that called; None below half of them."""

    runs: int
    called_different: float
    called_by_fixed: float
    truth_left_out: float
    shoppers_until_found: float | None


def watch(shop: PlantedShop, lift: float, runs: int, seed: int, expected_lift: float = 0.1) -> WatchedRuns:
    """`lift`: of the treatment's click probabilities over the control's; 0: equal arms. `truth_left_out` holds without drift."""
    quantile = NormalDist().inv_cdf(1 - ALPHA / 2)
    rng = np.random.default_rng(seed)
    called, fixed, left_out, shoppers = 0, 0, 0, list[float]()
    for _ in range(runs):
        watched = run(shop, lift, rng)
        looks = difference_sequence(watched.control, watched.treatment, expected_lift, ALPHA)
        found = looks.excludes_zero
        called += bool(found.any())
        shoppers.append(float(watched.shoppers[found.argmax()]) if found.any() else np.inf)
        truth = shop.rate * lift
        left_out += bool(((looks.low > truth) | (looks.high < truth)).any())
        enough = has_enough(watched.control) & has_enough(watched.treatment)
        deviation = np.sqrt(watched.control.variance + watched.treatment.variance)
        fixed += bool((enough & (np.abs(looks.estimate) > quantile * deviation)).any())
    median = float(np.median(shoppers))
    return WatchedRuns(runs, called / runs, fixed / runs, left_out / runs, median if np.isfinite(median) else None)
