"""What a new product is like."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from operators.exploration.likes import Likes, text_of
from operators.exploration.pool import LIKES
from operators.lists.catalogue import Catalogue
from operators.model.model_bundle import ModelBundle
from operators.model.query_tower import QueryTower, buckets, words_of
from operators.records.contracts import CatalogueItem
from tests.builders import write_bundle

MUG, LAMP = (np.array(sorted({*buckets([word])}), dtype=np.int32) for word in ("mug", "lamp"))


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    """Its items lie on a quarter of a circle."""
    return ModelBundle.load(write_bundle(tmp_path, items=20))


def likes(bundle: ModelBundle, catalogue: Catalogue | None = None) -> Likes:
    shelf = catalogue or Catalogue(bundle.vocabulary, 0.5)
    return Likes(bundle, shelf.alike, lambda: np.array([7, 6, 5, 4, 3, 2, 1], dtype=np.int32))


def test_by_text_the_nearest_items_come_first(bundle: ModelBundle) -> None:
    parts = np.concatenate((MUG, LAMP))
    order = np.argsort(parts)
    of_word = np.concatenate((np.tile(bundle.vectors[3], (len(MUG), 1)), np.tile(bundle.vectors[17], (len(LAMP), 1))))
    tower = QueryTower(parts[order], np.concatenate((np.zeros((1, 2)), of_word[order])).astype(np.float32))
    near = likes(replace(bundle, queries=tower))
    mug = near.of(CatalogueItem(item_id="n", title="Mug"))
    assert mug[0] == 3 and {*mug} == {*range(1, LIKES)} | {LIKES}
    assert near.of(CatalogueItem(item_id="n", title="", category="lamp"))[0] == 17
    assert near.of(CatalogueItem(item_id="n", title="Öæß")) == (), "the training learned no part of it"


def test_what_is_far_is_no_like(bundle: ModelBundle) -> None:
    tower = QueryTower(MUG, np.tile(np.array([[-1.0, -1.0]], dtype=np.float32), (len(MUG) + 1, 1)))
    assert likes(replace(bundle, queries=tower)).of(CatalogueItem(item_id="n", title="mug")) == ()


def test_without_text_category_then_brand_by_demand(bundle: ModelBundle) -> None:
    shelf = Catalogue(bundle.vocabulary, 0.5)
    for item, category, brand in (("i2", "mugs", "a"), ("i5", "mugs", "b"), ("i9", "lamps", "b"), ("i12", "mugs", "")):
        shelf.changed(item, CatalogueItem(item_id=item, category=category, brand=brand))
    kind = likes(bundle, shelf)
    assert kind.of(CatalogueItem(item_id="n", category="mugs", brand="b")) == (5, 2, 12)
    assert kind.of(CatalogueItem(item_id="n", category="other", brand="b")) == (5, 9)
    assert kind.of(CatalogueItem(item_id="n", title="mug")) == kind.of(CatalogueItem(item_id="n", brand="c")) == ()


def test_the_text_has_title_category_and_brand() -> None:
    item = CatalogueItem(item_id="n", title="Blue mug", category=["Home", "Kitchen"], brand="Acme")
    assert words_of(text_of(item)) == ["blue", "mug", "home", "kitchen", "acme"]
