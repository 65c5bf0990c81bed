"""Catalogue records: what is read, what is refused, and that a refused one changes nothing."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from operators.errors import BadRecord
from operators.kafka_io.catalogue_rows import CatalogueRows
from operators.kafka_io.row_rules import Refused
from operators.lists.catalogue import Catalogue
from operators.records.catalogue_decode import read_item
from operators.records.contracts import CATALOGUE_REASONS, DEAD_LETTER_REASONS
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS


def record(**fields: Any) -> bytes:
    return json.dumps({"item_id": "i1", "title": "Mug", "price": 5.0} | fields).encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"item_id": 1000}, {"item_id": "1000"}),
        ({"item_id": "1000.0"}, {"item_id": "1000.0"}),
        ({"item_id": " i1 "}, {"item_id": "i1"}),
        ({"title": None}, {"title": ""}),
        ({"title": 4711}, {"title": "4711"}),
        ({"price": "12,50 €"}, {"price": 12.5, "currency": "EUR"}),
        ({"price": "2.50", "currency": "Taler"}, {"price": 2.5, "currency": "Taler"}),
        ({"price": "", "brand": "", "available_until": ""}, {"price": None, "brand": None, "available_until": None}),
        ({"in_stock": 1}, {"in_stock": True}),
        ({"in_stock": "0"}, {"in_stock": False}),
        ({"in_stock": "In Stock"}, {"in_stock": True}),
        ({"in_stock": "sold out"}, {"in_stock": False}),
        ({"in_stock": 17}, {"in_stock": True}),
        ({"in_stock": "0.0"}, {"in_stock": False}),
        ({"in_stock": "17.0"}, {"in_stock": True}),
        ({"in_stock": "Out-of-Stock"}, {"in_stock": False}),
        ({"stock": "-1.0"}, {"in_stock": False, "stock": -1}),
        ({"stock": 0}, {"in_stock": False}),
        ({"stock": 17}, {"in_stock": True, "stock": 17}),
        ({"stock": "0"}, {"in_stock": False}),
        ({"stock": " 17 "}, {"in_stock": True, "stock": 17}),
        ({"stock": "sold out"}, {"in_stock": False}),
        ({"stock": -1, "in_stock": True}, {"in_stock": False}),
        ({"stock": 3, "in_stock": False}, {"in_stock": False}),
        ({"in_stock": None}, {"in_stock": True}),
        ({"category": "Home>Lamps"}, {"category_path": "Home > Lamps"}),
        ({"category": "Home > Lamps"}, {"category_path": "Home > Lamps"}),
        ({"category": ["Home", None, 17]}, {"category_path": "Home > 17"}),
        ({"category": '["Home", "Lamps"]'}, {"category_path": "Home > Lamps"}),
        ({"category": "[Sale] Lamps"}, {"category_path": "[Sale] Lamps"}),
        ({"tags": '["red", "small"]'}, {"tags": ["red", "small"]}),
        ({"category": 17}, {"category_path": "17"}),
        ({"tags": "red, small"}, {"tags": ["red", "small"]}),
        ({"available_from": "2025-10-09"}, {"available_from": 1_759_968_000_000}),
        ({"available_from": NOW_MS // 1000}, {"available_from": NOW_MS}),
        ({"available_until": str(NOW_MS * 1000)}, {"available_until": NOW_MS}),
    ],
)
def test_what_is_meant_is_read(written: dict[str, Any], meant: dict[str, Any]) -> None:
    item = read_item("", record(**written))
    assert {name: getattr(item, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty_value"),
        (b"{", "not_json"),
        (b"[]", "not_an_object"),
        (b'{"item_id":"\xff"}', "not_utf8"),
        (b'{"title":"Mug"}', "missing_field"),
        (record(item_id="i2"), "key_mismatch"),
        (record(item_id=4.5), "bad_id"),
        (record(item_id=" "), "bad_id"),
        (record(item_id="i\x00"), "bad_id"),
        (record(price="1,234"), "bad_amount"),
        (record(price=-1), "bad_amount"),
        (record(title="x" * 2001), "too_large"),
        (record(image_url="data:" + "x" * 2001), "too_large"),
        (record(category=["x" * 1000] * 3), "too_large"),
        (record(tags=["x" * 1000] * 300), "too_large"),
        (record(price=[1]), "wrong_type"),
        (record(in_stock="perhaps"), "wrong_type"),
        (record(in_stock="1" * 5000), "bad_amount"),
        (record(stock=[3]), "wrong_type"),
        (record(stock=10**400), "bad_amount"),
        (record(stock="5 EUR"), "bad_amount"),
        (record(category={"name": "Home"}), "wrong_type"),
        (record(category="['Home', 'Lamps']"), "wrong_type"),
        (record(available_from="01/12/2010"), "bad_event_time"),
        (record()[:-1] + b',"price":NaN}', "not_json"),
    ],
)
def test_what_is_refused_has_a_reason_and_changes_nothing(value: bytes, reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        read_item("i1", value)
    assert refused.value.reason == reason
    assert reason in CATALOGUE_REASONS and reason in DEAD_LETTER_REASONS
    with pytest.raises(Refused, match=reason):
        CatalogueRows(frozenset()).take(record(), Record(value), NOW_MS)


@dataclass
class Record:
    value: bytes | None
    key: bytes | None = b"i1"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def test_a_row_is_the_newest_record_that_can_be_read_and_null_removes_it() -> None:
    rule = CatalogueRows(frozenset())
    assert rule.take(None, Record(record()), NOW_MS) == (record(), read_item("i1", record()))
    assert rule.read(record()) == read_item("i1", record())
    assert rule.take(record(), Record(None), NOW_MS) == (None, None)
    for key in (None, b"", b"\xff", b"i2"):
        with pytest.raises(Refused, match="key_mismatch"):
            rule.take(None, Record(record(), key), NOW_MS)


def test_a_dirty_feed_leaves_the_lists_full() -> None:
    """3,798 products, of which a fifth is written as exports write them, and a hundredth cannot be read."""
    ids = [str(10_000 + n) for n in range(3798)]
    made, repaired, refused = Catalogue(Vocabulary(ids), 0.5), Counter[str](), Counter[str]()
    for number, item in enumerate(ids):
        fields: dict[str, Any] = {"item_id": item, "title": f"T {item}", "price": 2.5}
        fields |= ({}, {"price": "2,50 €"}, {"title": None}, {"item_id": int(item)}, {"price": "2.50"})[
            number // 5 % 5 if number % 5 == 0 else 0
        ]
        if number % 100 == 99:
            fields["price"] = "1,234"
        value = json.dumps(fields).encode() + b"\r"
        value = b"\xef\xbb\xbf" + value if number % 50 == 0 else value
        try:
            made.changed(item, read_item(item, value, repaired))
        except BadRecord as bad:
            refused[bad.reason] += 1
    assert int(np.count_nonzero(made.allowed(NOW_MS))) == 3798 - 37
    assert refused == {"bad_amount": 37} and repaired.keys() == {"price", "currency", "item_id"}


def test_a_row_of_an_earlier_release_that_cannot_be_read_says_nothing() -> None:
    assert CatalogueRows(frozenset()).read(record(price="1,234")) is None
