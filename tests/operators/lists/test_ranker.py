import numpy as np
import pytest

from operators.configuration.shop_settings import ListSettings
from operators.lists.ranker import Ranked, Ranker
from operators.model.unit_rows import unit_rows
from operators.shopper.features import Vocabulary
from operators.shopper.state_layout import read_states
from operators.shopper.user_state import step
from tests.builders import event, state_after, viewed

ITEMS = 12
WORDS = Vocabulary([f"i{n}" for n in range(1, ITEMS + 1)])
ANGLES = np.linspace(0, 3, ITEMS + 1)
VECTORS = unit_rows(np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32))


def rank(state: bytes, rules: ListSettings, allowed=None, categories=None, brands=None) -> Ranked:
    states = read_states([state])
    rows = np.arange(1, ITEMS + 1, dtype=np.int32)[None]
    scores = np.linspace(3, 1, ITEMS, dtype=np.float32)[None]
    may = np.ones(ITEMS + 1, dtype=bool) if allowed is None else allowed
    codes = [np.zeros(ITEMS + 1, dtype=np.int32) if one is None else one for one in (categories, brands)]
    return Ranker(WORDS, VECTORS, rules).rank(rows, scores, states, may, *codes)


def rows(state: bytes, size: int = 5, allowed=None, categories=None, brands=None, **rules) -> list[int]:
    return rank(state, ListSettings(size=size, **rules), allowed, categories, brands).rows[0].tolist()


def test_without_anything_to_hide_the_scores_decide() -> None:
    ranked = rank(viewed("i1"), ListSettings(size=3))
    assert ranked.rows.tolist() == [[1, 2, 3]]
    assert ranked.scores[0, 0] == 3


def test_out_of_stock_and_delisted_items_are_out() -> None:
    allowed = np.ones(ITEMS + 1, dtype=bool)
    allowed[[1, 3]] = False
    assert rows(viewed("i9"), 3, allowed) == [2, 4, 5]


def test_bought_items_are_out_unless_the_shop_wants_them() -> None:
    state = state_after(event(0, "purchase", items=["i1", "i2"]))
    assert rows(state, 3) == [3, 4, 5]
    assert rows(state, 3, hide_bought=False, hide_in_basket=False) == [1, 2, 3]


def test_what_was_rated_low_is_out_whatever_the_shop_wants() -> None:
    state = state_after(event(0, "rate", item_id="i1", rating=2), *(event(n, item_id="i9") for n in range(1, 60)))
    assert rows(state, 2) == rows(state, 2, hide_bought=False, hide_in_basket=False) == [2, 3]
    assert rows(step(state, event(99, "rate", item_id="i1", rating=4)).state, 2) == [1, 2]


def test_what_was_returned_may_be_listed_again() -> None:
    bought = event(0, "purchase", items=["i1", "i2"])
    assert rows(state_after(bought, event(1, "purchase", item_id="i1", quantity=-1)), 2) == [1, 3]


def test_in_a_micro_batch_each_has_the_list_that_they_would_have_alone() -> None:
    several = [viewed("i9"), state_after(event(0, "purchase", items=["i1", "i3"])), viewed("i9"), viewed("i5")]
    states, rules = read_states(several), ListSettings(size=4)
    order = np.tile(np.arange(1, ITEMS + 1, dtype=np.int32), (len(several), 1))
    scores = np.tile(np.linspace(3, 1, ITEMS, dtype=np.float32), (len(several), 1))
    may, codes = np.ones(ITEMS + 1, dtype=bool), np.zeros(ITEMS + 1, dtype=np.int32)
    ranked = Ranker(WORDS, VECTORS, rules).rank(order, scores, states, may, codes, codes)
    assert ranked.rows.tolist() == [rows(state, 4) for state in several]
    assert ranked.rows[0].tolist() != ranked.rows[1].tolist()
    assert order[1].tolist() == order[0].tolist()  # what was given stays


def test_what_is_in_the_basket_is_out_and_comes_back_when_it_is_taken_out() -> None:
    added = event(0, "add_to_cart", item_id="i1")
    assert rows(state_after(added), 2) == [2, 3]
    assert rows(state_after(added, event(1, "remove_from_cart", item_id="i1")), 2) == [1, 2]
    assert rows(
        state_after(added, event(1, "remove_from_cart", item_id="i1"), event(2, "add_to_cart", item_id="i1")), 2
    ) == [2, 3]


def test_a_basket_is_remembered_beyond_the_steps_that_the_model_sees() -> None:
    added = event(0, "add_to_cart", item_id="i1")
    assert rows(state_after(added, *(event(n, item_id="i9") for n in range(1, 40))), 2) == [2, 3]


def test_a_basket_of_an_earlier_session_is_forgotten() -> None:
    old = event(0, "add_to_cart", item_id="i1")
    new = event(1, item_id="i2", event_time=int(old.event_time) + 86_400_000)
    assert rows(state_after(old, new), 2) == [1, 2]


def test_an_item_shown_often_without_a_click_goes_to_the_end() -> None:
    shown = [event(n, "impression", items=["i1"]) for n in range(5)]
    assert rows(state_after(*shown[:4]), ITEMS)[0] == 1
    assert rows(state_after(*shown), ITEMS)[-1] == 1
    assert rows(state_after(*shown), ITEMS, fatigue_after=0)[0] == 1


def test_at_most_n_of_a_category() -> None:
    codes = np.array([0, 1, 1, 1, 2, 2, 0, 0, 0, 3, 3, 3, 3], dtype=np.int32)
    found = rows(viewed("i9"), 6, categories=codes, max_per_category=1)
    assert found == [1, 4, 6, 7, 8, 9], "category 0 is none and has no limit"


def test_at_most_n_of_a_brand_beside_the_categories() -> None:
    brands = np.array([0, 1, 1, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0], dtype=np.int32)
    assert rows(viewed("i9"), 4, brands=brands, max_per_brand=2) == [1, 2, 5, 6]
    codes = np.array([0, 1, 2, 2, 2, 1, 3, 0, 0, 0, 0, 0, 0], dtype=np.int32)
    assert rows(viewed("i9"), 4, None, codes, brands, max_per_brand=2, max_per_category=1) == [1, 2, 6, 7]


def test_diversity_spreads_near_copies_and_0_does_not() -> None:
    plain = rows(viewed("i9"), 4, diversity=0.0)
    spread = rows(viewed("i9"), 4, diversity=0.7)
    assert plain == [1, 2, 3, 4]
    assert spread[0] == 1
    assert max(spread) > 6


@pytest.mark.parametrize("rules", [{}, {"diversity": 0.5}, {"max_per_category": 1}])
def test_where_candidates_run_out_the_places_are_empty(rules: dict[str, float]) -> None:
    allowed = np.zeros(ITEMS + 1, dtype=bool)
    allowed[[2, 5]] = True
    ranked = rank(viewed("i9"), ListSettings(size=4, **rules), allowed)
    assert ranked.rows.tolist() == [[2, 5, 0, 0]]
    assert ranked.scores[0, 2:].tolist() == [0, 0]
