"""Lists of a micro-batch whose users are in different arms."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.configuration.shop_settings import ExperimentSettings, ListSettings
from operators.experiments.assignment import Assigned, Experiments
from operators.experiments.effects import AS_SET, Effects
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import CatalogueItem, Experiment, RecommendationList
from operators.settings import ScorerSettings
from tests.builders import NOW_MS, event, state_after, viewed, write_bundle

ITEMS = 8
STATES = (
    viewed("i1"),
    viewed("i8", "i2"),
    viewed("unknown"),
    state_after(event(0, "purchase", items=["i4", "i5"])),
    state_after(event(0, "search", query="mug")),
)
EFFECTS = st.builds(
    Effects, st.none() | st.sampled_from((0.0, 0.3, 0.9)), st.none() | st.integers(1, 2 * ITEMS)
) | st.just(AS_SET)


class Arms(Experiments):
    """Users whose arms a test decides."""

    def __init__(self, arms: dict[str, Effects]) -> None:
        super().__init__(ExperimentSettings())
        self._effects = arms

    def assigned(self, user_id: str) -> Assigned:
        effects = self._effects.get(user_id, AS_SET)
        return Assigned((Experiment("e", "other"),) if effects is not AS_SET else (), effects)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return ModelBundle.load(write_bundle(tmp_path_factory.mktemp("known")))


def maker(bundle: ModelBundle, arms: dict[str, Effects], *, scored: bool = True, **rules: object) -> ListMaker:
    catalogue = Catalogue(bundle.vocabulary, 0.5)
    for number in range(1, ITEMS + 1):
        catalogue.changed(f"i{number}", CatalogueItem(item_id=f"i{number}", in_stock=number != 3))
    scorer = Scorer(bundle, ScorerSettings(provider="cpu")) if scored else None
    shop = ListSettings.model_validate({"size": 4} | rules)
    return ListMaker(bundle, scorer, catalogue, shop, lambda: NOW_MS, Arms(arms), with_facts=True)


def made(lists: ListMaker, requests: list[Request]) -> list[list[str]]:
    return [
        [place.item_id for place in one.items] for one in lists.make(requests) if isinstance(one, RecommendationList)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STATES), EFFECTS), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_each_list_is_the_one_of_a_shop_with_these_settings(bundle, users, is_capped, is_scored) -> None:  # type: ignore[no-untyped-def]
    rules = {"max_per_brand": 2 if is_capped else 0, "diversity": 0.1 if is_capped else 0.0}
    arms = {f"u{number}": effects for number, (_, effects) in enumerate(users)}
    requests = [Request(f"u{number}", state, NOW_MS) for number, (state, _) in enumerate(users)]
    together = made(maker(bundle, arms, scored=is_scored, **rules), requests)
    for request, items in zip(requests, together, strict=True):
        own = {
            field: value
            for field, value in zip(("diversity", "size"), arms[request.user_id], strict=True)
            if value is not None
        }
        alone = maker(bundle, {}, scored=is_scored, **(rules | own))
        assert [items] == made(alone, [request])


def test_a_list_says_its_arm_and_the_join_gets_the_items_of_its_length(bundle: ModelBundle) -> None:
    lists = maker(bundle, {"u1": Effects(list_size=2)})
    short, usual = lists.make_encoded([Request("u1", STATES[0], NOW_MS), Request("u2", STATES[0], NOW_MS)])
    assert not isinstance(short, Exception) and not isinstance(usual, Exception)
    assert short.facts is not None and usual.facts is not None
    assert (len(short.facts.item_hashes), len(usual.facts.item_hashes)) == (8, 16)
    assert (short.arm, usual.arm) == ("other", "all")
    assert msgspec.json.decode(short.value)["experiment"] == {"name": "e", "arm": "other"}
    assert "experiments" not in msgspec.json.decode(short.value)


def test_a_fallback_list_has_the_arms_length_too(bundle: ModelBundle, tmp_path: Path) -> None:
    lists = maker(bundle, {"u1": Effects(list_size=2)})
    for user, size in (("u1", 2), ("u2", 4)):
        fallback = lists.encoded_fallback(Request(user, STATES[0], NOW_MS))
        assert len(msgspec.json.decode(fallback.value)["items"]) == size
