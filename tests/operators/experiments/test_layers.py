from collections import Counter
from math import nan

import pytest

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import SettingsError
from operators.experiments.assignment import Experiments
from operators.experiments.layers import Layers
from operators.experiments.plan import Arm, ExperimentPlan
from operators.experiments.statistics.sample_ratio import ALARM, chi_square_p

USERS = [f"u{n}" for n in range(20_000)]


def plan(
    name: str, layer: str = "default", begin: float = 0, end: float = 1, salt: str = "", **effects: object
) -> ExperimentPlan:
    arms = (Arm(name="control", share=0.5), Arm(name="treatment", share=0.5, **effects))  # type: ignore[arg-type]
    return ExperimentPlan(name=name, arms=arms, layer=layer, begin=begin, end=end, salt=salt)


def test_one_experiment_over_the_whole_layer_draws_as_the_settings_do() -> None:
    settings = ExperimentSettings(name="colours", arms={"control": 0.5, "treatment": 0.5})
    layers, experiments = Layers([plan("colours")]), Experiments(settings)
    assert all(layers.arms_of(user)["colours"].name == experiments.label(user) for user in USERS[:1000])


def test_experiments_of_one_layer_share_its_users() -> None:
    layers = Layers([plan("a", end=0.3), plan("b", begin=0.3, end=0.8)])
    found = Counter(tuple(layers.arms_of(user)) for user in USERS)
    assert found.keys() == {("a",), ("b",), ()}
    assert chi_square_p({"a": found[("a",)], "b": found[("b",)], "": found[()]}, {"a": 0.3, "b": 0.5, "": 0.2}) > ALARM


def test_layers_do_not_interact() -> None:
    layers = Layers([plan("a", "lists", diversity=0.5), plan("b", "models", model="next")])
    arms = [layers.arms_of(user) for user in USERS]
    pairs = Counter(f"{of_user['a'].name} {of_user['b'].name}" for of_user in arms)
    assert len(pairs) == 4
    assert chi_square_p(pairs, dict.fromkeys(pairs, 0.25)) > ALARM


def test_a_layer_of_an_experiments_name_does_not_sort_its_arms() -> None:
    layers = Layers([plan("a", layer="a", end=0.5)])
    arms = Counter(layers.arms_of(user)["a"].name for user in USERS if layers.arms_of(user))
    assert chi_square_p(arms, {"control": 0.5, "treatment": 0.5}) > ALARM


def test_a_wider_range_moves_nobody() -> None:
    narrow, wide = Layers([plan("a", end=0.1)]), Layers([plan("a", end=0.5)])
    before = {user: arms for user in USERS if (arms := narrow.arms_of(user))}
    assert before
    assert all(wide.arms_of(user) == arms for user, arms in before.items())


def test_the_hold_out_is_in_no_experiment() -> None:
    layers = Layers([plan("a", "lists"), plan("b", "models")], hold_out=0.1)
    held_out = [user for user in USERS if layers.is_held_out(user)]
    assert all(not layers.arms_of(user) for user in held_out)
    assert all(len(layers.arms_of(user)) == 2 for user in {*USERS} - {*held_out})
    assert chi_square_p({"held": len(held_out), "not": len(USERS) - len(held_out)}, {"held": 0.1, "not": 0.9}) > ALARM
    assert not any(Layers([]).is_held_out(user) for user in USERS)


@pytest.mark.parametrize("share", [nan, -0.1, 1.1])
def test_a_share_of_the_hold_out_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(SettingsError, match="shares of hold-out"):
        Layers([], hold_out=share)


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        ([plan("a", end=0.6), plan("b", begin=0.5)], "came a from 0 to 0.6 and b from 0.5 to 1"),
        ([plan("b"), plan("a", begin=0.2, end=0.3)], "layer default that do not overlap"),
        ([plan("a", "one"), plan("a", "two")], "a name that none has had; came a"),
        ([plan("old")], "a name that none has had; came old"),
        ([plan("a", "one"), plan("b", "two", salt="a")], "different salts; came a twice"),
        ([plan("a", "one", model="m"), plan("b", "two", model="n")], "model in the experiments of one layer"),
    ],
)
def test_experiments_that_would_disturb_each_other_are_refused(plans: list[ExperimentPlan], expected: str) -> None:
    with pytest.raises(SettingsError, match=r"Next: ") as error:
        Layers(plans, past_names=["old"])
    assert expected in str(error.value)
