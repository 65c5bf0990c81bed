"""`p_click` on lists, and lists by p_click x price x margin. The known bundle's `p_click` is an item's share of its candidates."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from operators.configuration.shop_settings import ExplorationSettings, ListSettings
from operators.errors import BundleError
from operators.exploration.pool import Newcomer, Pool
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.click_head import STEPS
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import CatalogueItem, ListItem, RecommendationList
from operators.settings import ScorerSettings
from tests.builders import NOW_MS, viewed, write_bundle

ITEMS = 8


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return ModelBundle.load(write_bundle(tmp_path_factory.mktemp("clicks") / "bundle", ITEMS, with_clicks=True))


def maker(
    bundle: ModelBundle,
    *records: CatalogueItem,
    with_facts: bool = False,
    explored: Pool | None = None,
    **rules: object,
) -> ListMaker:
    catalogue = Catalogue(bundle.vocabulary, 1.0)
    for record in records:
        catalogue.changed(record.item_id, record)
    scorer = Scorer(bundle, ScorerSettings(provider="cpu"))
    settings = ListSettings(**({"size": 3} | rules))
    exploration = ExplorationSettings(enabled=explored is not None, share=1 / settings.size, first_position=2)
    return ListMaker(
        bundle,
        scorer,
        catalogue,
        settings,
        lambda: NOW_MS,
        with_facts=with_facts,
        exploration=exploration,
        pool=lambda: explored,
    )


def listed(lists: ListMaker, *states: bytes) -> list[list[ListItem]]:
    made = lists.make([Request(f"u{n}", state, NOW_MS) for n, state in enumerate(states)])
    assert all(isinstance(each, RecommendationList) for each in made)
    return [each.items for each in made]


def shares(last: int) -> dict[str, float]:
    """Item -> its share among all candidates, after item `last`."""
    scores = {f"i{row}": 1 / (1 + abs(row - last)) for row in range(1, ITEMS + 1)}
    total = sum(np.exp(list(scores.values())))
    return {item: float(np.exp(score) / total) for item, score in scores.items()}


def test_each_item_has_its_probability_with_four_digits(bundle: ModelBundle) -> None:
    (items,) = listed(maker(bundle), viewed("i4"))
    assert [item.item_id for item in items] == ["i4", "i3", "i5"]
    assert [item.p_click for item in items] == [round(shares(4)[item.item_id], 4) for item in items]


def test_a_user_beside_others_has_the_probabilities_of_one_alone(bundle: ModelBundle) -> None:
    lists, states = maker(bundle), [viewed("i1"), viewed("i8", "i2"), viewed("unknown"), viewed("i4")]
    assert listed(lists, *states) == [listed(lists, state)[0] for state in states]


def test_the_order_is_that_without_a_click_head(bundle: ModelBundle, tmp_path: Path) -> None:
    plain = ModelBundle.load(write_bundle(tmp_path / "plain", ITEMS))
    states = [viewed(f"i{row}") for row in range(1, ITEMS + 1)]
    for with_it, without in zip(listed(maker(bundle), *states), listed(maker(plain), *states), strict=True):
        assert all(item.p_click is None for item in without)
        assert [msgspec.structs.replace(item, p_click=None) for item in with_it] == without


def test_items_that_no_model_scored_have_no_probability(bundle: ModelBundle) -> None:
    (items,) = listed(maker(bundle), viewed("unknown"))
    assert [item.p_click for item in items] == [None] * 3


def test_a_place_that_is_filled_with_a_popular_item_has_none(bundle: ModelBundle) -> None:
    mugs = [CatalogueItem(item_id=f"i{row}", category="mugs") for row in range(1, ITEMS + 1)]
    (items,) = listed(maker(bundle, *mugs, size=4, max_per_category=1), viewed("i4"))
    assert [item.p_click is None for item in items] == [False, True, True, True]


def test_a_user_whose_scores_are_not_finite_disturbs_no_one(tmp_path: Path) -> None:
    spoiled = ModelBundle.load(write_bundle(tmp_path / "bundle", ITEMS, nan_for=6, with_clicks=True))
    lists = maker(spoiled, rank_by="value")
    broken, fine = lists.make([Request("u1", viewed("i6"), NOW_MS), Request("u2", viewed("i4"), NOW_MS)])
    assert isinstance(broken, Exception)
    assert isinstance(fine, RecommendationList) and fine.items[0].p_click == round(shares(4)["i4"], 4)


def test_the_join_is_told_the_probabilities(bundle: ModelBundle) -> None:
    lists = maker(bundle, with_facts=True)
    (encoded,) = lists.make_encoded([Request("u1", viewed("i4"), NOW_MS)])
    assert not isinstance(encoded, Exception) and encoded.facts is not None and encoded.facts.clicks is not None
    expected = [round(shares(4)[item] * STEPS) for item in ("i4", "i3", "i5")]
    assert np.frombuffer(encoded.facts.clicks, "<u2").tolist() == expected


def test_by_value_the_dear_item_comes_first(bundle: ModelBundle) -> None:
    prices = [CatalogueItem(item_id=f"i{row}", price=10.0, margin=0.5) for row in range(1, ITEMS + 1)]
    prices[6] = CatalogueItem(item_id="i7", price=100.0, margin=0.5)
    prices[7] = CatalogueItem(item_id="i8", price=100.0, margin=0.01)
    items, other = listed(maker(bundle, *prices, rank_by="value"), viewed("i4"), viewed("i1"))
    assert [item.item_id for item in items] == ["i7", "i4", "i3"]
    assert [item.p_click for item in items] == [round(shares(4)[item.item_id], 4) for item in items]
    assert items[0].score == pytest.approx(shares(4)["i7"] * 50, rel=0.01)
    assert [item.item_id for item in other] == ["i7", "i1", "i2"]


def test_by_value_an_item_without_a_price_counts_with_the_mean(bundle: ModelBundle) -> None:
    prices = [CatalogueItem(item_id=f"i{row}", price=price) for row, price in ((1, 1.0), (2, 3.0))]
    catalogue = Catalogue(bundle.vocabulary, 1.0)
    assert catalogue.worth.by_row().tolist() == [1.0] * (ITEMS + 1), "no price at all: by p_click alone"
    for item in prices:
        catalogue.changed(item.item_id, item)
    assert catalogue.worth.by_row().tolist() == [2.0, 1.0, 3.0] + [2.0] * 6
    catalogue.changed("i2", CatalogueItem(item_id="i2", price=5.0, margin=0.5))
    assert catalogue.worth.by_row()[:4].tolist() == [1.5, 0.5, 2.5, 1.5]
    catalogue.changed("i2", None)
    assert catalogue.worth.by_row()[:4].tolist() == [1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("rank_by", ["score", "value"])
def test_the_scores_of_places_that_explore_are_on_the_scale_of_the_others(bundle: ModelBundle, rank_by: str) -> None:
    prices = [CatalogueItem(item_id=f"i{row}", price=1000.0 * row) for row in range(1, ITEMS + 1)]
    ranked = {
        item.item_id: item.score for item in listed(maker(bundle, *prices, rank_by=rank_by, size=8), viewed("i4"))[0]
    }
    newcomer = Pool(0.0, b"", b"", (Newcomer("n1", 1.0, (2,)),))
    (with_newcomer,) = listed(maker(bundle, *prices, rank_by=rank_by, size=4, explored=newcomer), viewed("i4"))
    assert {item.item_id: item.score for item in with_newcomer}["n1"] == ranked["i2"]
    known = Pool(0.0, np.array([1], dtype="<i4").tobytes(), np.array([1.0], dtype="<f4").tobytes(), ())
    (with_known,) = listed(maker(bundle, *prices, rank_by=rank_by, size=4, explored=known), viewed("i4"))
    assert {item.item_id: item.score for item in with_known}["i1"] == ranked["i1"]


def test_by_value_needs_a_bundle_with_a_click_head(tmp_path: Path) -> None:
    plain = ModelBundle.load(write_bundle(tmp_path / "plain", ITEMS))
    with pytest.raises(BundleError, match=r"serves p_click.*--session-weight"):
        maker(plain, rank_by="value")
