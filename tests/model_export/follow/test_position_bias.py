"""A click on the tenth place says more than one on the first."""

import numpy as np
import pytest

from model_export.follow.lesson.position_bias import LEAST_CLICKS, ClickWeights, examination
from model_export.follow.stored_records import Shown
from tests.builders import event

PLACES = 10


def lists(count: int, seed: int = 3) -> tuple[list[Shown], np.ndarray]:
    """Lists that place the wanted items first, and how likely each place is looked at."""
    rng = np.random.default_rng(seed)
    looked, wanted = 1 / (1 + np.arange(PLACES)), rng.beta(1, 5, 100)
    examples = []
    for number in range(count):
        items = rng.choice(100, PLACES, replace=False)
        items = items[np.argsort(-(wanted[items] + rng.normal(0, 0.1, PLACES)))]
        clicked = rng.random(PLACES) < looked * wanted[items]
        examples += [
            Shown(f"{number}-{place}", 0, f"u{number}", f"r{number}", f"i{item}", place, bool(clicked[place]))
            for place, item in enumerate(items)
        ]
    return examples, looked


def test_the_places_are_told_from_the_items_that_stand_there() -> None:
    examples, looked = lists(5000)
    clicks = np.array([[one.taken_up for one in examples if one.position == place] for place in range(PLACES)]).mean(1)
    estimated = examination(examples)[:PLACES]
    error = np.abs(np.log(estimated / np.maximum(looked, 0.1))).mean()
    assert error < 0.15 < np.abs(np.log(np.maximum(clicks / clicks[0], 0.1) / np.maximum(looked, 0.1))).mean()


def test_with_few_clicks_every_place_counts_as_seen() -> None:
    examples, _ = lists(20)
    assert sum(one.taken_up for one in examples) < LEAST_CLICKS and (examination(examples) == 1).all()
    assert not ClickWeights(examples).is_learned and not ClickWeights([]).is_learned


def test_a_click_far_down_weighs_more_and_lists_weigh_as_much_as_before() -> None:
    examples, _ = lists(3000)
    first, last = (next(one for one in examples if one.position == place) for place in (0, PLACES - 1))
    events = [
        event(user_id=one.user_id, recommendation_id=one.recommendation_id, item_id=one.item_id)
        for one in (first, last)
    ]
    weights = ClickWeights(examples).of([*events, event()], [first.item_id, last.item_id, "i1"])
    assert weights[1] > 4 * weights[0] and weights[:2].mean() == pytest.approx(1) and weights[2] == 1


def test_before_its_example_comes_the_click_itself_names_its_place() -> None:
    weights = ClickWeights(lists(3000)[0])
    near, far = (event(recommendation_id="new", position=place) for place in (0, 8))
    own = weights.of([near, far, event(recommendation_id="new")], ["i1", "i1", "i1"])
    assert own[1] > own[0] and own[2] == 1
