import numpy as np
import pytest

from benchmarks.simulator.drift import Drift
from benchmarks.simulator.real_shops import demand_shares
from benchmarks.simulator.world import World
from operators.errors import LiveshelfError
from tests.benchmarks.simulator.shops import small_world

AT_ONCE = Drift(at_s=60)


def only(**parts: float) -> Drift:
    return Drift(**({"at_s": 60.0, "tastes": 0.0, "appeal": 0.0, "arrivals": 0.0} | parts))


def test_all_shoppers_together_want_items_as_unequally_as_a_real_shop_s() -> None:
    demand = np.sort(small_world().demand())[::-1]
    cumulated, wanted = demand.cumsum(), demand_shares(200).cumsum()
    assert np.abs(cumulated[:200] - wanted).max() < 0.02


def test_a_shopper_wants_what_is_in_the_category_in_mind_and_little_else() -> None:
    world = small_world()
    wanted = world.wanted(0, focus=5)
    assert wanted.sum() == pytest.approx(1)
    assert 0.8 <= wanted[world.category == 5].sum() < 1


def test_shoppers_differ() -> None:
    world = small_world()
    first, second = (world.wanted(shopper, focus=5) for shopper in (0, 1))
    assert np.abs(first - second).sum() > 0.2


def test_the_same_seed_gives_the_same_shop_and_another_one_another() -> None:
    def drawn(world: World) -> list[float]:
        return [*world.wanted(7, 3), *world.prices]

    assert drawn(small_world()) == drawn(small_world())
    assert drawn(small_world()) != drawn(small_world(seed=4))


def test_how_much_will_drift_does_not_change_what_there_is_before() -> None:
    """So a past that was written without a drift is the past of a run with one."""
    still, drifting = small_world(only()), small_world(only(tastes=0.9, appeal=0.9))
    drifting.advance(59.9)
    assert (still.wanted(7, 3) == drifting.wanted(7, 3)).all()


def test_a_share_of_the_shoppers_turns_to_other_categories() -> None:
    world = small_world(only(tastes=0.5))
    before = world.weights.copy()
    world.advance(60)
    turned = (world.weights != before).any(axis=1)
    assert turned.mean() == pytest.approx(0.5, abs=0.02)
    assert world.weights.sum(axis=1) == pytest.approx(1)


def test_appeals_are_exchanged_within_a_category() -> None:
    world = small_world(only(appeal=0.5))
    before = world.appeal.copy()
    world.advance(60)
    changed = world.appeal != before
    assert changed.mean() == pytest.approx(0.5, abs=0.05)
    for kind in range(8):
        of_kind = world.category == kind
        assert np.sort(world.appeal[of_kind]) == pytest.approx(np.sort(before[of_kind]))


def test_new_items_are_hidden_until_they_arrive_and_wanted_then() -> None:
    world = small_world(only(arrivals=0.2))
    old = world.present
    assert len(old) == 200 and len(world.item_ids) == 240
    new = world.advance(60)
    assert sorted([*old, *new]) == [*range(240)]
    assert world.demand()[new].mean() > 3 * world.demand()[old].mean()


def test_a_gradual_drift_takes_its_time() -> None:
    world = small_world(Drift(at_s=60, over_s=100, arrivals=0.5))
    arrived = [len(world.advance(second)) for second in (59, 110, 160)]
    assert arrived[0] == 0 and arrived[1] > 30 and arrived[2] > 30 and sum(arrived) == 100


def test_each_change_happens_once() -> None:
    world = small_world(AT_ONCE)
    world.advance(60)
    after = world.appeal.copy()
    assert len(world.advance(61)) == 0 and (world.appeal == after).all()


def test_what_is_popular_follows_a_drift_within_ten_seconds() -> None:
    world = small_world(AT_ONCE)
    before = world.popular(59).tolist()
    world.advance(60)
    assert world.popular(70).tolist() != before


def test_the_catalogue_has_each_item_once_with_its_category_and_price() -> None:
    world = small_world()
    items = [*world.catalogue(world.present)]
    assert len({item.item_id for item in items}) == 200
    assert len({tuple(item.category or ()) for item in items}) == 8
    assert all(item.price and item.price > 0 and item.title for item in items)


def test_a_shop_with_empty_categories_is_refused() -> None:
    with pytest.raises(LiveshelfError, match="two items"):
        small_world(items=15)
