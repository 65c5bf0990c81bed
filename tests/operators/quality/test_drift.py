import json
import math

import numpy as np
import pytest

from operators.errors import BundleError
from operators.model.reference import Bins, dump_reference, load_reference
from operators.quality.drift import MIN_SAMPLES, WINDOW_SAMPLES, DriftMeter, observed, popularity_places, psi
from operators.shopper.features import WINDOW, Features

CHANCE = np.random.default_rng(7)


def test_psi_by_hand() -> None:
    e, a = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    assert psi(e, a) == pytest.approx(0.3 * math.log(1.6) + 0.3 * math.log(2.5))
    assert psi(e, e * 1000) == 0
    assert math.isfinite(psi(e, np.array([1.0, 0.0])))


def test_the_same_population_is_stable_and_a_moved_one_is_not() -> None:
    meter = DriftMeter({"x": Bins.fit(CHANCE.normal(size=20_000))})
    meter.observe({"x": CHANCE.normal(size=3_000)})
    assert meter.indices()["x"] < 0.02
    for _ in range(4):
        meter.observe({"x": CHANCE.normal(1.5, size=WINDOW_SAMPLES)})
    assert meter.indices()["x"] > 0.5  # the old population has left the window


def test_too_few_samples_say_nothing() -> None:
    meter = DriftMeter({"x": Bins.fit(np.arange(100))})
    meter.observe({"x": np.zeros(MIN_SAMPLES - 1)})
    assert math.isnan(meter.indices()["x"])


def test_given_edges_and_a_value_that_is_one() -> None:
    bins = Bins.fit(np.array([1, 2, 3, 10]), np.array([2.0, 4.0]))
    assert bins.shares.tolist() == [0.25, 0.5, 0.25]


def test_what_is_observed_of_a_user() -> None:
    items, kinds = np.zeros((2, WINDOW), np.int32), np.zeros((2, WINDOW), np.int32)
    items[0, :3], kinds[0, :3] = (1, 2, 3), (1, 1, 4)
    found = observed(
        Features(items, kinds, np.array([3, 0], np.int32), items.astype(np.uint32), np.array([3, 0])),
        np.array([0.5, 0.1]),
        popularity_places(np.array([3, 2, 1], np.int32), 3),
    )
    assert {name: values.tolist() for name, values in found.items()} == {
        "history_length": [3, 0],
        "last_kind": [4, 0],
        "last_item_popularity": [0.0, 1.0],
        "top_score": [0.5, 0.1],
    }


def test_a_reference_survives_its_file() -> None:
    reference = {"x": Bins.fit(CHANCE.normal(size=1000)), "k": Bins.fit(np.array([1, 2]), np.array([1.5]))}
    back = load_reference(json.loads(json.dumps(dump_reference(reference))))
    assert back.keys() == reference.keys()
    assert np.allclose(back["x"].shares, reference["x"].shares, atol=1e-5)


@pytest.mark.parametrize(
    "dump", [[], {"x": 3}, {"x": {"edges": [1, 0], "shares": [1, 0, 0]}}, {"x": {"edges": [1], "shares": [1]}}]
)
def test_a_damaged_reference_is_a_bundle_error(dump: object) -> None:
    with pytest.raises(BundleError, match=r"reference\.json"):
        load_reference(dump)
