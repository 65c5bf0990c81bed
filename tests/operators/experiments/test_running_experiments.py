"""Experiments that start and stop while lists are made."""

from itertools import permutations

import pytest

from operators.configuration.shop_settings import ExperimentSettings
from operators.experiments.assignment import IN_NONE, NO_ARM, NO_EXPERIMENT, NOT_CARRIED, Experiments, settled
from operators.experiments.effects import AS_SET, Effects
from operators.experiments.experiment_rows import ExperimentRecord
from operators.experiments.layers import Layers
from operators.experiments.plan import Arm, ExperimentPlan

USERS = [f"u{n}" for n in range(2000)]
OWN = ExperimentSettings(name="colours", arms={"control": 0.5, "red": 0.5})


def record(name: str, started_at: int = 0, stopped_at: int | None = None, **fields: object) -> ExperimentRecord:
    """An experiment whose arm `other` has the fields of `Arm`, in a layer of its own name if none is given."""
    of_plan = {field: fields.pop(field) for field in ("layer", "begin", "end", "salt") if field in fields}
    arms = (Arm(name="control", share=0.5), Arm(name="other", share=0.5, **fields))  # type: ignore[arg-type]
    plan = ExperimentPlan(name=name, arms=arms, **({"layer": name} | of_plan))  # type: ignore[arg-type]
    return ExperimentRecord(plan=plan, started_at=started_at, stopped_at=stopped_at)


def running(*records: ExperimentRecord, own: ExperimentSettings | None = None) -> Experiments:
    experiments = Experiments(own or ExperimentSettings())
    for one in records:
        experiments.changed(one.plan.name, one)
    return experiments


def names(experiments: Experiments) -> set[str]:
    return {plan.name for plan in experiments.plans}


def test_nobody_is_in_an_experiment_before_it_starts_and_after_it_stops() -> None:
    experiments = running()
    assert experiments.assigned("u1") is IN_NONE
    experiments.changed("sizes", record("sizes"))
    arms = {user: experiments.label(user) for user in USERS}
    assert {*arms.values()} == {"control", "other"}
    experiments.changed("sizes", record("sizes", stopped_at=9))
    assert experiments.assigned("u1") is IN_NONE and experiments.plans == ()
    again = running(record("sizes"))
    assert {user: again.label(user) for user in USERS} == arms, "another process"


def test_an_arm_says_what_it_changes_and_the_control_changes_nothing() -> None:
    experiments = running(record("sizes", list_size=40))
    found = {experiments.label(user): experiments.assigned(user).effects for user in USERS}
    assert found == {"control": AS_SET, "other": Effects(list_size=40)} and found["control"] is AS_SET


def test_arms_of_several_layers_add_up_and_the_list_names_the_one_that_changes_lists() -> None:
    experiments = running(record("a-banner"), record("mix", diversity=0.4), record("sizes", list_size=40))
    both = next(found for user in USERS if (found := experiments.assigned(user)).effects == Effects(0.4, 40))
    assert [experiment.name for experiment in both.experiments] == ["mix", "sizes", "a-banner"]
    assert experiments.of("u1") == experiments.assigned("u1").experiments[0]


def test_of_two_plans_that_cannot_run_together_the_later_one_is_refused_whatever_order_they_are_read_in() -> None:
    first, later = record("z", 5, layer="lists", end=0.5), record("b", 6, layer="lists", begin=0.4)
    effect, salt = record("y", 7, diversity=0.1), record("d", 8, diversity=0.2)
    same = record("e", 9, salt="z")
    for order in permutations((first, later, effect, salt, same)):
        experiments = running(*order)
        assert names(experiments) == {"z", "y"}
        assert experiments.refused == {"b": "overlapping_parts", "d": "effect_on_two_layers", "e": "same_salt"}


def test_at_one_time_the_name_decides() -> None:
    assert settled([], [record("z", layer="x"), record("y", layer="x")]).plans[0].name == "y"


def test_a_refused_plan_runs_once_the_other_has_ended() -> None:
    experiments = running(record("a", 5, layer="x"), record("b", 6, layer="x"))
    assert names(experiments) == {"a"}
    experiments.changed("a", record("a", 5, stopped_at=9, layer="x"))
    assert names(experiments) == {"b"} and experiments.refused == {}


@pytest.mark.parametrize("fields", [{"model": "next"}, {"exploration": 0.1}, {"rules": ("new-first",)}])
def test_an_effect_that_no_job_carries_is_refused(fields: dict[str, object]) -> None:
    experiments = running(record("a", **fields))
    assert experiments.plans == () and experiments.refused == {"a": NOT_CARRIED}


def test_the_settings_experiment_holds_the_default_layer() -> None:
    experiments = running(record("live", layer="default"), record("aside"), record("colours", 7), own=OWN)
    assert names(experiments) == {"colours", "aside"}
    assert experiments.refused == {"live": "overlapping_parts", "colours": "same_name"}
    assert [one.name for one in experiments.assigned("u1").experiments] == ["aside", "colours"]


def test_the_hold_out_is_in_no_experiment_that_of_the_settings_included() -> None:
    experiments = running(record("aside"), own=OWN.model_copy(update={"hold_out": 0.2}))
    held_out = [user for user in USERS if experiments.assigned(user) is IN_NONE]
    assert 0.15 < len(held_out) / len(USERS) < 0.25
    layers = Layers([], hold_out=0.2)
    assert held_out == [user for user in USERS if layers.is_held_out(user)], "the same users whatever runs"


def test_shares_are_those_of_the_running_arms() -> None:
    experiments = running(record("a"), record("b", stopped_at=1))
    assert experiments.shares == {("a", "control"): 0.5, ("a", "other"): 0.5, (NO_EXPERIMENT, NO_ARM): 1.0}


def test_a_record_that_leaves_the_topic_ends_its_experiment() -> None:
    experiments = running(record("a"))
    experiments.changed("a", None)
    experiments.changed("never-there", None)
    assert experiments.assigned("u1") is IN_NONE
