"""The closed loop without Kafka: what a drift costs, and that a learner wins it back."""

import math
from pathlib import Path

import pytest

from benchmarks.simulator.bundle_lists import BundleLists, ShopperStates
from benchmarks.simulator.crowd import Pace
from benchmarks.simulator.drift import Drift
from benchmarks.simulator.dry_run import with_bundles, with_learner
from benchmarks.simulator.ledger import Window
from benchmarks.simulator.recovery import Recovery, RunPlan, recovery
from benchmarks.simulator.world import World
from operators.records.contracts import Event
from operators.settings import Settings
from tests.benchmarks.simulator.shops import small_world
from tests.builders import event, write_bundle

MINUTES, DRIFT_S = 10, 240.0
PLAN = RunPlan(
    seed=3, minutes=MINUTES, drift_s=DRIFT_S, frozen="f", started_at=0, rate=50, shoppers=300, items=200
)  # fmt: skip


def run_with(drift: Drift) -> list[Window]:
    pace = Pace.of_rate(50.0, 300, think_s=0.5)
    return [*with_learner(small_world(drift), pace, MINUTES, 0, Settings(), half_life_s=40.0)]


def judged(windows: list[Window]) -> Recovery:
    return recovery(PLAN, windows, end_s=120.0)


@pytest.fixture(scope="module")
def drifted() -> list[Window]:
    return run_with(Drift(at_s=DRIFT_S))


def test_a_drift_costs_a_frozen_model_and_a_learner_wins_most_of_it_back(drifted: list[Window]) -> None:
    result = judged(drifted)
    assert result.recovered is not None and 0.6 < result.recovered < 1.2
    assert result.cost > 0.3 * result.before["frozen"]
    assert result.after["frozen"] < result.before["frozen"] < result.before["oracle"]


def test_before_the_drift_learner_and_frozen_model_are_the_same(drifted: list[Window]) -> None:
    before = judged(drifted).before
    assert before["shown"] == pytest.approx(before["frozen"], rel=0.05)
    assert before["popular"] < before["shown"]


def test_a_gradual_drift_costs_the_frozen_model_later_and_the_learner_less() -> None:
    gradual = judged(run_with(Drift(at_s=DRIFT_S, over_s=120.0)))
    assert gradual.recovered is not None and gradual.recovered > 0.6


def test_without_a_change_nothing_was_lost() -> None:
    """A learner of counts is not better than itself frozen after enough of them."""
    still = judged(run_with(Drift(at_s=DRIFT_S, tastes=0, appeal=0, arrivals=0)))
    assert abs(still.cost) < 0.12 * still.before["oracle"]


def test_the_clicks_of_the_run_agree_with_the_truth(drifted: list[Window]) -> None:
    expected = sum(window.shown.expected for window in drifted)
    assert sum(window.shown.clicks for window in drifted) == pytest.approx(expected, abs=4.4 * math.sqrt(expected))
    assert [window.end_s for window in drifted] == [10.0 * number for number in range(1, 6 * MINUTES + 1)]


def with_the_bundle_s_items(world: World) -> World:
    world.item_ids = [f"i{row}" for row in range(1, len(world.category) + 1)]
    world._row_of = {item: row for row, item in enumerate(world.item_ids)}
    return world


def test_bundles_serve_from_their_minute_on_and_the_first_one_is_the_control(tmp_path: Path) -> None:
    """The known bundle lists the rows next to the last one; its items are those of the shop."""
    world = with_the_bundle_s_items(small_world(items=8, categories=2, shoppers=20))
    bundles = {0.0: write_bundle(tmp_path / "first", 8), 60.0: write_bundle(tmp_path / "second", 5)}
    manifest = bundles[60.0] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": "1"', '"version": "2"'))
    kept: list[Event] = []
    pace = Pace.of_rate(5.0, 20, think_s=0.5)
    first, *_, last = with_bundles(world, pace, 2, bundles, Settings(), 0, kept.append)
    assert len(first.models) == len(last.models) == 1 and first.models.keys() != last.models.keys()
    assert first.frozen is not None and first.frozen.expected == pytest.approx(first.shown.expected)
    assert last.frozen is not None and last.frozen.expected != pytest.approx(last.shown.expected)
    assert len(kept) > 300


def test_a_bundle_lists_items_near_the_state_s_last_one_as_the_job_does(tmp_path: Path) -> None:
    world, states = with_the_bundle_s_items(small_world(items=8, categories=2, shoppers=2)), ShopperStates(Settings())
    lists = BundleLists(write_bundle(tmp_path / "bundle", 8), Settings(), world)
    assert states.request("u1") is None
    states.apply(event(1, item_id="i3"))
    request = states.request("u1")
    assert request is not None
    (slate,) = lists.slates([request])
    assert slate.source == "model" and slate.items[0] == "i3" and {*slate.items[1:3]} == {"i2", "i4"}
