import numpy as np
import pytest

from operators.experiments.calibration import Bin, reliability


def test_probabilities_that_come_true_have_no_calibration_error() -> None:
    chance = np.random.default_rng(0).random(100_000)
    happened = np.random.default_rng(1).random(100_000) < chance
    judgement = reliability(chance, happened)
    assert judgement is not None and judgement.ece < 0.01
    assert judgement.brier == pytest.approx(1 / 6, abs=0.01)  # mean of p (1 - p) of a uniform p
    assert all(each.count == 10_000 for each in judgement.bins)


def test_the_gap_of_wrong_probabilities_is_the_calibration_error() -> None:
    happened = np.arange(1000) % 2 == 0
    judgement = reliability(np.full(1000, 0.9), happened)
    assert judgement is not None
    assert (judgement.ece, judgement.predicted, judgement.happened) == pytest.approx((0.4, 0.9, 0.5))


def test_few_cases_have_a_bin_each_and_none_have_no_judgement() -> None:
    judgement = reliability(np.array([0.75, 0.25]), np.array([True, False]))
    assert judgement is not None
    assert judgement.bins == (Bin(0.25, 0.0, 1), Bin(0.75, 1.0, 1))
    assert (judgement.ece, judgement.brier) == (0.25, 0.0625)
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)) is None
