import numpy as np
import pytest

from benchmarks.experiments.logged_policies import LoggedShop, coverage

SHOP = LoggedShop(seed=1)


def test_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    results = coverage(SHOP, users=500, runs=400, seed=2)
    assert results.keys() == {"IPS", "SNIPS", "doubly robust"}
    for result in results.values():
        assert 0.92 < result.coverage < 0.98
        assert abs(result.bias) < 0.02


def test_the_mean_reward_of_what_was_shown_is_not_the_other_policys() -> None:
    """What the weights are for."""
    choices, _, _ = SHOP.choices(20_000, np.random.default_rng(3))
    assert abs(choices.reward.mean() / SHOP.truth - 1) > 0.1


@pytest.mark.parametrize("name", ["SNIPS", "doubly robust"])
def test_the_intervals_are_narrower_than_those_of_ips(name: str) -> None:
    results = coverage(SHOP, users=500, runs=50, seed=4)
    assert results[name].width < results["IPS"].width
