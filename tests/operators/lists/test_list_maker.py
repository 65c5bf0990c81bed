import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from operators.configuration.shop_settings import ExplorationSettings, ListSettings
from operators.exploration.pool import Newcomer, Pool
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker, NotFinite
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import CatalogueItem, Reason, RecommendationList
from operators.settings import ScorerSettings
from operators.shopper.user_state import id_hash
from tests.builders import NOW_MS, event, state_after, viewed, write_bundle


class Shop:
    """A list maker over the known bundle, with its catalogue."""

    def __init__(
        self, folder: Path, scored: bool = True, with_facts: bool = False, pool: Pool | None = None, **rules
    ) -> None:
        self.bundle = ModelBundle.load(folder)
        self.catalogue = Catalogue(self.bundle.vocabulary, 0.5)
        scorer = Scorer(self.bundle, ScorerSettings(provider="cpu")) if scored else None
        self.lists = ListMaker(
            self.bundle,
            scorer,
            self.catalogue,
            ListSettings(size=3, **rules),
            lambda: NOW_MS,
            with_facts=with_facts,
            exploration=None if pool is None else ExplorationSettings(enabled=True, share=1 / 3, first_position=3),
            pool=lambda: pool,
        )

    def of(self, *states: bytes) -> list[RecommendationList | Exception]:
        return self.lists.make([Request(f"u{n}", state, NOW_MS) for n, state in enumerate(states)])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(write_bundle(tmp_path / "bundle"))


def items(made: RecommendationList | Exception) -> list[str]:
    assert isinstance(made, RecommendationList)
    return [place.item_id for place in made.items]


def test_the_model_makes_the_list(shop: Shop) -> None:
    (made,) = shop.of(viewed("i4"))
    assert items(made) == ["i4", "i3", "i5"]
    assert (made.source, made.version, made.model.name) == ("model", 1, "known")
    assert [place.rank for place in made.items] == [1, 2, 3]
    assert made.items[0].score == 1.0


def test_a_reason_names_the_item_it_resembles(shop: Shop) -> None:
    (made,) = shop.of(viewed("i4"))
    assert (made.items[1].reason.kind, made.items[1].reason.item_id) == ("viewed", "i4")
    assert made.items[0].reason.item_id is None, "an item is no reason for itself"


def test_the_kind_of_step_decides_the_words(shop: Shop) -> None:
    (basket,) = shop.of(state_after(event(0, "add_to_cart", item_id="i4")))
    (bought,) = shop.of(state_after(event(0, "purchase", items=["i4"])))
    assert basket.items[0].reason.kind == "in_basket"
    assert bought.items[0].reason.kind == "bought"


def test_a_batch_gives_what_each_user_alone_gives(shop: Shop) -> None:
    states = [viewed("i1"), viewed("i8", "i2"), viewed("unknown"), state_after(event(0, "search", query="mug"))]
    together = shop.of(*states)
    assert [items(made) for made in together] == [items(shop.of(state)[0]) for state in states]


def test_strangers_get_the_popular_list_said_as_such(shop: Shop) -> None:
    (made,) = shop.of(viewed("unknown"))
    assert (made.source, items(made)) == ("popular", ["i1", "i2", "i3"])
    assert made.items[0].reason.kind == "popular"


def test_who_refused_consent_gets_the_popular_list(shop: Shop) -> None:
    refused = event(1, "consent", context={"personalisation": "denied"})
    (made,) = shop.of(state_after(event(0, item_id="i7"), refused))
    assert (made.source, items(made)) == ("popular", ["i1", "i2", "i3"])


def test_stock_counts_from_the_next_list_on(shop: Shop) -> None:
    shop.catalogue.changed("i3", CatalogueItem(item_id="i3", in_stock=False))
    assert items(shop.of(viewed("i4"))[0]) == ["i4", "i5", "i2"]
    shop.catalogue.changed("i3", CatalogueItem(item_id="i3"))
    assert items(shop.of(viewed("i4"))[0]) == ["i4", "i3", "i5"]


def test_without_the_model_neighbours_serve(tmp_path: Path) -> None:
    (made,) = Shop(write_bundle(tmp_path), scored=False).of(viewed("i4"))
    assert made.source == "neighbours"
    assert items(made) == ["i5", "i3", "i1"]


def test_nan_scores_fail_for_that_user_alone(tmp_path: Path) -> None:
    good, bad = Shop(write_bundle(tmp_path, nan_for=5)).of(viewed("i4"), viewed("i5"))
    assert items(good) == ["i4", "i3", "i5"]
    assert isinstance(bad, NotFinite)


def test_places_that_the_rules_empty_are_filled_with_popular_items(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path, items=4))
    for item in ("i2", "i3", "i4"):
        shop.catalogue.changed(item, CatalogueItem(item_id=item, in_stock=False))
    shop.catalogue.changed("i1", CatalogueItem(item_id="i1"))
    assert items(shop.of(viewed("i2"))[0]) == ["i1"]


def test_a_list_id_names_user_version_and_model(shop: Shop) -> None:
    first, again, newer = shop.of(viewed("i1"))[0], shop.of(viewed("i1"))[0], shop.of(viewed("i1", "i2"))[0]
    assert first.recommendation_id == again.recommendation_id != newer.recommendation_id
    assert len(first.recommendation_id) == 32


def test_a_fallback_list_has_another_id_than_the_models_list_of_the_same_version(shop: Shop) -> None:
    request = Request("u0", viewed("i4"), NOW_MS)
    (of_model,), fallback = shop.lists.make_encoded([request]), shop.lists.encoded_fallback(request)
    ids = {json.loads(made.value)["recommendation_id"] for made in (of_model, fallback)}  # type: ignore[union-attr]
    assert len(ids) == 2


@pytest.mark.parametrize(
    "state", [viewed("i4"), viewed("unknown"), state_after(event(0, "purchase", items=["i1", "i2", "i4"]))]
)
def test_a_list_carries_the_hashes_of_its_items_where_they_are_asked_for(tmp_path: Path, state: bytes) -> None:
    folder, request = write_bundle(tmp_path, items=4), Request("u0", state, NOW_MS)
    for with_facts in (False, True):
        lists = Shop(folder, with_facts=with_facts).lists
        for made in (*lists.make_encoded([request]), lists.encoded_fallback(request)):
            assert isinstance(made, Encoded)
            if not with_facts:
                assert made.facts is None
                continue
            slate = json.loads(made.value)
            assert made.facts and (made.facts.recommendation_id, made.facts.generated_at) == (
                slate["recommendation_id"],
                NOW_MS,
            )
            hashes = np.frombuffer(made.facts.item_hashes, "<u4").tolist()
            assert hashes == [id_hash(item["item_id"]) & 0xFFFFFFFF for item in slate["items"]] != []


def test_the_bytes_are_those_of_msgspec_whoever_made_the_list(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path, items=4))
    for item in ("i1", "i2", "i3", "i4"):
        shop.catalogue.changed(item, CatalogueItem(item_id=item, in_stock=item in ("i1", "i3")))
    states = [viewed("i2"), viewed("unknown"), state_after(event(0, "add_to_cart", item_id="i4"))]
    requests = [Request(f'"{n}"', state, NOW_MS, None, "00-1-2-01") for n, state in enumerate(states)]
    values = [one.value for one in [*shop.lists.make_encoded(requests), *map(shop.lists.encoded_fallback, requests)]]
    made = [msgspec.json.decode(value, type=RecommendationList) for value in values]
    assert [one.source for one in made] == ["model", "popular", "model", "neighbours", "popular", "neighbours"]
    assert [msgspec.json.encode(one) for one in made] == values
    assert made[:3] == shop.lists.make(requests)


def test_a_bundle_that_holds_nothing_gives_empty_lists(tmp_path: Path) -> None:
    bundle = ModelBundle.load_fallbacks(tmp_path)
    lists = ListMaker(bundle, None, Catalogue(bundle.vocabulary, 0.5), ListSettings(), lambda: NOW_MS)
    assert [items(one) for one in lists.make([Request("u0", viewed("i4"), NOW_MS)])] == [[]]


def test_a_list_that_was_filled_keeps_the_reasons_of_its_ranked_items(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path, items=40))
    answers = shop.lists._scorer.answers
    shop.lists._scorer.answers = lambda inputs, _: tuple(answer[:, :3] for answer in answers(inputs))  # i4, i3, i5
    for number in range(1, 41):
        shop.catalogue.changed(f"i{number}", CatalogueItem(item_id=f"i{number}", in_stock=number in (5, 40)))
    (made,) = shop.of(viewed("i4"))
    ranked, filled = made.items
    assert (ranked.item_id, ranked.rank, ranked.reason) == ("i5", 1, Reason("viewed", "i4"))
    assert (filled.item_id, filled.rank, filled.reason.item_id) == ("i40", 2, None)


def test_scores_equal_those_of_the_graph(shop: Shop) -> None:
    (made,) = shop.of(viewed("i6"))
    assert np.allclose([place.score for place in made.items], [1, 0.5, 0.5], atol=1e-4)


def test_no_line_of_a_large_order_is_listed_again(tmp_path: Path) -> None:
    order = [f"i{n}" for n in range(1, 31)]
    shop = Shop(write_bundle(tmp_path, items=40))
    for bought in ({"items": order}, {"item_id": order[0], "items": order[1:]}):
        (made,) = shop.of(state_after(event(0, item_id="i15"), event(1, "purchase", **bought)))
        assert len(made.items) == 3 and not set(items(made)) & set(order)


def test_what_was_bought_or_rated_low_fills_no_empty_place(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path, items=4))
    for item in ("i1", "i2", "i3", "i4"):
        shop.catalogue.changed(item, CatalogueItem(item_id=item, in_stock=item in ("i1", "i3")))
    assert items(shop.of(viewed("i2"))[0]) == ["i1", "i3"]
    assert items(shop.of(state_after(event(0, item_id="i2"), event(1, "purchase", items=["i1"])))[0]) == ["i3"]
    assert items(shop.of(state_after(event(0, item_id="i2"), event(1, "rate", item_id="i3", rating=1)))[0]) == ["i1"]


def test_neighbours_are_not_those_of_what_was_rated_low(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path), scored=False)
    (made,) = shop.of(state_after(event(0, item_id="i2"), event(1, "rate", item_id="i7", rating=1)))
    assert (made.source, items(made)) == ("neighbours", ["i3", "i1", "i2"])


NEWCOMERS = Pool(0.0, b"", b"", (Newcomer("new one", 1.0, (5,)),))


def test_a_new_product_is_on_the_list_with_what_it_is_like_and_its_propensity(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path), with_facts=True, pool=NEWCOMERS)
    warm, cold = shop.of(viewed("i4"), viewed("unknown"))
    assert items(warm) == ["i4", "i3", "new one"] and isinstance(warm, RecommendationList)
    assert [place.propensity for place in warm.items] == [1.0, 1.0, 1.0], "each list explores, at its last place"
    assert (warm.items[2].reason, warm.items[2].score) == (Reason("new", "i5"), 0.5)
    assert isinstance(cold, RecommendationList) and cold.source == "popular"
    assert [place.propensity for place in cold.items] == [1.0, 1.0, 1.0]


def test_the_join_is_told_hash_and_propensity_of_what_is_explored(tmp_path: Path) -> None:
    explored = Pool(0.5, b"", b"", NEWCOMERS.newcomers)
    shop = Shop(write_bundle(tmp_path), with_facts=True, pool=explored)
    answers = shop.lists.make_encoded([Request(f"u{n}", viewed("i4"), NOW_MS) for n in range(40)])
    shown = set[str]()
    for answer in answers:
        assert isinstance(answer, Encoded) and answer.facts is not None
        made = json.loads(answer.value)["items"]
        assert np.frombuffer(answer.facts.item_hashes, "<u4").tolist() == [
            id_hash(place["item_id"]) & 0xFFFFFFFF for place in made
        ]
        propensities = np.frombuffer(answer.facts.propensities, "<f4")
        assert propensities.tolist() == pytest.approx([place["propensity"] for place in made])
        assert propensities[2] == pytest.approx(0.5 if made[2]["item_id"] == "new one" else 0.5 / 5)
        shown.add(made[2]["item_id"])
    assert {"new one"} < shown


def test_a_list_that_popular_items_fill_up_explores_nothing(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path, items=4), pool=Pool(1.0, b"", b"", (Newcomer("new one", 1.0, (2,)),)))
    for item in ("i2", "i3", "i4"):
        shop.catalogue.changed(item, CatalogueItem(item_id=item, in_stock=False))
    shop.catalogue.changed("i1", CatalogueItem(item_id="i1"))
    (made,) = shop.of(viewed("i2"))
    assert items(made) == ["i1"] and isinstance(made, RecommendationList) and made.items[0].propensity == 1.0


def test_without_exploration_no_item_has_a_propensity(tmp_path: Path) -> None:
    shop = Shop(write_bundle(tmp_path), with_facts=True)
    (answer,) = shop.lists.make_encoded([Request("u0", viewed("i4"), NOW_MS)])
    assert isinstance(answer, Encoded) and answer.facts is not None and answer.facts.propensities == b""
    assert (
        b"propensity" not in answer.value
        and b"propensity" not in shop.lists.encoded_fallback(Request("u0", viewed("i4"), NOW_MS)).value
    )
