"""The trainer's own rounds in a dry run: it follows a drift, with its own gate, and what it promotes serves."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulator.bundle_lists import BundleLists
from benchmarks.simulator.crowd import Pace
from benchmarks.simulator.drift import Drift
from benchmarks.simulator.dry_run import with_trainer
from benchmarks.simulator.history import END_MS, past
from benchmarks.simulator.world import World
from operators.records.contracts import Event
from operators.settings import Settings
from operators.shopper.features import Vocabulary
from tests.benchmarks.simulator.shops import small_world

pytestmark = pytest.mark.slow
MINUTES, DRIFT_S, RATE = 6, 150.0, 60.0


def first_bundle(world: World, folder: Path) -> Path:
    """A bundle that learned the shop's past."""
    from model_export.bundles.export import export_bundle
    from model_export.data.dataset import examples
    from model_export.training.fit import fit
    from model_export.training.fit_options import FitOptions
    from model_export.training.training import Training

    options = FitOptions(encoder="pair-sum", width=32, window=10, dropout=0.1, learning_rate=1e-2, batch=1024, epochs=4,
                         bf16_products=False)  # fmt: skip
    words = Vocabulary([world.item_ids[row] for row in world.present.tolist()])
    known = examples([*past(world, 3.0, 8.0)], words, window=options.window)
    model = fit(Training(known, len(words), options, []), None, lambda _: None).model
    asked = known.where(np.flatnonzero(known.features.length > 0)[-500:])
    facts = {"name": "sim", "hop": options.hop, "settings": asdict(options), "metrics": {}}
    facts |= {"trained_on": {"from_ms": int(known.time_ms.min()), "to_ms": END_MS}}
    export_bundle(model, words, known, asked, folder, facts)
    return folder


def test_what_the_trainer_promotes_serves_and_wins_back_what_a_drift_costs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from benchmarks.simulator.followed_bundles import FollowedBundles
    from model_export.follow.follower import Outcome

    world = small_world(Drift(at_s=DRIFT_S, tastes=0.0))
    first = first_bundle(small_world(), tmp_path / "first")
    trainer = {"light_every_s": 45.0, "weights_every_s": 1e6, "half_life_hours": 0.03}
    settings = Settings.of_dump(
        Settings().model_dump() | {"trainer": trainer, "gate": {"min_questions": 200, "min_users": 20}}
    )
    told: list[Outcome] = []
    kept: list[Event] = []
    shelf = FollowedBundles(settings, world, first, tmp_path / "work", END_MS, lambda _, outcome: told.append(outcome))
    control = BundleLists(first, settings, world)
    windows = [*with_trainer(world, Pace.of_rate(RATE, 300, think_s=0.5), MINUTES, shelf, control, END_MS, kept.append)]
    shelf.close()
    assert len(kept) == sum(window.events for window in windows) > 1000
    assert {outcome.kind for outcome in told} == {"light"}
    assert sum(outcome.passed for outcome in told) >= 2, [outcome.lines for outcome in told]
    last = windows[-6:]
    assert len({model for window in windows for model in window.models}) >= 3
    shown = sum(window.shown.expected for window in last)
    frozen = sum(window.frozen.expected for window in last if window.frozen is not None)
    assert shown > 1.3 * frozen
