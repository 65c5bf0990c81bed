from collections import Counter
from math import inf, nan

import pytest

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import SettingsError
from operators.experiments.assignment import NO_ARM, Experiments
from operators.experiments.draws import arm_at, draw
from operators.records.contracts import Experiment

HALVES = ExperimentSettings(name="colours", arms={"control": 0.5, "treatment": 0.5})
USERS = [f"u{n}" for n in range(20_000)]


def test_without_an_experiment_there_is_no_arm() -> None:
    assert Experiments(ExperimentSettings()).of("u1") is None
    assert Experiments(ExperimentSettings()).label("u1") == NO_ARM


def test_arms_have_their_shares() -> None:
    experiments = Experiments(ExperimentSettings(name="x", arms={"a": 0.1, "b": 0.9}))
    drawn = Counter(experiments.label(user) for user in USERS)
    assert abs(drawn["a"] / len(USERS) - 0.1) < 0.01


def test_arms_stay_across_restarts_and_releases() -> None:
    experiments = Experiments(HALVES)
    assert {user: experiments.label(user) for user in ("u1", "u2", "u3", "ü", "anna@shop.example")} == {
        "u1": "control",
        "u2": "treatment",
        "u3": "treatment",
        "ü": "control",
        "anna@shop.example": "treatment",
    }


def test_another_name_draws_anew() -> None:
    first, other = Experiments(HALVES), Experiments(HALVES.model_copy(update={"name": "sizes"}))
    same = sum(first.label(user) == other.label(user) for user in USERS)
    assert abs(same / len(USERS) - 0.5) < 0.02
    assert first.of("u1") == Experiment("colours", first.label("u1"))


@pytest.mark.parametrize(
    "arms",
    [{"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": nan, "b": 0.5}, {"a": nan}, {"a": inf, "b": -inf}, {"a": 0.9, "b": 0.2}],
)
def test_shares_that_are_none_are_refused(arms: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=r"expected shares.*add up to 1; came .* Next: correct"):
        Experiments(ExperimentSettings(name="x", arms=arms))


@pytest.mark.parametrize("settings", [ExperimentSettings(name="x"), ExperimentSettings(arms={"a": 0.5, "b": 0.5})])
def test_a_name_without_arms_and_arms_without_a_name_are_refused(settings: ExperimentSettings) -> None:
    with pytest.raises(SettingsError, match="both or none"):
        Experiments(settings)


def test_a_draw_is_below_1_and_an_arm_without_share_is_never_drawn() -> None:
    assert all(0 <= draw(b"key", user) < 1 for user in USERS)
    thirds = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3, "paused": 0.0}
    assert arm_at(1 - 2**-53, thirds) == "c"
    assert arm_at(0.0, {"paused": 0.0, "a": 1.0}) == "a"
