"""A shopper who does the same again asks for the item once."""

import pytest

from operators.shopper.repetition import bought_s, repeated
from operators.shopper.state_layout import stored
from tests.builders import NOW_MS, event, state_after

Acts = list[tuple[str, str]]
VIEWED_OTHERS: Acts = [("view", f"other{number}") for number in range(50)]


def after(acts: Acts) -> bytes | None:
    return state_after(*(event(n, kind, item_id=item) for n, (kind, item) in enumerate(acts))) if acts else None


@pytest.mark.parametrize(
    ("earlier", "event_type", "is_repeated"),
    [
        ([], "view", False),
        ([("view", "i2")], "view", False),
        ([("view", "i1")], "view", True),
        ([("click", "i1")], "view", True),
        ([("view", "i1")], "add_to_cart", False),
        ([("add_to_cart", "i1")], "add_to_cart", True),
        ([("add_to_cart", "i1")], "purchase", False),
        ([("add_to_cart", "i1"), ("purchase", "i1")], "purchase", True),
        ([("purchase", "i1")], "purchase", True),
        ([("view", "i1"), *VIEWED_OTHERS], "view", False),
    ],
)
def test_the_same_act_with_the_same_item(earlier: Acts, event_type: str, is_repeated: bool) -> None:
    state, items = after(earlier), ["i1", "never"]
    for form in (state, None if state is None else stored(state)):
        assert repeated(form, items, event_type) == ({"i1"} if is_repeated else set())


@pytest.mark.parametrize(
    ("acts", "second"),
    [
        ([("purchase", "i1"), ("view", "i2"), ("view", "i1")], 0),
        ([("view", "i1"), ("add_to_cart", "i1"), ("purchase", "i1"), ("view", "i1")], 1),
        ([("view", "i2"), ("view", "i1"), ("purchase", "i1"), ("view", "i1")], 1),
        ([("purchase", "i1"), *VIEWED_OTHERS], 1),  # no step of it is left
    ],
)
def test_what_was_bought_and_about_when(acts: Acts, second: int) -> None:
    state = after(acts)
    assert state is not None
    for form in (state, stored(state)):
        assert bought_s(form, ["i1", "i3"]) == {"i1": NOW_MS // 1000 + second}


def test_what_was_returned_or_never_bought() -> None:
    returned = event(9, "purchase", item_id="i1", quantity=-1)
    state = state_after(event(1, "purchase", item_id="i1"), returned)
    assert bought_s(state, ["i1", "i2"]) == {} and bought_s(None, ["i1"]) == {}
