"""The best rows of all scores, against a stable sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.model.best_rows import best_rows


def drawn(users: int, items: int, digits: int, seed: int) -> np.ndarray:
    """Scores with the fewer digits the more equal ones."""
    return np.random.default_rng(seed).standard_normal((users, items)).round(digits).astype(np.float32)


def sorted_whole(scores: np.ndarray, count: int) -> np.ndarray:
    rows: np.ndarray = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return rows


@given(st.integers(1, 6), st.integers(1, 1500), st.integers(0, 8), st.integers(0, 9), st.integers(1, 130))
def test_they_are_those_of_a_sort_and_of_equals_the_first(
    users: int, items: int, digits: int, seed: int, count: int
) -> None:
    scores, count = drawn(users, items, digits, seed), min(count, items)
    best, rows = best_rows(scores, count)
    assert rows.dtype == np.int32 and best.dtype == np.float32
    np.testing.assert_array_equal(rows, sorted_whole(scores, count))
    np.testing.assert_array_equal(best, np.take_along_axis(scores, rows, axis=1))


def test_a_user_alone_gets_what_they_get_among_others() -> None:
    scores = drawn(64, 3799, 8, 1)
    scores[3] = 0  # has many equal ones, and goes another way
    together = best_rows(scores, 100)
    for user in (0, 3, 63):
        best, rows = best_rows(scores[user : user + 1], 100)
        assert (best[0] == together[0][user]).all() and (rows[0] == together[1][user]).all()


@pytest.mark.parametrize("broken", [slice(None), slice(0, 200)])
def test_a_user_whose_scores_are_no_numbers_gets_none_and_the_others_theirs(broken: slice) -> None:
    scores = drawn(3, 1000, 8, 2)
    scores[1, broken] = np.nan
    best, rows = best_rows(scores, 100)
    assert np.isnan(best[1]).all() and np.isnan(best_rows(scores[1:2], 100)[0]).all()
    np.testing.assert_array_equal(rows[[0, 2]], sorted_whole(scores[[0, 2]], 100))


def test_no_user_has_no_rows() -> None:
    assert best_rows(np.zeros((0, 300), np.float32), 100)[1].shape == (0, 100)
