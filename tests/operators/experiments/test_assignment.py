from collections import Counter

import pytest

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import SettingsError
from operators.experiments.assignment import NO_ARM, Experiments
from operators.records.contracts import Experiment

HALVES = ExperimentSettings(name="colours", arms={"control": 0.5, "treatment": 0.5})
USERS = [f"u{n}" for n in range(20_000)]


def test_without_an_experiment_there_is_no_arm() -> None:
    assert Experiments(ExperimentSettings()).of("u1") is None
    assert Experiments(ExperimentSettings()).label("u1") == NO_ARM


def test_arms_are_sticky_and_have_their_shares() -> None:
    experiments = Experiments(ExperimentSettings(name="x", arms={"a": 0.1, "b": 0.9}))
    drawn = Counter(experiments.label(user) for user in USERS)
    assert abs(drawn["a"] / len(USERS) - 0.1) < 0.01
    assert all(experiments.of(user) == Experiments(ExperimentSettings(name="x", arms={"a": 0.1, "b": 0.9})).of(user) for user in USERS[:50])  # fmt: skip


def test_another_name_draws_anew() -> None:
    first, other = Experiments(HALVES), Experiments(HALVES.model_copy(update={"name": "sizes"}))
    same = sum(first.label(user) == other.label(user) for user in USERS)
    assert abs(same / len(USERS) - 0.5) < 0.02
    assert first.of("u1") == Experiment("colours", first.label("u1"))


@pytest.mark.parametrize("arms", [{"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_that_are_none_are_refused(arms: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="add up to 1"):
        Experiments(ExperimentSettings(name="x", arms=arms))
