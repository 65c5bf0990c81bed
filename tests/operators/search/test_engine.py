"""What a query finds, and how far search goes before it gives up."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.records.contracts import CatalogueItem
from operators.search.engine import SearchEngine, SearchRequest
from operators.search.filters import Filters
from operators.search.synonyms import Synonyms
from operators.search.vectors.text_encoder import Vector
from tests.operators.search.shop import engine_of, ids_of, search

SHOP = engine_of()


class Compass:
    """A `TextEncoder`: "shine" lies in the direction of the lanterns, "tools" in that of the calculator."""

    name, dimensions, near = "compass", 2, 0.5

    def place(self, query: str) -> Vector | None:
        vectors = {"shine": (1.0, 0.0), "tools": (0.0, 1.0)}
        return np.array(vectors[query], dtype=np.float32) if query in vectors else None

    def items(self, items: list[CatalogueItem]) -> list[Vector | None]:
        vectors = {"i1": (1.0, 0.0), "i2": (0.8, 0.6), "i3": (0.0, 1.0)}
        return [np.array(vectors[i.item_id], dtype=np.float32) if i.item_id in vectors else None for i in items]


@pytest.mark.parametrize(
    ("query", "matched", "first"),
    [
        ("red lantern", "all", "i1"),
        ("RED LANTERNS", "all", "i1"),
        ("4 gb calculator", "all", "i3"),
        ("womens dog", "all", "i4"),
        ("ashtray", "all", "i4"),
        ("dogbowl", "all", "i4"),
        ("lant", "all", "i1"),
        ("dog lantern", "any", "i4"),
        ("lantren red", "fuzzy", "i1"),
        ("calclator", "fuzzy", "i3"),
    ],
)
def test_a_query_finds_its_item_by_words_that_match_in_some_way(query: str, matched: str, first: str) -> None:
    how, found = search(SHOP, query)
    assert (how, found[0]) == (matched, first)


def test_a_misspelt_query_is_corrected_and_a_right_one_is_not() -> None:
    assert SHOP.search(SearchRequest("red lantren")).understood.corrected == "red lantern"
    assert SHOP.search(SearchRequest("red lantern")).understood.corrected is None
    assert search(SHOP, "red lantren", spelling=False) == ("any", ["i1", "i3"])


def test_words_behind_without_are_not_looked_for_and_the_answer_says_so() -> None:
    found = SHOP.search(SearchRequest("bowl without lantern"))
    assert ids_of(SHOP, found) == ["i4"]
    assert found.understood.notes == ("not looked for: lantern",)


def test_where_no_word_matches_the_vectors_find_items_and_then_the_popular_ones() -> None:
    shop = engine_of(encoder=Compass())
    assert search(shop, "shine") == ("text", ["i1", "i2"])
    assert search(shop, "zzz", popular=("i3", "gone", "i1")) == ("popular", ["i3", "i1"])


def test_words_and_vectors_are_fused() -> None:
    shop = engine_of(
        CatalogueItem(item_id="i1", title="Lantern"), CatalogueItem(item_id="i9", title="shine"), encoder=Compass()
    )
    assert search(shop, "shine") == ("all", ["i9", "i1"])


def test_the_shopper_s_list_brings_the_items_near_to_it_forward() -> None:
    shop = engine_of(encoder=Compass())
    assert search(shop, "red")[1] == ["i1", "i3"]
    assert search(shop, "red", liked=("i3",))[1] == ["i3", "i1"]
    assert search(shop, "red", liked=("unknown",))[1] == ["i1", "i3"]


def test_what_may_not_be_listed_is_not_found() -> None:
    assert search(SHOP, "lantern", listed=lambda item: item != "i1")[1] == ["i2"]
    assert search(SHOP, "laptop")[1] == []
    assert search(SHOP, "laptop", filters=Filters(sold_out_too=True))[1] == ["i5"]


def test_sold_out_items_come_after_those_in_stock() -> None:
    shop = engine_of(
        CatalogueItem(item_id="gone", title="mug", in_stock=False), CatalogueItem(item_id="here", title="a mug of tin")
    )
    assert search(shop, "mug", filters=Filters(sold_out_too=True))[1] == ["here", "gone"]


def test_the_index_follows_changes() -> None:
    shop = engine_of()
    shop.apply([CatalogueItem(item_id="i1", title="Green mug", price=99)])
    assert search(shop, "lantern")[1] == ["i2"]
    assert search(shop, "mug", filters=Filters(lowest_price=98))[1] == ["i1"]
    shop.apply([], ["i1", "never was"])
    assert search(shop, "mug") == ("popular", [])
    assert (len(shop.slots), len(shop.index), shop.vocabulary.count("mug")) == (4, 4, 0)


def test_synonyms_of_the_shop_widen_a_query() -> None:
    shop = engine_of(synonyms=Synonyms(["lantern, table lamp", "torch => lantern"]))
    assert search(shop, "table lamp") == ("all", ["i1", "i2"])
    assert search(shop, "torch") == ("all", ["i1", "i2"])


def test_an_empty_query_finds_all_items_the_popular_ones_first() -> None:
    assert search(SHOP, "  ", popular=("i4",)) == ("all", ["i4", "i1", "i2", "i3"])


@pytest.mark.parametrize("query", ["😀🎁", "\x00\x1b[2J", "the of and", "!!! ???", "\ud800"])
def test_a_query_without_a_word_gets_the_popular_items(query: str) -> None:
    assert search(SHOP, query, popular=("i2",)) == ("popular", ["i2"])


def test_a_long_query_is_cut_and_costs_no_more() -> None:
    started = time.process_time()
    found = SHOP.search(SearchRequest("lantern " + "x" * 4000 + " lantern" * 750))
    assert time.process_time() - started < 0.5
    assert "only the first 256 characters" in found.understood.notes[0]
    assert ids_of(SHOP, found) == ["i1", "i2"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_query(text: str) -> None:
    found = SHOP.search(SearchRequest(text, popular=("i2",)))
    assert len(found.scores) <= 4 and all(0 <= score <= 1 for score in found.scores.values())


def test_a_new_engine_finds_nothing_and_fails_not() -> None:
    engine = SearchEngine()
    assert search(engine, "red") == ("popular", [])
    assert search(engine, "") == ("all", [])
