import json
from dataclasses import asdict

import pytest

from operators.experiments.plan import Arm, ExperimentPlan
from operators.experiments.report import report, report_over_time
from tests.operators.experiments.shown_items import HALVES, shown, shown_in

BETTER = [*shown_in("control", 400, 10, 1), *shown_in("treatment", 410, 10, 3)]
EQUAL = [*shown_in("control", 400, 10, 1), *shown_in("treatment", 400, 10, 1)]


def test_the_report_has_n_conversions_rate_and_interval_of_each_arm() -> None:
    found = json.loads(json.dumps(asdict(report(BETTER, HALVES))))
    assert list(found["arms"]) == ["control", "treatment"]
    control = found["arms"]["control"]
    assert (control["users"], control["n"], control["conversions"], control["clicks"]) == (400, 4000, 600, 600)
    assert control["rate"] == control["conversions"] / control["n"]
    low, high = control["interval"]
    assert 0.1 < low < control["rate"] < high < 0.2
    assert control["difference"] is None
    assert (found["metric"], found["control"], found["level"], found["left_out"]) == ("click", "control", 0.95, {})


def test_the_report_says_of_each_arm_whether_its_click_probabilities_came_true() -> None:
    right = [shown(f"u{n}", "click" if n % 4 == 0 else "none", p_click=0.25) for n in range(400)]
    wrong = [shown(f"t{n}", "purchase" if n % 4 == 0 else "none", "treatment", p_click=0.75) for n in range(400)]
    without = [shown(f"t{n}", "click", "treatment") for n in range(400)]
    arms = json.loads(json.dumps(asdict(report([*right, *wrong, *without], HALVES))))["arms"]
    control, treatment = arms["control"]["p_click"], arms["treatment"]["p_click"]
    assert (control["predicted"], control["happened"]) == (0.25, 0.25) and control["ece"] < 0.1
    assert (treatment["predicted"], treatment["happened"]) == (0.75, 0.25)
    assert sum(each["count"] for each in treatment["bins"]) == 400
    assert report(BETTER, HALVES).arms["control"].p_click is None


def test_a_better_arm_is_called_better() -> None:
    found = report(BETTER, HALVES)
    difference = found.arms["treatment"].difference
    assert difference is not None
    assert difference.interval[0] > 0
    assert difference.estimate == pytest.approx(0.2)
    assert difference.lift == pytest.approx(0.2 / 0.15)
    assert found.verdict.startswith("treatment is better than control: +")


def test_a_worse_arm_is_called_worse() -> None:
    plan = ExperimentPlan(name=HALVES.name, arms=HALVES.arms, control="treatment")
    found = report(BETTER, plan)
    assert found.verdict.startswith("control is worse than treatment: -")
    assert found.arms["treatment"].difference is None


def test_equal_arms_show_no_difference() -> None:
    assert "no difference from control is shown so far, -" in report(EQUAL, HALVES).verdict


def test_few_users_are_too_early_and_every_interval_holds_everything() -> None:
    for examples in (
        [],
        shown_in("control", 50, 10, 1),
        [*shown_in("control", 400, 10, 1), *shown_in("treatment", 60, 10, 3)],
    ):
        found = report(examples, HALVES)
        treatment = found.arms["treatment"]
        assert treatment.interval == (0, 1)
        assert treatment.difference is not None
        assert treatment.difference.too_early
        assert (treatment.difference.interval, treatment.difference.p) == ((-1, 1), 1)
    assert "too early" in report([], HALVES).verdict


def test_arms_without_their_shares_of_users_are_not_compared() -> None:
    found = report([*shown_in("control", 400, 10, 1), *shown_in("treatment", 250, 10, 3)], HALVES)
    assert found.sample_ratio_p < found.sample_ratio_p_watched < 0.001
    assert found.verdict.startswith("do not trust this: ")
    assert "control 400, treatment 250" in found.verdict
    assert report(EQUAL, HALVES).sample_ratio_p == 1


def test_more_arms_need_more_evidence_each() -> None:
    names = ("control", "treatment", "third")
    three = ExperimentPlan(name="ranker", arms=tuple(Arm(name=name, share=1 / 3) for name in names))
    found = report([*EQUAL, *shown_in("third", 390, 10, 1)], three)
    alone = report(EQUAL, HALVES).arms["treatment"].difference
    among = found.arms["treatment"].difference
    assert alone and among
    assert among.interval[1] - among.interval[0] > alone.interval[1] - alone.interval[0]
    assert among.p == alone.p
    assert found.verdict.count(";") == 1


def test_left_out_examples_are_counted_with_their_reason() -> None:
    odd = [shown("u1", organic=True), shown("u2", arm="blue"), shown("u3", "click", shown_at=None)]
    assert report([*EQUAL, *odd], HALVES).left_out == {"organic": 1, "unknown_arm": 1, "no_impression": 1}


def test_history_narrows_the_difference() -> None:
    history = {f"{arm}{n}": float(n % 2) for arm in ("control", "treatment") for n in range(400)}
    plain, adjusted = (report(EQUAL, HALVES, history=known).arms["treatment"].difference for known in (None, history))
    assert plain and adjusted
    assert adjusted.adjusted and not plain.adjusted
    assert adjusted.interval[1] - adjusted.interval[0] < 0.5 * (plain.interval[1] - plain.interval[0])


@pytest.mark.parametrize("with_history", [False, True], ids=["plain", "adjusted"])
def test_an_arm_that_nobody_clicks_is_worse(with_history: bool) -> None:
    examples = [*shown_in("control", 400, 10, 1), *shown_in("treatment", 400, 10, -1)]
    history = {f"{arm}{n}": float(n % 3) for arm in ("control", "treatment") for n in range(400)}
    found = report(examples, HALVES, history=history if with_history else None)
    treatment = found.arms["treatment"]
    assert treatment.conversions == 0 and treatment.difference is not None
    assert treatment.difference.interval[1] < 0 and not treatment.difference.too_early
    assert "treatment is worse than control" in found.verdict


def test_the_last_look_is_the_report() -> None:
    examples = [
        shown(f"u{n}", "click" if n % 3 == 0 else "none", ("control", "treatment")[n % 2], shown_at=n)
        for n in range(2000)
    ]
    looks = report_over_time(examples[::-1], HALVES, looks=7)
    assert len(looks) == 7
    assert looks[-1] == report(examples, HALVES)
    history = {f"u{n}": float(n % 5) for n in range(2000)}
    adjusted = report_over_time(examples, HALVES, history=history, looks=7)
    assert adjusted[-1] == report(examples, HALVES, history=history) != looks[-1]
    users = [sum(arm.users for arm in look.arms.values()) for look in looks]
    assert users == sorted(users)
    assert report_over_time([], HALVES) == []
    assert len(report_over_time(examples[:3], HALVES, looks=50)) == 3
