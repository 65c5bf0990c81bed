"""Lists follow live demand: the order of popular items, and the reasons."""

from pathlib import Path

import numpy as np

from operators.configuration.shop_settings import ListSettings
from operators.demand.popularity import Orders
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.popular_order import REASON_KINDS, PopularOrder
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CatalogueItem, RecommendationList
from operators.shopper.state_layout import EMPTY
from tests.builders import NOW_MS, write_bundle


def places(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.intp)


def test_the_bundles_order_stands_until_there_is_a_live_one(tmp_path: Path) -> None:
    bundle = ModelBundle.load(write_bundle(tmp_path))
    orders: list[Orders | None] = [None]
    popular = PopularOrder(bundle, lambda: orders[0])
    assert popular.now().rows.tolist() == bundle.popular.tolist()
    orders[0] = Orders(places(6, 2), places(2))
    now = popular.now()
    assert now.rows.tolist()[:2] == [7, 3] and sorted(now.rows.tolist()) == sorted(bundle.popular.tolist())
    assert REASON_KINDS[now.kinds[3]] == "trending" and REASON_KINDS[now.kinds[7]] == "popular"
    assert popular.now() is now, "nothing is computed where nothing changed"


def test_a_stranger_gets_what_is_asked_for_now_but_nothing_that_is_sold_out(tmp_path: Path) -> None:
    bundle = ModelBundle.load(write_bundle(tmp_path))
    catalogue = Catalogue(bundle.vocabulary, 0.5)
    orders = [Orders(places(7, 6, 5, 4), places(6))]
    lists = ListMaker(bundle, None, catalogue, ListSettings(size=3), lambda: NOW_MS, live=lambda: orders[0])

    def stranger() -> list[tuple[str, str]]:
        (made,) = lists.make([Request("stranger", EMPTY, NOW_MS)])
        assert isinstance(made, RecommendationList) and made.source == "popular"
        return [(item.item_id, item.reason.kind) for item in made.items]

    assert stranger() == [("i8", "popular"), ("i7", "trending"), ("i6", "popular")]
    catalogue.changed("i8", CatalogueItem(item_id="i8", in_stock=False))
    assert stranger()[0] == ("i7", "trending")
    orders[0] = Orders(places(0, 1, 2), places())
    assert [item for item, _ in stranger()] == ["i1", "i2", "i3"]
