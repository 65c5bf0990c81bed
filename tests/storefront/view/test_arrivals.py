"""New products on the pages of the items that they are like."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from operators.model.model_bundle import ModelBundle
from operators.model.query_tower import QueryTower, buckets, words_of
from operators.records.contracts import CatalogueItem
from storefront.view.arrivals import Arrivals
from tests.builders import write_bundle

MUG = np.array(sorted({*buckets(words_of("mug"))}), dtype=np.int32)


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    """The model knows i1 to i20; a mug is like i3."""
    bundle = ModelBundle.load(write_bundle(tmp_path, items=20))
    words = np.concatenate((np.zeros((1, 2)), np.tile(bundle.vectors[3], (len(MUG), 1)))).astype(np.float32)
    made = Arrivals(replace(bundle, queries=QueryTower(MUG, words)))
    made.changed("n1", CatalogueItem(item_id="n1", title="A mug"))
    made.changed("i4", CatalogueItem(item_id="i4", title="A mug"))
    return made


def test_a_new_product_and_what_it_is_like_name_each_other(arrivals: Arrivals) -> None:
    assert arrivals.like("i3") == [], "nothing is computed yet"
    arrivals.start()
    arrivals.close()
    assert arrivals.like("i3") == ["n1"] and arrivals.like("n1")[0] == "i3"
    assert arrivals.like("i20") == arrivals.like("nobody") == []


def test_what_is_not_sold_any_more_is_gone(arrivals: Arrivals) -> None:
    arrivals.changed("n1", None)
    arrivals.start()
    arrivals.close()
    assert arrivals.like("i3") == arrivals.like("n1") == []
