"""What an example holds, and when it goes out."""

import base64
import json
from collections import defaultdict
from typing import Any

import jsonschema
import numpy as np
import pytest

from liveshelf.pages.json_schemas import json_schemas
from operators.feedback.join_records import Joined
from operators.feedback.served_record import NO_CLICK
from operators.records.contracts import Experiment, Model
from operators.shopper.state_layout import read_states
from tests.builders import NOW_MS
from tests.operators.feedback.shopper import HOUR, LAG_MS, MINUTE, STATE, WINDOWS, Shopper, served


def test_each_shown_item_has_one_example_when_its_click_window_has_closed() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2", "i3", placement="home").after(MINUTE)
    shopper.does("click", "i2", recommendation_id="r1").at(30 * MINUTE)
    assert shopper.values == []
    shopper.at(31 * MINUTE)
    assert [(e.item_id, e.label, e.position, e.revision) for e in shopper.examples] == [
        ("i1", "none", 0, 0),
        ("i2", "click", 1, 0),
        ("i3", "none", 2, 0),
    ]
    assert shopper.waits_out().state is not None
    assert len(shopper.values) == 3
    assert shopper.counts == {"example": 3}


def test_an_example_says_what_was_served_and_fits_its_schema() -> None:
    shopper = Shopper().gets(served(propensities=np.array([1, 0.5, 0.25, 1], dtype=np.float32)))
    shopper.sees("i3", placement="home", position=6).waits_out()
    (value,) = [json.loads(value) for value in shopper.values]
    jsonschema.validate(value, json_schemas()["example"])
    state = base64.b64decode(value.pop("state"))
    assert state == STATE
    assert read_states([state])["version"] == 1
    assert len(value.pop("example_id")) == 32
    assert value == {
        "revision": 0,
        "recommendation_id": "r1",
        "user_id": "u1",
        "item_id": "i3",
        "position": 6,
        "placement": "home",
        "shown_at": NOW_MS,
        "label": "none",
        "model": {"name": "m", "version": "1"},
        "experiment": {"name": "e", "arm": "arm"},
        "propensity": 0.25,
        "p_click": None,
        "source": "model",
        "organic": False,
    }


def test_a_field_without_a_value_is_null() -> None:
    shopper = Shopper().gets(served(experiments=())).sees("i1").waits_out()
    value = json.loads(shopper.values[0])
    assert {name for name, held in value.items() if held is None} == {
        "experiment",
        "propensity",
        "p_click",
        "placement",
    }


def test_an_example_has_the_click_probability_that_its_item_was_served_with() -> None:
    shopper = Shopper().gets(served(clicks=np.array([512, NO_CLICK, 10_000, 0], dtype=np.uint16)))
    shopper.sees("i1", "i2", "i3", "i4", "elsewhere").waits_out()
    assert [example.p_click for example in shopper.examples] == [0.0512, None, 1.0, 0.0, None]


@pytest.mark.parametrize("kind", ["add_to_cart", "purchase"])
def test_a_late_outcome_corrects_the_example(kind: str) -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").at(5 * HOUR)
    shopper.does(kind, "i1", recommendation_id="r1")
    first, _, corrected = shopper.examples
    assert (first.label, first.revision) == ("none", 0)
    assert (corrected.label, corrected.revision) == (kind, 1)
    assert corrected.example_id == first.example_id
    assert {
        name: getattr(corrected, name) for name in first.__struct_fields__ if name not in ("label", "revision")
    } == {name: getattr(first, name) for name in first.__struct_fields__ if name not in ("label", "revision")}


def test_only_a_better_outcome_corrects() -> None:
    shopper = Shopper().gets(served()).sees("i1")
    shopper.does("add_to_cart", "i1", recommendation_id="r1").at(2 * HOUR)
    shopper.does("add_to_cart", "i1", recommendation_id="r1").does("remove_from_cart", "i1", recommendation_id="r1")
    shopper.does("purchase", items=["i1", "i9"], recommendation_id="r1")
    shopper.does("click", "i1", recommendation_id="r1").waits_out()
    assert [(e.label, e.revision) for e in shopper.examples if e.item_id == "i1"] == [
        ("add_to_cart", 0),
        ("purchase", 1),
    ]


def test_a_click_after_its_window_is_counted_and_changes_nothing() -> None:
    shopper = (
        Shopper().gets(served()).sees("i1").at(31 * MINUTE).does("click", "i1", recommendation_id="r1").waits_out()
    )
    assert shopper.labels() == {"i1": "none"}
    assert shopper.counts["outside_window"] == 1


def test_what_comes_after_the_purchase_window_is_counted_and_changes_nothing() -> None:
    shopper = Shopper().gets(served()).sees("i1").at(25 * HOUR).does("purchase", "i1", recommendation_id="r1")
    shopper.sees("i1").waits_out()
    assert [(e.label, e.revision) for e in shopper.examples] == [("none", 0)]
    assert (shopper.counts["outside_window"], shopper.counts["closed_list"]) == (1, 1)


def test_an_outcome_without_a_list_is_an_organic_example_at_once() -> None:
    shopper = Shopper().gets(served()).sees("i1").does("purchase", items=["i1", "i9"], placement="basket")
    first, second = shopper.examples
    assert [first.item_id, second.item_id] == ["i1", "i9"]
    assert first.example_id != second.example_id
    for example in (first, second):
        assert (example.label, example.organic, example.revision) == ("purchase", True, 0)
        assert (example.recommendation_id, example.propensity, example.state, example.model) == (None,) * 4
        assert (example.shown_at, example.placement) == (NOW_MS + LAG_MS, "basket")
    assert shopper.waits_out().labels()["i1"] == "none", "no list is guessed"


def test_a_click_before_its_impression_waits_for_it() -> None:
    shopper = Shopper().gets(served()).does("click", "i2", recommendation_id="r1", position=9).after(MINUTE)
    shopper.sees("i1", "i2").waits_out()
    assert [(e.item_id, e.label, e.position, e.revision) for e in shopper.examples] == [
        ("i2", "click", 1, 0),
        ("i1", "none", 0, 0),
    ]
    assert "no_impression" not in shopper.counts


@pytest.mark.parametrize(("sent", "position"), [(9, 9), (None, 1)])
def test_an_outcome_whose_impression_never_comes_counts(sent: int | None, position: int) -> None:
    shopper = Shopper().gets(served()).does("click", "i2", recommendation_id="r1", position=sent).at(HOUR)
    shopper.does("purchase", "i2", recommendation_id="r1").waits_out()
    first, corrected = shopper.examples
    assert (first.label, corrected.label, first.example_id) == ("click", "purchase", corrected.example_id)
    assert (first.position, first.shown_at, first.organic, first.source) == (position, None, False, "model")
    assert shopper.counts["no_impression"] == 1


def test_an_impression_that_comes_after_the_example_completes_it() -> None:
    shopper = Shopper().gets(served()).does("click", "i2", recommendation_id="r1").at(HOUR).sees("i9", "i1", "i2")
    first, corrected = shopper.examples
    assert (first.shown_at, corrected.shown_at) == (None, NOW_MS + HOUR)
    assert (corrected.label, corrected.revision, corrected.example_id) == ("click", 1, first.example_id)
    assert corrected.position == first.position == 1, "it is part of the id"


def test_the_same_impression_twice_counts_once() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").sees("i1", "i2").sees("i2", placement="cart").waits_out()
    assert [(e.item_id, e.placement) for e in shopper.examples] == [("i1", None), ("i2", None)]
    assert shopper.counts["repeated_impression"] == 2


def test_a_list_may_be_shown_in_portions() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").sees("i3", "i4", position=2).waits_out()
    assert [(e.item_id, e.position) for e in shopper.examples] == [("i1", 0), ("i2", 1), ("i3", 2), ("i4", 3)]


def test_a_list_that_is_shown_again_waits_anew() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").at(10 * HOUR).sees("i1").after(MINUTE)
    shopper.does("click", "i1", recommendation_id="r1").does("click", "i2", recommendation_id="r1").waits_out()
    assert shopper.labels() == {"i1": "click", "i2": "none"}
    assert {e.shown_at for e in shopper.examples} == {NOW_MS}


def test_a_click_that_overtook_the_second_impression_counts() -> None:
    shopper = Shopper().gets(served()).sees("i1").at(10 * HOUR)
    shopper.does("click", "i1", recommendation_id="r1").sees("i1", since=-MINUTE).waits_out()
    assert [(e.label, e.revision) for e in shopper.examples] == [("none", 0), ("click", 1)]


def test_lists_do_not_mix() -> None:
    shopper = Shopper().gets(served("r1")).gets(served("r2", version=8, model=Model("m", "2")))
    shopper.sees("i1", name="r1").sees("i1", name="r2").does("click", "i1", recommendation_id="r2").waits_out()
    found = {e.recommendation_id: (e.label, e.model and e.model.version) for e in shopper.examples}
    assert found == {"r1": ("none", "1"), "r2": ("click", "2")}


def test_the_models_list_replaces_the_fallback_list_of_its_id_until_it_was_seen() -> None:
    shopper = Shopper().gets(served(source="popular")).gets(served(source="model")).sees("i1")
    assert shopper.gets(served(source="neighbours")).waits_out().examples[0].source == "model"


def test_a_list_that_is_made_again_after_its_impression_is_known_again() -> None:
    shopper = Shopper().sees("i1").gets(served()).waits_out()
    assert shopper.examples[0].experiment == Experiment("e", "arm")
    assert shopper.counts["unknown_list"] == 1


def test_a_replay_gives_the_same_examples() -> None:
    def run() -> list[bytes]:
        shopper = (
            Shopper().gets(served()).sees("i1", "i2").does("click", "i2", recommendation_id="r1").does("click", "i5")
        )
        return shopper.waits_out().values

    assert run() == run()


def test_windows_may_be_seconds() -> None:
    windows = WINDOWS._replace(click_ms=1500, purchase_ms=6000)
    shopper = Shopper(windows).gets(served()).sees("i1").at(1600)
    assert len(shopper.values) == 1
    assert shopper.at(5000).does("purchase", "i1", recommendation_id="r1").labels() == {"i1": "purchase"}


class Counted(Shopper):
    """A shopper whose outcomes are added up by arm."""

    def __init__(self) -> None:
        super().__init__()
        self.of_arms: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def _take(self, joined: Joined) -> None:
        super()._take(joined)
        for one in joined.of_arms:
            arm = self.of_arms[f"{one.experiment.name} {one.experiment.arm}"]
            arm[one.outcome] = arm.get(one.outcome, 0) + one.amount

    def acts(self, kind: str, item: str, **fields: Any) -> "Counted":
        self.does(kind, item, recommendation_id="r1", **fields)
        return self


def shown(**fields: Any) -> Counted:
    shopper = Counted()
    shopper.gets(served(**fields)).sees("i1", "i2", "i3")
    return shopper


def test_each_outcome_counts_once_and_a_cart_is_no_click() -> None:
    shopper = shown()
    shopper.sees("i1", "i2", "i4")
    shopper.acts("click", "i1").acts("click", "i1").acts("add_to_cart", "i1").acts("add_to_cart", "i2")
    assert shopper.of_arms == {"e arm": {"impression": 4, "click": 1, "add_to_cart": 2}}


def test_a_purchase_brings_its_price_and_a_basket_none_and_returns_are_not_counted() -> None:
    shopper = shown().acts("purchase", "i1", price=2.5, quantity=2.0).acts("purchase", "i1", price=2.5, quantity=-1.0)
    shopper.does("purchase", items=["i2", "i3"], recommendation_id="r1", price=40.0)
    assert shopper.of_arms == {"e arm": {"impression": 3, "purchase": 3, "revenue": 5.0}}


def test_late_outcomes_and_items_that_were_not_shown_or_not_on_the_list_are_not_counted() -> None:
    shopper = shown()
    shopper.sees("i9").acts("click", "i9").acts("click", "i4")
    shopper.after(2 * HOUR)
    shopper.acts("click", "i1")
    assert shopper.of_arms == {"e arm": {"impression": 3}}


def test_a_list_of_several_experiments_counts_for_each_and_one_of_none_for_no_one() -> None:
    both = Experiment("mix", "a"), Experiment("sizes", "b")
    assert shown(experiments=both).of_arms == {"mix a": {"impression": 3}, "sizes b": {"impression": 3}}
    assert shown(experiments=()).acts("click", "i1").of_arms == {}


def test_the_examples_of_a_list_of_several_experiments_name_all_of_them() -> None:
    both = Experiment("mix", "a"), Experiment("sizes", "b")
    shopper = shown(experiments=both)
    shopper.waits_out()
    assert [(example.experiment, example.experiments) for example in shopper.examples] == [(both[0], both)] * 3
    alone = shown()
    alone.waits_out()
    assert alone.values and all(b'"experiments"' not in value for value in alone.values)
