"""The cost of a list with and without the encoder cache, with few users."""

from benchmarks.measuring.encoder_cache import STEPS, histories, makers, measure
from operators.model.model_bundle import ModelBundle
from operators.shopper.state_layout import migrate
from tests.places import ROOT

BUNDLE = ModelBundle.load(ROOT / "models" / "online-retail")


def test_every_way_has_a_time_for_every_length() -> None:
    table = measure(BUNDLE, users=4, rounds=2)
    ways = {"cached, cold", "cached, warm", "full pass", "full pass, first graph"}
    assert set(table) == {f"{steps} steps" for steps in STEPS} and all(set(of) == ways for of in table.values())
    assert all(0 < us["best"] <= us["median"] for of in table.values() for us in of.values())


def test_the_ways_differ_in_the_cache_alone() -> None:
    ways = makers(BUNDLE)
    before, after = histories(BUNDLE, 5, 3, 1)
    assert len({*map(len, (migrate(request.state) for request in before + after))}) == 1
    for lists in ways.values():
        lists.make_encoded(before)
    answers = [lists.make_encoded(after) for lists in ways.values()]
    values = [[getattr(answer, "value", answer) for answer in of] for of in answers]
    assert values[0] == values[1] == values[2]
    caches = {name: lists._scorer.cache for name, lists in ways.items() if lists._scorer is not None}
    assert caches["full pass, first graph"] is None
    assert caches["full pass"] is not None and caches["full pass"].hits == 0
    assert caches["cached"] is not None and caches["cached"].hits == 3
