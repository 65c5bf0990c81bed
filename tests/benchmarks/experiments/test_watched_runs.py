"""Issue 28, must show 2: a better arm is found, equal arms are rarely called different however often one looks."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.experiments.planted_arms import Shop, run
from benchmarks.experiments.watched_runs import watch
from operators.experiments.moments import Moments

SHOP = Shop(shoppers=4_000)


@pytest.mark.parametrize(
    "shop",
    [
        SHOP,
        replace(SHOP, rate=0.005),
        replace(SHOP, treated=0.1),
        replace(SHOP, shoppers=400, spread=1e5, sessions=20.0),
        replace(SHOP, drift=-0.5),
    ],
    ids=["usual", "rare clicks", "unequal shares", "alike shoppers who return", "drift"],
)
def test_equal_arms_are_called_different_in_less_than_5_percent_of_200_watched_runs(shop: Shop) -> None:
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


def test_a_much_better_arm_is_found_sooner() -> None:
    small, great = (watch(SHOP, lift, runs=30, seed=13).shoppers_until_found for lift in (0.4, 0.8))
    assert small and great and great < 0.7 * small


def test_the_running_sums_are_those_of_the_shoppers() -> None:
    """After the last session, and of an earlier one, against sums made shopper by shopper."""
    watched = run(replace(SHOP, shoppers=50), 0.0, np.random.default_rng(1))
    last = [
        Moments(*(float(values[-1]) for values in vars(arm).values())) for arm in (watched.control, watched.treatment)
    ]
    assert sum(arm.users for arm in last) == watched.shoppers[-1] == 50
    for arm in (watched.control, watched.treatment):
        assert (np.diff(arm.xx) >= np.diff(arm.x) ** 2).all()
        assert (arm.xx * arm.yy >= arm.xy**2 - 1e-6).all()  # Cauchy and Schwarz
        assert (arm.xx * arm.users >= arm.x**2 - 1e-6).all()
