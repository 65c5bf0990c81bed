"""A shopper who does the same again asks for the item once."""

import pytest

from operators.shopper.repetition import repeats
from operators.shopper.state_layout import stored
from tests.builders import event, state_after

Acts = list[tuple[str, str]]
VIEWED_OTHERS: Acts = [("view", f"other{number}") for number in range(50)]


def after(acts: Acts) -> bytes | None:
    return state_after(*(event(n, kind, item_id=item) for n, (kind, item) in enumerate(acts))) if acts else None


@pytest.mark.parametrize(
    ("earlier", "event_type", "repeated"),
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
def test_the_same_act_with_the_same_item(earlier: Acts, event_type: str, repeated: bool) -> None:
    state = after(earlier)
    assert repeats(state, "i1", event_type) == repeated
    assert state is None or repeats(stored(state), "i1", event_type) == repeated
