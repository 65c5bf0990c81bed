"""What the join counts for the arms of a list: items shown, and outcomes in time of items that were shown on it."""

from collections import defaultdict
from typing import Any

from operators.feedback.join_records import Joined
from operators.records.contracts import Experiment
from tests.operators.feedback.shopper import HOUR, Shopper, served


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
    assert {(example.experiment.name, example.experiments) for example in shopper.examples if example.experiment} == {
        ("mix", both)
    }
    alone = shown()
    alone.waits_out()
    assert alone.values and all(b'"experiments"' not in value for value in alone.values)
