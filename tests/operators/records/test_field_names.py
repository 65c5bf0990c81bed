"""Names that nobody reads."""

import pytest

from operators.configuration.nearest_name import nearest
from operators.records.contracts import Event
from operators.records.field_names import fields_with_values

FIELDS = Event.__struct_fields__


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("itemid", "item_id"),
        ("itemId", "item_id"),
        ("item-id", "item_id"),
        ("ITEM_ID", "item_id"),
        ("userid", "user_id"),
        ("evnt_type", "event_type"),
        ("recomendation_id", "recommendation_id"),
        ("x" * 100_000, None),
        ("colour", None),
        ("", None),
    ],
)
def test_the_nearest_name(name: str, meant: str | None) -> None:
    assert nearest(name, FIELDS) == meant


def test_fields_that_are_null_or_empty_are_not_given() -> None:
    assert fields_with_values(b'\xef\xbb\xbf{"a": 1}') == ["a"]
    assert fields_with_values(b'{"\xff": 1}') == ["\ufffd"]
    assert fields_with_values(b' {"a": 1, "b": null, "c": "null", "d": {"e": null}, "f": ""} ') == ["a", "c", "d"]
