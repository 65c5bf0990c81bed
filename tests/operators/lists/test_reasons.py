"""Reasons as arrays: a batch of lists, one of them, and places that were added."""

import numpy as np

from operators.lists.reasons import PlaceReasons


def test_places_are_taken_from_one_list_and_joined() -> None:
    reasons = PlaceReasons(np.array([[1, 2, 3], [3, 2, 1]]), np.array([[0, 0, 7], [8, 0, 0]]))
    popular = PlaceReasons(np.array([[1]]), np.array([[0]]))
    joined = reasons.of_list(1).first(2).followed_by(popular)
    assert joined.kinds.tolist() == [[3, 2, 1]]
    assert joined.rows.tolist() == [[8, 0, 0]]
