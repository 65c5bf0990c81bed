"""Chances against simulation, and the prior against items whose rates are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.exploration.thompson import FEWEST, RIVALS, Prior, chances, fitted_prior, usable

PRIOR = Prior(1.0, 30.0)


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def simulated(impressions: np.ndarray, clicks: np.ndarray, draws: int = 200_000) -> np.ndarray:
    generator = np.random.default_rng(5)
    rates = generator.beta(PRIOR.a + clicks, PRIOR.b + impressions - clicks, (draws, len(clicks)))
    return np.bincount(rates.argmax(axis=1), minlength=len(clicks)) / draws


@pytest.mark.parametrize(
    ("impressions", "clicks"),
    [
        (array(0, 0, 0), array(0, 0, 0)),
        (array(0, 100, 400, 30), array(0, 2, 30, 4)),
        (array(5000, 5000, 0), array(200, 260, 0)),
        (array(*range(0, 200, 10)), array(*[1] * 20)),
    ],
)
def test_chances_are_those_of_drawing_a_rate_for_each_item(impressions: np.ndarray, clicks: np.ndarray) -> None:
    clicks = np.minimum(clicks, impressions)
    computed = chances(impressions, clicks, PRIOR)
    assert np.abs(computed - simulated(impressions, clicks)).max() < 0.02
    assert computed.sum() == pytest.approx(1, abs=0.03)


def test_in_a_large_pool_an_item_is_compared_with_some_others() -> None:
    impressions, clicks = np.full(3000, 50.0), np.full(3000, 1.0)
    impressions[0], clicks[0] = 150.0, 20.0
    computed = chances(impressions, clicks, PRIOR)
    assert computed[0] > 0.75 and computed[1:] == pytest.approx(computed[1])
    assert computed[1] == pytest.approx(1 / (RIVALS + 1), rel=0.1), "as good as any of its rivals"


def test_copies_count_as_so_many_items() -> None:
    alone = chances(array(0, 60, *[0] * 9), array(0, 5, *[0] * 9), PRIOR)
    together = chances(array(0, 60), array(0, 5), PRIOR, array(10, 1))
    assert together == pytest.approx(alone[:2])


def test_an_item_alone_is_the_best() -> None:
    assert chances(array(1e6), array(0), PRIOR).tolist() == [1.0]
    assert chances(array(), array(), PRIOR).tolist() == []


def test_clicks_lift_an_item_and_impressions_without_clicks_lower_it() -> None:
    after = chances(array(100, 100, 100), array(0, 3, 9), PRIOR)
    assert after[0] < after[1] < after[2]
    assert chances(array(1e5, 10), array(0, 1), PRIOR)[0] == FEWEST, "and no item is out for good"


counts = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30)


@given(counts)
@settings(max_examples=60)
def test_whatever_the_counts_are_chances_are_probabilities(impressions: list[float]) -> None:
    shown, clicked = np.array(impressions), np.array([*reversed(impressions)])
    good_shown, good_clicked = usable(shown, clicked)
    assert (good_shown >= 0).all() and (good_clicked >= 0).all() and (good_clicked <= good_shown).all()
    prior = fitted_prior(good_shown, good_clicked)
    computed = chances(shown, clicked, prior)
    assert prior.a > 0 and prior.b > 0
    assert ((computed >= FEWEST) & (computed <= 1 + 1e-9)).all()


@pytest.mark.parametrize(("a", "b"), [(1.0, 30.0), (5.0, 45.0), (20.0, 480.0)])
def test_the_prior_has_mean_and_variance_of_the_items(a: float, b: float) -> None:
    generator = np.random.default_rng(7)
    rates = generator.beta(a, b, 4000)
    impressions = generator.integers(20, 2000, 4000).astype(np.float64)
    fitted = fitted_prior(impressions, generator.binomial(impressions.astype(int), rates).astype(np.float64))
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(a / (a + b), rel=0.05)
    assert fitted.a + fitted.b == pytest.approx(a + b, rel=0.15)


def test_without_impressions_or_without_a_difference_there_is_a_prior_too() -> None:
    nothing = fitted_prior(array(), array())
    assert 0 < nothing.a < nothing.b
    alike = fitted_prior(np.full(50, 100.0), np.full(50, 10.0))
    assert alike.a + alike.b == pytest.approx(1000)
    assert sum(fitted_prior(array(5), array(5))) == pytest.approx(30)
