from math import inf, nan
from typing import Any

import pytest

from operators.errors import SettingsError
from operators.experiments.plan import EFFECTS, Arm, ExperimentPlan, read_plan

HALVES = [{"name": "control", "share": 0.5}, {"name": "treatment", "share": 0.5, "diversity": 0.3}]


def test_a_plan_is_read_with_its_defaults() -> None:
    plan = read_plan({"name": "ranker", "arms": HALVES})
    assert (plan.layer, plan.begin, plan.end, plan.metric, plan.control_arm) == ("default", 0, 1, "click", "control")
    assert plan.key == b"ranker"
    assert plan.arm("treatment").effects == ("diversity",)
    assert plan.shares == {"control": 0.5, "treatment": 0.5}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"arms": [{"name": "a", "share": 1.2}, {"name": "b", "share": 0.1}]}, "share of arm a from 0 to 1; came 1.2"),
        ({"arms": [{"name": "a", "share": -0.2}, {"name": "b", "share": 1}]}, "share of arm a from 0 to 1; came -0.2"),
        ({"arms": [{"name": "a", "share": nan}, {"name": "b", "share": 1}]}, "share of arm a from 0 to 1; came nan"),
        ({"arms": [{"name": "a", "share": 0.8}, {"name": "b", "share": 0.8}]}, "add up to 1"),
        ({"arms": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}, "different names"),
        ({"arms": [{"name": "a", "share": 1}]}, "two or more arms"),
        ({"arms": [{"name": "a", "share": "half"}, {"name": "b", "share": 0.5}]}, "share"),
        ({"arms": [{"name": "a b", "share": 0.5}, {"name": "b", "share": 0.5}]}, "a name of an arm"),
        ({"arms": [{"name": "a", "share": 0.5, "colour": "red"}, {"name": "b", "share": 0.5}]}, "colour"),
        ({"arms": [{"name": "a", "share": 0.5, "list_size": 0}, {"name": "b", "share": 0.5}]}, "list_size of arm a"),
        (
            {"arms": [{"name": "a", "share": 0.5, "exploration": 2}, {"name": "b", "share": 0.5}]},
            "exploration of arm a",
        ),
        ({"arms": [{"name": "a", "share": 0.5, "diversity": nan}, {"name": "b", "share": 0.5}]}, "diversity of arm a"),
        ({"arms": [{"name": "a", "share": 0.5, "model": " "}, {"name": "b", "share": 0.5}]}, "arm a; came an empty"),
        ({"control": "other"}, "an arm of ranker: control, treatment; came other"),
        ({"begin": 0.5, "end": 0.5}, "begin below end"),
        ({"begin": nan}, "begin below end"),
        ({"end": 1.5}, "begin below end"),
        ({"expected_lift": 0}, "expected_lift above 0"),
        ({"expected_lift": inf}, "expected_lift above 0"),
        ({"expected_lift": 1e200}, "expected_lift above 0, at most 1000"),
        ({"expected_lift": nan}, "expected_lift above 0"),
        ({"name": ""}, "a name of an experiment"),
        ({"layer": "a\nb"}, "a name of a layer"),
        ({"metric": "view"}, "view"),
        ({"salted": "x"}, "salted"),
    ],
)
def test_what_cannot_run_is_refused_with_what_was_expected(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingsError, match=r"expected .*; came .*\. Next: .*\.") as error:
        read_plan({"name": "ranker", "arms": HALVES} | change)
    assert expected in str(error.value)


def test_an_effect_that_the_job_does_not_carry_is_refused() -> None:
    plan = read_plan({"name": "ranker", "arms": HALVES})
    plan.refuse_effects_beyond(("diversity", "model"))
    with pytest.raises(SettingsError, match="came diversity in treatment"):
        plan.refuse_effects_beyond(("model",))


def test_the_effects_are_the_fields_of_an_arm() -> None:
    arm = Arm(name="a", share=1, model="m", diversity=0.1, rules=("r",), exploration=0.1, list_size=10)
    assert arm.effects == EFFECTS == tuple(name for name in Arm.__struct_fields__ if name not in ("name", "share"))


def test_no_plan_is_made_past_its_checks() -> None:
    with pytest.raises(SettingsError, match="add up to 1"):
        ExperimentPlan(name="x", arms=(Arm(name="a", share=0.5), Arm(name="b", share=0.4)))
