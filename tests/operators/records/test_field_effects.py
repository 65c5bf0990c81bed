import msgspec
import pytest

from operators.records.contracts import Event
from operators.records.field_effects import FIELD_EFFECTS, NO_EFFECT_TYPES, without_effect
from tests.builders import event

REQUIRED = {"event_id", "event_type", "event_time", "user_id"}


def test_every_optional_field_of_an_event_is_in_the_table() -> None:
    assert set(FIELD_EFFECTS) == {field.name for field in msgspec.structs.fields(Event)} - REQUIRED


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (event(0, "view", item_id="i1", session_id="s", price=2.5, currency="GBP"), []),
        (event(0, "view", item_id="i1", items=["i2"], quantity=2, rating=4), ["items", "quantity", "rating"]),
        (event(0, "click", item_id="i1", recommendation_id="r", position=3), []),
        (event(0, "view", item_id="i1", position=3, placement="home"), ["position", "placement"]),
        (event(0, "purchase", items=["i1", "i2"]), []),
        (event(0, "purchase", item_id="i1", quantity=1), []),
        (event(0, "purchase", item_id="i1", quantity=-2), []),
        (event(0, "purchase", item_id="i1", quantity=3), ["quantity"]),
        (event(0, "rate", item_id="i1", rating=1), []),
        (event(0, "identify", anonymous_id="a"), ["anonymous_id"]),
        (event(0, "view", item_id="i1", context={"page": "home"}), ["context"]),
        (event(0, "consent", context={"personalisation": "denied"}), []),
    ],
)
def test_what_was_given_and_changes_nothing_is_named(given: Event, named: list[str]) -> None:
    assert without_effect(given) == named


def test_types_without_effect_are_types() -> None:
    assert set(NO_EFFECT_TYPES) <= set(msgspec.inspect.type_info(Event.__annotations__["event_type"]).values)
