"""What shops may send by mistake, and what was never served: counted with a reason."""

import pytest

from tests.builders import NOW_MS
from tests.operators.feedback.shopper import Shopper, served


def test_a_list_that_is_not_known_gives_examples_with_what_is_known() -> None:
    shopper = Shopper().sees("i1", name="other").does("click", "i2", recommendation_id="other", position=4).waits_out()
    shown, clicked = shopper.examples
    assert (shown.label, shown.position, shown.shown_at) == ("none", 0, NOW_MS)
    assert (clicked.label, clicked.position, clicked.shown_at, clicked.organic) == ("click", 4, None, False)
    for example in (shown, clicked):
        assert (example.model, example.experiment, example.source, example.state) == (None,) * 4
    assert shopper.counts == {"unknown_list": 1, "example": 2, "no_impression": 1}


def test_more_items_than_the_list_had_and_others_are_kept_without_source() -> None:
    shopper = Shopper().gets(served("r1", "i1", "i2")).sees("i1", "ad", "i2").waits_out()
    assert [(e.item_id, e.position, e.source) for e in shopper.examples] == [
        ("i1", 0, "model"),
        ("ad", 1, None),
        ("i2", 2, "model"),
    ]
    assert all(e.state for e in shopper.examples)
    assert shopper.counts["item_not_on_list"] == 1


@pytest.mark.parametrize("name", [None, ""])
def test_an_impression_without_a_list_gives_no_example(name: str | None) -> None:
    shopper = Shopper().sees("i1", name=name).waits_out()
    assert (shopper.values, shopper.state) == ([], None)
    assert shopper.counts == {"impression_without_list": 1}


def test_a_return_is_no_purchase() -> None:
    shopper = Shopper().gets(served()).sees("i1").does("purchase", "i1", recommendation_id="r1", quantity=-1)
    assert shopper.does("purchase", "i1", quantity=-1).waits_out().labels() == {"i1": "none"}
    assert shopper.counts["return"] == 2


def test_a_purchase_of_two_items_twice_counts_once() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2", "i3")
    for _ in range(3):
        shopper.does("purchase", items=["i1", "i2"], recommendation_id="r1", event_id="p")
    assert shopper.waits_out().labels() == {"i1": "purchase", "i2": "purchase", "i3": "none"}
    assert len(shopper.values) == 3


@pytest.mark.parametrize(("sent", "position"), [(-4, 0), (70_000, None), (10**30, None), (65_534, 65_534)])
def test_a_position_that_no_list_has_is_left_out(sent: int, position: int | None) -> None:
    assert Shopper().sees("i1", position=sent).waits_out().examples[0].position == position


@pytest.mark.parametrize("sent", [-4, 10**30])
def test_so_is_that_of_a_click(sent: int) -> None:
    shopper = Shopper().does("click", "i1", recommendation_id="r1", position=sent).waits_out()
    assert shopper.examples[0].position is None


def test_the_position_of_a_basket_is_not_that_of_its_items() -> None:
    shopper = (
        Shopper().gets(served()).does("purchase", items=["i3", "i9"], recommendation_id="r1", position=1).waits_out()
    )
    assert {e.item_id: e.position for e in shopper.examples} == {"i3": 2, "i9": None}


def test_other_events_change_nothing() -> None:
    shopper = Shopper().gets(served()).sees("i1")
    before = shopper.state
    for kind in ("view", "search", "rate", "identify", "remove_from_cart"):
        shopper.does(kind, "i1", recommendation_id="r1")
    assert shopper.state == before


def test_ids_of_any_script_come_back_as_they_were() -> None:
    item, name = "鞋" * 128, "é" * 128
    shopper = (
        Shopper().sees(item, name=name, placement="ü" * 128).does("click", item, recommendation_id=name).waits_out()
    )
    (example,) = shopper.examples
    assert (example.item_id, example.recommendation_id, example.placement) == (item, name, "ü" * 128)
    assert example.label == "click"
