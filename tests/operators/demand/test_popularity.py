"""Who is popular and what trends."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.demand.item_counts import HalfLives
from operators.demand.popularity import (
    MOST_TRENDING,
    TREND_EVERY,
    Demand,
    Orders,
    decayed,
    orders_of,
    prior_of,
    usual_share,
)
from operators.time_units import HOUR_MS

HALF = HalfLives(24 * HOUR_MS, 5 * 60_000)
SHARE = usual_share(HALF)


def orders(interest: list[float], recent: list[float], popular: list[int] | None = None) -> Orders:
    """Each act is a view."""
    prior = prior_of([*range(len(interest))] if popular is None else popular, len(interest))
    return orders_of(prior, Demand(np.array(interest), np.array(interest), np.array(recent)), HALF)


def test_without_events_the_models_order_stands() -> None:
    assert orders([0.0] * 4, [0.0] * 4, [2, 0, 3, 1]).popular.tolist() == [2, 0, 3, 1]


def test_a_days_events_replace_it() -> None:
    assert orders([0.0, 0.0, 0.0, 300.0], [0.0] * 4).popular.tolist() == [3, 0, 1, 2]


def test_a_flash_sale_trends_and_is_among_the_first() -> None:
    interest = np.full(200, 3000.0)
    recent = interest * SHARE
    interest[150], recent[150] = 60.0, 50.0  # fifty views within the last minutes, next to none before
    found = orders(interest.tolist(), recent.tolist())
    assert found.trending.tolist() == [150]
    assert found.popular.tolist().index(150) == TREND_EVERY - 1


def test_a_busy_evening_makes_nothing_trend() -> None:
    interest = [3000.0] * 100
    assert len(orders(interest, [10 * amount * SHARE for amount in interest]).trending) == 0


def test_one_shopper_makes_no_trend() -> None:
    """Who views, puts into the basket and buys: three acts, and all that is bought counts little else in a quiet shop."""
    assert len(orders([0.0] * 10, [3.0] + [0.0] * 9).trending) == 0


def test_a_bestseller_that_trends_keeps_its_place() -> None:
    interest = np.array([9000.0] + [3000.0] * 99)
    recent = interest * SHARE
    recent[[0, 50, 60]] += (200.0, 400.0, 400.0)
    found = orders(interest.tolist(), recent.tolist())
    assert {*found.trending.tolist()} == {0, 50, 60}
    assert [found.popular.tolist().index(item) for item in (0, 50, 60)] == [0, 3, 7]


@given(st.lists(st.tuples(st.floats(0, 1e15), st.floats(0, 1e15)), min_size=1, max_size=300))
def test_each_item_is_in_the_order_once(items: list[tuple[float, float]]) -> None:
    found = orders([interest for interest, _ in items], [recent for _, recent in items])
    assert sorted(found.popular.tolist()) == [*range(len(items))] and len(found.trending) <= MOST_TRENDING
    assert len({*found.trending.tolist()}) == len(found.trending)


def test_what_is_old_counts_less_and_a_clock_that_runs_behind_counts_as_none() -> None:
    ages_ms = np.array([0.0, HALF.long_ms, -5.0, 1e18])
    assert decayed(np.full(4, 8.0), ages_ms, HALF.long_ms).tolist() == [8.0, 4.0, 8.0, 0.0]
