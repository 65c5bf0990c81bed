"""A search as the storefront answers it, and the index that follows the catalogue."""

import httpx
import pytest

from operators.kafka_io.catalogue_rows import GONE
from operators.records.contracts import CatalogueItem
from operators.search.engine import SearchEngine
from operators.search.filters import Filters, read_filters
from storefront.view.search import Page, Search
from storefront.view.search_follower import SearchFollower
from tests.operators.kafka_io.fake_topic import until
from tests.operators.search.shop import ITEMS, engine_of
from tests.storefront.conftest import RunningShop


def search_of(*items: CatalogueItem) -> Search:
    return Search(engine_of(*items), lambda item: True, lambda: ["i4", "i1"], lambda user: ["i3"])


SHOP = search_of()


def titles(query: str, filters: str = "", **page: object) -> list[str]:
    answer = SHOP.find(query, read_filters(filters), Page(**page))  # type: ignore[arg-type]
    return [item.title for item in answer.items]


def test_an_answer_has_items_facets_and_what_was_meant() -> None:
    answer = SHOP.find("red lantren", Filters(), Page())
    assert (answer.matched, answer.did_you_mean, answer.total) == ("fuzzy", "red lantern", 1)
    assert answer.items[0].item_id == "i1" and 0 < answer.items[0].score <= 1
    assert answer.items[0].highlights == {"title": [(0, 3), (4, 11)]}
    assert answer.facets["brand"] == [{"value": "Acme", "count": 1}]
    assert answer.facets["category"] == [{"value": "Home", "count": 1}, {"value": "Home > Light", "count": 1}]
    assert answer.facets["price"] == [{"from": 10, "to": 20, "count": 1}]
    assert answer.facets["in_stock"] == [{"value": True, "count": 1}]


def test_highlights_are_places_of_words_and_never_html() -> None:
    item = CatalogueItem(item_id="x", title="<b>Men’s lanterns</b>")
    found = search_of(item).find("mens lantern", Filters(), Page()).items[0]
    assert [found.title[start:end] for start, end in found.highlights["title"]] == ["Men’s", "lanterns"]


def test_sorting_and_paging() -> None:
    assert titles("lantern", sort="price") == ["Blue lantern", "Red Lantern"]
    assert titles("lantern", sort="-price") == ["Red Lantern", "Blue lantern"]
    assert titles("", sort="title", limit=2) == ["Blue lantern", "Red calculator 4GB"]
    assert titles("", sort="title", limit=2, offset=2) == ["Red Lantern", "Women's dog bowl"]
    assert titles("", sort="price")[-1] == "Women's dog bowl", "without a price: last, in both directions"
    assert titles("", sort="-price")[-1] == "Women's dog bowl"


def test_filters_narrow_items_and_facets() -> None:
    answer = SHOP.find("red", read_filters("brand:acme;price:30.."), Page())
    assert [item.item_id for item in answer.items] == ["i3"]
    assert (answer.total, answer.facets["category"]) == (1, [{"value": "Office", "count": 1}])
    assert titles("laptop", "in_stock:any") == ["Laptop"]


def test_a_search_without_a_result_shows_popular_items_and_says_so() -> None:
    answer = SHOP.find("xyzzyx", Filters(), Page())
    assert (answer.matched, [item.item_id for item in answer.items]) == ("popular", ["i4", "i1"])
    assert answer.notes == ["no item matches the query: these are popular items"]
    assert "no word" in SHOP.find("😀", Filters(), Page()).notes[0]


def test_a_filter_that_no_item_fulfils_is_named() -> None:
    answer = SHOP.find("red", read_filters("brand:acmee"), Page())
    assert answer.items == [] and "is 'Acme' meant?" in answer.notes[0]


@pytest.mark.parametrize(
    ("typed", "first"),
    [("lant", "lantern"), ("red ca", "red calculator"), ("lantren", "lantern"), ("lantern", "lantern")],
)
def test_a_query_is_completed_while_it_is_typed(typed: str, first: str) -> None:
    answer = SHOP.suggest(typed, 5)
    assert answer.suggestions[0].text == first
    assert answer.items[0].item_id in ("i1", "i3")


def test_nothing_typed_suggests_nothing() -> None:
    for typed in ("", " ", "😀", "the"):
        assert SHOP.suggest(typed, 5).items == []


def test_the_index_follows_the_catalogue_in_order() -> None:
    engine = SearchEngine()
    follower = SearchFollower(engine)
    for item in ITEMS:
        follower.changed(item.item_id, item)
    follower.changed("i1", CatalogueItem(item_id="i1", title="Red Lantern", price=1))
    follower.changed("i2", None)
    follower.changed("i4", GONE)
    assert follower.apply() == 5
    shop = Search(engine, lambda item: True, list, lambda user: [])
    answer = shop.find("lantern", Filters(), Page())
    assert [(item.item_id, item.price) for item in answer.items] == [("i1", 1)]
    assert len(engine.slots) == 3 and follower.apply() == 0


def test_changes_are_findable_within_a_second_and_a_bad_item_keeps_no_other_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SearchEngine()
    apply = engine.apply

    def failing(changed: list[CatalogueItem], removed: list[str] = [], **options: bool) -> None:  # noqa: B006
        if any(item.item_id == "i1" for item in changed):
            raise RuntimeError("planted")
        apply(changed, removed, **options)

    monkeypatch.setattr(engine, "apply", failing)
    follower = SearchFollower(engine, every_s=0.01)
    for item in ITEMS[:2]:
        follower.changed(item.item_id, item)
    follower.start()
    follower.changed("i3", ITEMS[2])
    until(lambda: len(engine.slots) == 2)
    follower.close()
    assert (engine.slots.slot("i1"), "planted" in caplog.text) == (None, True)


def test_over_http_bad_parameters_are_refused_and_any_query_is_answered(shop: RunningShop) -> None:
    def asked(**parameters: str) -> httpx.Response:
        return shop.client.get("/v1/search", params=parameters)

    for query in ("", "😀", "\x1b[2J\x00", "a" * 256):
        answer = asked(q=query)
        assert (answer.status_code, answer.json()["items"]) == (200, [])
    for bad in (
        {"q": "x" * 10_000},
        {"filters": "price:20..10"},
        {"filters": "brnad:acme"},
        {"sort": "cheapest"},
        {"diversity": "2"},
        {"offset": "-1"},
        {"user": ""},
    ):
        assert (asked(**bad).status_code, asked(**bad).json()["reason"]) == (422, "bad_parameter"), bad
    assert "is price:10..20 meant?" in asked(filters="price:20..10").json()["error"]
    assert shop.client.get("/v1/suggest?q=lan").json() == {"query": "lan", "suggestions": [], "items": []}
