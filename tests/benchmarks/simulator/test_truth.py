import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator.truth import best_rows, examination, expected_clicks, relevance
from tests.benchmarks.simulator.shops import small_world

WORLD = small_world()


def test_relevance_is_a_probability_that_rises_with_what_the_shopper_wants() -> None:
    relevant, wanted = relevance(WORLD, 5, 2, []), WORLD.wanted(5, 2)
    assert ((relevant >= 0) & (relevant < 1)).all()
    assert (np.diff(relevant[np.argsort(wanted, kind="stable")]) >= 0).all()


def test_nobody_clicks_what_they_have_what_has_not_arrived_and_what_is_not_there() -> None:
    relevant = relevance(WORLD, 5, 2, [7, 9])
    hidden = np.setdiff1d(np.arange(len(WORLD.category)), WORLD.present)
    assert relevant[[7, 9, -1]].tolist() == [0, 0, 0]
    assert len(hidden) and (relevant[hidden] == 0).all()


def test_expected_clicks_are_a_sum_over_places() -> None:
    relevant = np.array([0.5, 0.2, 0.0, 0.0])
    assert expected_clicks(relevant, np.array([0, 1])) == pytest.approx(0.5 + 0.2 / 2)
    assert expected_clicks(relevant, np.array([1, -1, 0])) == pytest.approx(0.2 + 0.5 / 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 299), st.integers(0, 7), st.permutations(range(200)))
def test_no_list_beats_the_best_one(shopper: int, focus: int, order: list[int]) -> None:
    relevant = relevance(WORLD, shopper, focus, [])
    best = expected_clicks(relevant, best_rows(relevant, 20))
    assert expected_clicks(relevant, np.array(order[:20])) <= best + 1e-12


def test_clicks_agree_with_what_is_expected() -> None:
    """20,000 shoppers examine and click; four standard deviations of the sum of the binomials."""
    relevant = relevance(WORLD, 5, 2, [])
    rows = best_rows(relevant, 20)
    chance = examination(20) * relevant[rows]
    clicks = (np.random.default_rng(1).random((20_000, 20)) < chance).sum()
    assert clicks == pytest.approx(
        20_000 * expected_clicks(relevant, rows), abs=4 * np.sqrt(20_000 * (chance * (1 - chance)).sum())
    )
