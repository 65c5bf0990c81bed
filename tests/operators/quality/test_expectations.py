"""Which records meet which expectation."""

import json
import tracemalloc

import pytest

from operators.configuration.shop_settings import EventSettings
from operators.quality.expectations import MAX_CATEGORIES, OTHER_CATEGORY, REMEMBERED_IDS, Expectations
from operators.records.contracts import CatalogueItem, encode_record
from tests.bad_records import good_event
from tests.builders import NOW_MS


@pytest.fixture
def checked() -> Expectations:
    expectations = Expectations(EventSettings())
    expectations.catalogue("i1", item())
    return expectations


def item(**fields) -> bytes:
    given = {"item_id": "i1", "title": "Mug", "price": 5.0, "currency": "GBP", "category": ["Home", "Mugs"]}
    return encode_record(CatalogueItem(**(given | fields)))


def verdicts(checked: Expectations, **fields) -> dict[str, bool]:
    event = good_event(NOW_MS, **({"item_id": "i1", "user_id": "u1"} | fields))
    return dict(checked.event("u1", json.dumps(event).encode(), NOW_MS)[1])


def test_a_good_event_meets_all(checked: Expectations) -> None:
    found = verdicts(checked, price=5.5, currency="GBP")
    assert found == {"valid": True, "unique": True, "on_time": True, "known_item": True, "price_agrees": True}


def test_a_record_that_the_job_refuses_is_not_valid(checked: Expectations) -> None:
    assert checked.event("u1", b"{", NOW_MS) == (None, [("valid", False)])


def test_a_second_copy_is_not_unique_until_it_is_forgotten(checked: Expectations) -> None:
    assert verdicts(checked, event_id="e1")["unique"]
    assert not verdicts(checked, event_id="e1")["unique"]
    for number in range(REMEMBERED_IDS):
        checked._is_new(f"other{number}")
    assert verdicts(checked, event_id="e1")["unique"]


def test_late_and_early_events_are_not_on_time(checked: Expectations) -> None:
    assert not verdicts(checked, event_time=NOW_MS - 3_600_000)["on_time"]
    assert verdicts(checked, event_time=NOW_MS - 60_000)["on_time"]


def test_prices_times_100_or_of_another_currency_disagree(checked: Expectations) -> None:
    assert not verdicts(checked, price=500.0, currency="GBP")["price_agrees"]
    assert not verdicts(checked, price=5.0, currency="JPY")["price_agrees"]
    assert "price_agrees" not in verdicts(checked)
    assert "price_agrees" not in verdicts(checked, price=5.0, item_id="unknown")


def test_of_a_large_catalogue_record_little_is_remembered() -> None:
    checked = Expectations(EventSettings())
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(20):
        large = {"title": "x" * 2000, "category": ["y" * 1900], "tags": ["z" * 1000] * 200}
        checked.catalogue(f"i{number}", item(item_id=f"i{number}", **large))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 50_000
    assert checked.items == 20 and len(checked.category("i3")) == 64


def test_without_a_catalogue_no_item_is_unknown() -> None:
    empty = Expectations(EventSettings())
    assert "known_item" not in verdicts(empty)
    empty.catalogue("i2", item(item_id="i2"))
    assert verdicts(empty)["known_item"] is False


def test_fields_that_are_worth_having(checked: Expectations) -> None:
    assert verdicts(checked, event_type="search", item_id=None)["complete"] is False
    assert verdicts(checked, event_type="search", query="mug")["complete"] is True
    assert "complete" not in verdicts(checked)


def test_a_catalogue_price_that_jumps(checked: Expectations) -> None:
    assert dict(checked.catalogue("i1", item(price=500.0)))["price_steady"] is False
    assert dict(checked.catalogue("i1", item(price=510.0)))["price_steady"] is True
    assert dict(checked.catalogue("i1", item(price=510.0, category="Garden > Gnomes")))["category_steady"] is False
    assert checked.catalogue("i1", None) == []
    assert checked.items == 0
    assert checked.catalogue("i1", b"{") == [("valid", False)]


def test_categories_are_first_levels_and_never_too_many(checked: Expectations) -> None:
    assert checked.category("i1") == "Home"
    assert checked.category("unknown") is None
    for number in range(100):
        checked.catalogue(f"c{number}", item(item_id=f"c{number}", category=f"C{number} > x"))
    names = {checked.category(f"c{number}") for number in range(100)}
    assert len(names) == MAX_CATEGORIES and OTHER_CATEGORY in names


def test_lists(checked: Expectations) -> None:
    assert checked.recommended(b"u1", b"{") == (None, [("valid", False)])
    made = {
        "recommendation_id": "r", "user_id": "u1", "version": 1, "event_time": 1, "event_id": "e", "generated_at": 1,
        "model": {"name": "m", "version": "1"}, "source": "model", "expires_at": 1,
        "items": [{"item_id": "gone", "score": 1.0, "rank": 1, "reason": {"kind": "for_you"}}],
    }  # fmt: skip
    assert dict(checked.recommended(b"u1", json.dumps(made).encode())[1]) == {
        "valid": True,
        "full": True,
        "known_item": False,
    }
    empty = made | {"items": []}
    assert dict(checked.recommended(b"u1", json.dumps(empty).encode())[1]) == {"valid": True, "full": False}
    assert checked.recommended(b"u2", json.dumps(made).encode()) == (None, [("valid", False)]), "of another user"


def test_a_catalogue_record_is_of_its_key(checked: Expectations) -> None:
    assert checked.catalogue("c1", item(item_id="c2")) == [("valid", False)]


def test_an_item_whose_newest_record_cannot_be_read_stays_as_it_was_until_one_can(checked: Expectations) -> None:
    before = checked.item("i1")
    assert checked.catalogue("i1", b'{"item_id":"i1","price":"1,234"}') == [("valid", False)]
    assert checked.unreadable == {"i1"} and checked.refused is not None and checked.refused.reason == "bad_amount"
    assert checked.item("i1") == before and checked.items == 1
    checked.catalogue("i1", b'{"item_id":"i1","price":"5,00 GBP"}')
    assert checked.unreadable == set() and checked.refused is None
    checked.catalogue("", item())
    assert checked.refused is not None and checked.refused.reason == "key_mismatch", "a record without a key"


@pytest.mark.parametrize(
    ("sold", "listed", "full"), [(100, 10, True), (100, 9, False), (6, 3, True), (6, 2, False), (0, 0, False)]
)
def test_a_list_holds_half_of_what_it_could(sold: int, listed: int, full: bool) -> None:
    checks = Expectations(EventSettings(), list_size=20)
    for number in range(sold):
        checks.catalogue(f"c{number}", item(item_id=f"c{number}"))
    place = {"score": 1.0, "reason": {"kind": "for_you"}}
    made = {
        "recommendation_id": "r", "user_id": "u1", "version": 1, "event_time": 1, "event_id": "e", "generated_at": 1,
        "model": {"name": "m", "version": "1"}, "source": "model", "expires_at": 1,
        "items": [place | {"item_id": f"c{n}", "rank": n + 1} for n in range(listed)],
    }  # fmt: skip
    assert dict(checks.recommended(b"u1", json.dumps(made).encode())[1])["full"] is full
    shortened = made | {"experiment": {"name": "sizes", "arm": "short"}}
    assert dict(checks.recommended(b"u1", json.dumps(shortened).encode())[1])["full"] is bool(listed)
