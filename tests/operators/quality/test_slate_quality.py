import numpy as np
import pytest

from operators.quality.drift import popularity_places
from operators.quality.slate_quality import Coverage, SlateMeter

VECTORS = np.array([[0, 0], [1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
METER = SlateMeter(VECTORS, popularity_places(np.array([2, 1, 3, 4], dtype=np.int32), 4))
CATEGORIES = np.array([0, 1, 1, 2, 0], dtype=np.int32)


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int32)


def test_diversity_is_one_minus_the_mean_cosine_of_all_pairs() -> None:
    assert METER.measure(rows(1, 2), rows(0), CATEGORIES).diversity == pytest.approx(0.0)
    assert METER.measure(rows(1, 3), rows(0), CATEGORIES).diversity == pytest.approx(1.0)
    assert METER.measure(rows(1, 4), rows(0), CATEGORIES).diversity == pytest.approx(2.0)
    assert METER.measure(rows(1, 2, 3), rows(0), CATEGORIES).diversity == pytest.approx(1 - 1 / 3)


def test_novelty_is_the_place_in_the_order_of_popularity() -> None:
    assert METER.measure(rows(2, 4), rows(0), CATEGORIES).novelty == pytest.approx((0 + 3 / 4) / 2)


def test_a_list_of_the_shoppers_own_categories_is_calibrated() -> None:
    assert METER.measure(rows(1, 3), rows(2, 3), CATEGORIES).miscalibration == pytest.approx(0, abs=1e-3)
    # Steck, eq. 5, by hand: p = (1/2, 1/2), q = (1, 0), alpha 0.01
    by_hand = 0.5 * np.log(0.5 / (0.99 * 1 + 0.01 * 0.5)) + 0.5 * np.log(0.5 / (0.01 * 0.5))
    assert METER.measure(rows(1, 2), rows(2, 3), CATEGORIES).miscalibration == pytest.approx(by_hand)
    assert METER.measure(rows(1, 2), rows(4, 0), CATEGORIES).miscalibration is None


def test_empty_places_do_not_count_and_an_empty_list_is_no_error() -> None:
    assert METER.measure(rows(1, 3, 0, 0), rows(0), CATEGORIES).diversity == pytest.approx(1.0)
    assert METER.measure(rows(0, 0), rows(0), CATEGORIES).miscalibration is None


def test_coverage_is_of_the_last_one_to_two_windows_and_of_what_is_in_stock() -> None:
    coverage, allowed = Coverage(4, 10), np.array([False, True, True, True, False])
    coverage.listed(rows(1, 2, 0), 0)
    assert coverage.share(allowed) == pytest.approx(2 / 3)
    coverage.listed(rows(3, 4), 12)
    assert coverage.share(allowed) == 1
    coverage.listed(rows(3), 23)
    assert coverage.share(allowed) == pytest.approx(1 / 3)
    coverage.listed(rows(2), 90)
    assert coverage.share(allowed) == pytest.approx(1 / 3)
    assert coverage.share(np.zeros(5, dtype=bool)) == 0
