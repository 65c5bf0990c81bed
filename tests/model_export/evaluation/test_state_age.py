"""Histories whose newest part is held back."""

import numpy as np

from model_export.evaluation.state_age import aged
from tests.model_export.data.test_windows import histories

ASKED = histories(20, window=50)  # one view a second
LAST = ASKED.where(np.array([19]))


def test_no_age_is_the_newest_window() -> None:
    features = aged(LAST, 0, 5)
    assert features.items[0].tolist() == [15, 16, 17, 18, 19] and features.length.tolist() == [5]


def test_what_came_within_the_age_is_unknown_and_older_steps_take_its_place() -> None:
    features = aged(LAST, 10, 5)
    assert features.items[0].tolist() == [6, 7, 8, 9, 10]


def test_a_short_rest_is_padded() -> None:
    features = aged(LAST, 17, 5)
    assert features.items[0].tolist() == [1, 2, 3, 0, 0] and features.length.tolist() == [3]
    assert features.kinds[0].tolist() == [1, 1, 1, 0, 0]


def test_a_window_that_hops_begins_where_it_began_at_that_moment() -> None:
    assert aged(LAST, 0, 8, hop=4).items[0].tolist() == [13, 14, 15, 16, 17, 18, 19, 0]  # 19 steps: from the 12th on
    assert aged(LAST, 10, 8, hop=4).items[0].tolist() == [5, 6, 7, 8, 9, 10, 0, 0]


def test_nothing_may_be_left() -> None:
    features = aged(LAST, 3600, 5)
    assert not features.items.any() and features.length.tolist() == [0]
