"""A search by words, and what the model adds to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from operators.model.model_bundle import ModelBundle
from operators.model.query_tower import QueryTower, buckets
from operators.records.contracts import CatalogueItem
from storefront.view.search import Search
from storefront.view.views import CatalogueView
from tests.builders import write_bundle

ANGLES = (0.1, 1.2, 0.2, 3.0)  # of the items' vectors; "light" lies at 0
TITLES = ("Candle", "Mug", "Red lantern", "Bucket")


def shelf_of(titles: tuple[str, ...], **changes: CatalogueItem) -> CatalogueView:
    shelf = CatalogueView()
    for number, title in enumerate(titles, start=1):
        item = changes.get(f"i{number}", CatalogueItem(item_id=f"i{number}", title=title))
        shelf.changed(item.item_id, item)
    return shelf


def bundle_of(folder: Path) -> ModelBundle:
    bundle = ModelBundle.load(write_bundle(folder / "bundle"))
    vectors = np.zeros_like(bundle.vectors)
    vectors[1 : len(ANGLES) + 1] = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    light = np.array([buckets(["light"])[0]], dtype=np.int32)
    queries = QueryTower(light, np.array([[0.0, 0.0], [1.0, 0.0]], dtype=np.float32))
    return replace(bundle, vectors=vectors, queries=queries)


def ids_of(search: Search, text: str, limit: int = 10) -> list[str]:
    return [item.title for item in search.find(text, limit)]


def test_what_belongs_to_a_query_comes_nearest_first_and_what_is_far_not_at_all(tmp_path: Path) -> None:
    search = Search(shelf_of(TITLES), bundle_of(tmp_path))
    assert ids_of(search, "light") == ["Candle", "Red lantern"]  # the mug's cosine is 0.36
    assert ids_of(search, "light", 1) == ["Candle"]
    assert ids_of(search, "zzz") == []


def test_titles_with_the_words_come_first_and_nothing_comes_twice(tmp_path: Path) -> None:
    search = Search(shelf_of(("Candle", "Mug", "Light bulb", "Bucket")), bundle_of(tmp_path))
    assert ids_of(search, "light") == ["Light bulb", "Candle"]
    assert ids_of(search, "", 10) == ["Bucket", "Candle", "Light bulb", "Mug"], "no query: the whole shelf"


def test_only_what_is_sold_is_found(tmp_path: Path) -> None:
    sold_out = CatalogueItem(item_id="i1", title="Candle", in_stock=False)
    assert ids_of(Search(shelf_of(TITLES, i1=sold_out), bundle_of(tmp_path)), "light") == ["Red lantern"]
    assert ids_of(Search(CatalogueView(), bundle_of(tmp_path)), "light") == []


def test_without_a_tower_words_alone_count(tmp_path: Path) -> None:
    plain = replace(bundle_of(tmp_path), queries=None)
    for bundle in (None, plain):
        assert ids_of(Search(shelf_of(TITLES), bundle), "light") == []
        assert ids_of(Search(shelf_of(TITLES), bundle), "lantern") == ["Red lantern"]
