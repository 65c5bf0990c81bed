"""Filters: each is read or refused with the way to write it."""

import pytest

from operators.errors import SearchError
from operators.records.contracts import CatalogueItem
from operators.search.engine import SearchRequest
from operators.search.filters import Filters, fits, read_filters
from tests.operators.search.shop import ITEMS, engine_of, ids_of

SHOP = engine_of()
WRITTEN = (
    "",
    "brand:acme",
    "brand:Acme|BOSCH",
    "category:Home",
    "category:home>light",
    "category: Office ; brand:acme",
    "price:10..20",
    "price:..12.5",
    "price:40..",
    "price:3",
    "in_stock:any",
    "price:10..;in_stock:any",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_the_index_and_the_rule_for_one_item_agree(text: str) -> None:
    filters = read_filters(text)
    found = ids_of(SHOP, SHOP.search(SearchRequest("", filters)))
    assert sorted(found) == [item.item_id for item in ITEMS if fits(item, filters)]


def test_all_filters_together() -> None:
    text = "category:Home > Light;brand:Acme|Bosch;price:10..20;in_stock:any"
    assert read_filters(text) == Filters(("home > light",), ("acme", "bosch"), 10, 20, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour:red", "category, brand, price, in_stock"),
        ("brnad:acme", "is brand meant?"),
        ("Brand:acme", "is brand meant?"),
        ("brand", "each with a value"),
        ("brand:", "each with a value"),
        ("price:20..10", "is price:10..20 meant?"),
        ("price:cheap", "10..20"),
        ("price:..", "name at least one end"),
        ("price:-1..5", "0 or more"),
        ("price:nan..", "0 or more"),
        ("price:0..inf", "0 or more"),
        ("in_stock:yes", "in_stock:true or in_stock:any"),
        ("brand:a;brand:b", "join its values by |"),
        ("brand:" + "|".join(map(str, range(60))), "at most 50"),
        ("x" * 3000, "2000 characters"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_to_write_it(text: str, said: str) -> None:
    with pytest.raises(SearchError) as refused:
        read_filters(text)
    assert said in str(refused.value)


def test_a_value_that_no_item_has_is_named_with_the_one_that_is_meant() -> None:
    notes = SHOP.index.unknown_values(read_filters("brand:acmee|acme;category:zzzz"))
    assert notes == ["no item has the category 'zzzz'", "no item has the brand 'acmee'; is 'Acme' meant?"]


def test_an_item_without_a_price_is_in_no_range() -> None:
    assert not fits(CatalogueItem(item_id="i"), read_filters("price:0.."))
