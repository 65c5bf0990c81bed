import numpy as np

from operators.experiments.statistics.moments import Moments


def test_the_variance_is_that_of_rates_over_drawn_users() -> None:
    """Users with many items and with few, and with clicks that are not independent."""
    rng = np.random.default_rng(3)
    rates, variances = [], []
    for _ in range(2000):
        x = 1.0 + rng.poisson(5, 300) * rng.integers(1, 4, 300)
        y = rng.binomial(x.astype(int), rng.beta(1, 9, 300)).astype(float)
        moments = Moments.of(x, y)
        rates.append(float(moments.rate))
        variances.append(float(moments.variance))
    assert abs(np.mean(rates) - 0.1) < 0.001
    assert abs(np.mean(variances) / np.var(rates) - 1) < 0.07
    items = x.sum()
    assert np.mean(variances) > 1.5 * 0.1 * 0.9 / items  # as if each item were a user of its own: too small


def test_one_shown_item_a_user_is_the_binomial() -> None:
    moments = Moments.of(np.ones(50), np.r_[np.ones(10), np.zeros(40)])
    assert np.isclose(moments.rate, 0.2)
    assert np.isclose(moments.variance, 0.2 * 0.8 / 49)
    assert np.isclose(moments.effective_users, 50)
    assert np.isclose(moments.effective_converters, 10)


def test_one_user_with_most_of_the_items_counts_little_more_than_one() -> None:
    assert Moments.of(np.r_[10_000.0, np.ones(100)], np.zeros(101)).effective_users < 1.1


def test_nothing_gives_zeros() -> None:
    for users in (0, 1):
        moments = Moments.of(np.ones(users), np.ones(users))
        assert moments.variance == 0
    assert Moments.of(np.zeros(3), np.zeros(3)).rate == 0
