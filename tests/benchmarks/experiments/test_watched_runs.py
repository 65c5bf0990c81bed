"""Issue 28, must show 2: a better arm is found, equal arms are rarely called different however often one looks."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.experiments.planted_arms import CONTROL, TREATMENT, PlantedShop, run, watched
from benchmarks.experiments.watched_runs import watch
from operators.experiments.statistics.moments import Moments

SHOP = PlantedShop(shoppers=4_000)


@pytest.mark.parametrize(
    "shop",
    [
        SHOP,
        replace(SHOP, rate=0.005),
        replace(SHOP, treated=0.1),
        replace(SHOP, shoppers=400, spread=1e5, sessions=20.0),
        replace(SHOP, drift=-0.5),
        replace(SHOP, rate=0.001, spread=50.0),
        replace(SHOP, rate=0.005, treated=0.1),
    ],
    ids=[
        "usual",
        "rare clicks",
        "unequal shares",
        "alike shoppers who return",
        "drift",
        "a click in 1,000",
        "both rare",
    ],
)
def test_equal_arms_are_called_different_in_less_than_5_percent_of_200_watched_runs(shop: PlantedShop) -> None:
    assert watch(shop, lift=0.0, runs=200, seed=11).called_different < 0.05


def test_an_interval_for_one_look_would_call_equal_arms_different() -> None:
    """The same runs and looks: the test above does not hold for any interval."""
    assert watch(SHOP, lift=0.0, runs=200, seed=11).called_by_fixed > 0.2


def test_a_better_arm_is_found_and_its_difference_stays_in_the_interval() -> None:
    result = watch(SHOP, lift=0.4, runs=200, seed=12)
    assert result.called_different > 0.98
    assert result.shoppers_until_found is not None
    assert 500 < result.shoppers_until_found < 2_500
    assert result.truth_left_out < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("expected_lift", [0.1, 1.0])
@pytest.mark.parametrize("treated", [0.5, 0.1, 0.03, 0.9])
@pytest.mark.parametrize("rate", [0.0005, 0.005, 0.04])
def test_equal_arms_of_any_rate_and_share_are_called_different_in_less_than_5_percent(
    rate: float, treated: float, expected_lift: float
) -> None:
    shop = replace(SHOP, shoppers=10_000, rate=rate, treated=treated)
    assert watch(shop, lift=0.0, runs=200, seed=14, expected_lift=expected_lift).called_different < 0.05


def test_an_arm_that_nobody_clicks_is_found_with_a_few_hundred_shoppers() -> None:
    result = watch(SHOP, lift=-1.0, runs=50, seed=15)
    assert result.called_different == 1
    assert result.shoppers_until_found is not None and result.shoppers_until_found < 1000


def test_a_much_better_arm_is_found_sooner() -> None:
    small, great = (watch(SHOP, lift, runs=30, seed=13).shoppers_until_found for lift in (0.4, 0.8))
    assert small and great and great < 0.7 * small


def test_the_running_sums_are_those_of_the_shoppers() -> None:
    rng = np.random.default_rng(1)
    shopper = rng.integers(0, 9, 60)
    arm, x = shopper % 2, rng.integers(1, 20, 60).astype(float)
    y = rng.binomial(x.astype(int), 0.3).astype(float)
    sums = watched(shopper, arm, x, y)
    for last in (0, 7, 59):
        assert sums.shoppers[last] == len({*shopper[: last + 1]})
        for which, running in ((CONTROL, sums.control), (TREATMENT, sums.treatment)):
            seen = {one: shopper[: last + 1] == one for one in {*shopper[: last + 1]} if one % 2 == which}
            totals = [np.array([values[: last + 1][mine].sum() for mine in seen.values()]) for values in (x, y)]
            by_hand = Moments.of(*totals)
            assert {name: values[last] for name, values in vars(running).items()} == vars(by_hand)


def test_planted_clicks_have_their_rate_and_lift() -> None:
    last = run(replace(SHOP, shoppers=40_000), 0.5, np.random.default_rng(2))
    assert abs(last.control.rate[-1] / SHOP.rate - 1) < 0.03
    assert abs(last.treatment.rate[-1] / SHOP.rate / 1.5 - 1) < 0.03
