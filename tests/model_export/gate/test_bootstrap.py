"""The interval of a paired difference."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.gate.bootstrap import interval

RNG = np.random.default_rng(3)


def test_no_difference_has_no_width() -> None:
    assert interval(np.zeros(100), np.arange(100) % 10, 7) == (0, 0)


def test_the_interval_of_independent_questions_is_the_normal_one() -> None:
    difference = RNG.normal(0.1, 1, 4000)
    low, high = interval(difference, np.arange(4000), 7)
    error = 1.96 * difference.std() / np.sqrt(4000)
    assert np.allclose([low, high], [difference.mean() - error, difference.mean() + error], atol=0.15 * error)


def test_questions_of_one_user_are_no_independent_witnesses() -> None:
    of_user = RNG.normal(0, 1, 100)
    difference, user = np.repeat(of_user, 20), np.repeat(np.arange(100), 20)
    (low, high), (low_alone, high_alone) = interval(difference, user, 7), interval(difference, np.arange(2000), 7)
    assert high - low > 3 * (high_alone - low_alone)


@settings(max_examples=15)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_it_lies_between_the_worst_and_the_best_question(differences: list[float], users: int, seed: int) -> None:
    difference = np.array(differences)
    user = np.unique(np.arange(len(difference)) % users, return_inverse=True)[1]
    low, high = interval(difference, user, seed)
    assert difference.min() - 1e-9 <= low <= high <= difference.max() + 1e-9
    assert (low, high) == interval(difference, user, seed)
