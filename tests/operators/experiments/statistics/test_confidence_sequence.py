import numpy as np
import pytest

from operators.experiments.statistics.confidence_sequence import (
    MIN_CONVERTERS,
    MIN_USERS,
    always_valid_p,
    can_compare,
    difference_sequence,
    radius,
    rate_sequence,
    variance_if_equal,
)
from operators.experiments.statistics.moments import Moments


def arm(users: int, rate: float, items: float = 10) -> Moments:
    x = np.full(users, items)
    return Moments.of(x, np.random.default_rng(users).binomial(int(items), rate, users).astype(float))


def test_the_radius_is_the_papers() -> None:
    """Waudby-Smith et al., theorem 2.2, with t = 1 / variance for observations of variance 1, and rho = scale."""
    t, rho, alpha = np.array([10.0, 1000.0, 1e6]), np.asarray(0.1), 0.05
    paper = np.sqrt(2 * (t * rho**2 + 1) / (t**2 * rho**2) * np.log(np.sqrt(t * rho**2 + 1) / alpha))
    assert np.allclose(radius(1 / t, rho, alpha), paper)


def test_a_random_walk_stays_inside_at_all_times() -> None:
    generator, runs, left = np.random.default_rng(5), 400, 0
    for _ in range(runs):
        t = np.arange(1.0, 5001)
        mean = generator.normal(size=5000).cumsum() / t
        left += bool((np.abs(mean) > radius(1 / t, np.asarray(0.1), 0.05)).any())
    assert 0 < left / runs < 0.05


@pytest.mark.parametrize("estimate", [0.0, 0.01, 0.05, -0.3])
def test_the_p_value_is_where_the_interval_begins_to_hold_zero(estimate: float) -> None:
    variance, scale = np.asarray(1e-4), np.asarray(0.02)
    p = float(always_valid_p(np.asarray(estimate), variance, scale))
    if p < 1:
        assert np.isclose(radius(variance, scale, p), abs(estimate))
    else:
        assert radius(variance, scale, 0.999) > abs(estimate)


def test_without_variance_or_scale_the_interval_holds_everything() -> None:
    zero, one = np.asarray(0.0), np.asarray(1.0)
    assert radius(zero, one, 0.05) == radius(one, zero, 0.05) == np.inf
    assert always_valid_p(zero, zero, zero) == 1


@pytest.mark.parametrize(
    ("users", "items", "enough"), [(MIN_USERS, 10, True), (MIN_USERS - 1, 10, False), (150, 1, False)]
)
def test_too_few_users_or_conversions_give_no_interval(users: int, items: float, enough: bool) -> None:
    few = arm(users, 0.08 if items == 1 else 0.5, items)
    assert (few.effective_converters >= MIN_CONVERTERS) == (items > 1)
    rate, difference = rate_sequence(few, 0.1, 0.05), difference_sequence(few, arm(500, 0.5), 0.1, 0.05)
    assert ((rate.low, rate.high) != (0, 1)) == enough
    assert (difference.low > -1) == enough
    assert enough or difference.p == 1


def test_a_great_difference_is_found_with_its_sign() -> None:
    low, high = arm(1000, 0.05), arm(1001, 0.2)
    found, turned = difference_sequence(low, high, 0.1, 0.05), difference_sequence(high, low, 0.1, 0.05)
    assert found.excludes_zero
    assert 0 < found.low < 0.15 < found.high
    assert turned.high < 0
    assert found.p < 1e-6


def test_an_arm_without_a_conversion_that_should_have_some_is_found() -> None:
    many, none = arm(10_000, 0.05), arm(10_001, 0.0)
    assert not none.variance, "it says nothing by itself"
    found, turned = difference_sequence(many, none, 0.1, 0.05), difference_sequence(none, many, 0.1, 0.05)
    assert found.high < -0.03 and turned.low > 0.03 and found.p < 1e-6
    assert difference_sequence(none, none, 0.1, 0.05).p == 1


@pytest.mark.parametrize(("users", "can"), [(110, False), (140, True)])
def test_a_small_arm_is_compared_once_the_rate_of_both_lets_it_expect_conversions(users: int, can: bool) -> None:
    large, small = arm(10_000, 0.02), arm(users, 0.0)
    assert bool(can_compare(large, small)) == bool(can_compare(small, large)) == can
    assert bool(can_compare(arm(10_000, 0.01), small)) is False, "12 conversions at most"


def test_arms_of_equal_rates_and_sizes_have_the_variance_of_both() -> None:
    one = arm(1000, 0.1)
    assert np.isclose(variance_if_equal(one, one), 2 * one.variance, rtol=1e-3)


def test_more_users_give_a_narrower_interval() -> None:
    widths = [
        float((looks := rate_sequence(arm(users, 0.1), 0.1, 0.05)).high - looks.low) for users in (200, 2000, 20_000)
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
