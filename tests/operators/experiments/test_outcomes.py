import pytest

from operators.errors import LiveshelfError
from operators.experiments.outcomes import ArmCounts, Outcomes
from operators.experiments.plan import ExperimentPlan
from tests.operators.experiments.shown_items import HALVES, Shown, shown


def test_a_shown_item_counts_once_by_its_best_outcome() -> None:
    labels = ("none", "none", "click", "add_to_cart", "add_to_cart", "purchase")
    outcomes = Outcomes(HALVES).add_all([shown("u1", label) for label in labels])
    assert outcomes.counts() == {
        "control": ArmCounts(users=1, impressions=6, clicks=1, carts=2, purchases=1),
        "treatment": ArmCounts(users=0, impressions=0, clicks=0, carts=0, purchases=0),
    }


@pytest.mark.parametrize(("metric", "conversions"), [("click", 3), ("add_to_cart", 2), ("purchase", 1)])
def test_a_better_outcome_is_a_conversion_too(metric: str, conversions: int) -> None:
    plan = ExperimentPlan(name=HALVES.name, arms=HALVES.arms, metric=metric)  # type: ignore[arg-type]
    items = [shown("u1", label) for label in ("none", "click", "add_to_cart", "purchase")]
    sample = Outcomes(plan).add_all([*items, shown("u2")]).samples()["control"]
    assert sample.user_ids == ("u1", "u2")
    assert sample.shown.tolist() == [4, 1]
    assert sample.converted.tolist() == [conversions, 0]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (shown("u1", organic=True), "organic"),
        (shown("u1", arm=None), "other_experiment"),
        (shown("u1", experiment="colours"), "other_experiment"),
        (shown("u1", arm="blue"), "unknown_arm"),
        (shown("u1", "click", shown_at=None), "no_impression"),
    ],
)
def test_what_belongs_to_no_arm_is_left_out_with_its_reason(example: Shown, reason: str) -> None:
    outcomes = Outcomes(HALVES).add_all([example])
    assert outcomes.left_out == {reason: 1}
    assert all(counts.users == counts.impressions == 0 for counts in outcomes.counts().values())


def test_a_user_with_two_arms_is_in_none() -> None:
    examples = [shown("u1"), shown("u1", "click"), shown("u2"), shown("u1", arm="treatment"), shown("u1")]
    outcomes = Outcomes(HALVES).add_all(examples)
    assert outcomes.left_out == {"several_arms": 4}
    assert {arm: counts.users for arm, counts in outcomes.counts().items()} == {"control": 1, "treatment": 0}


def test_an_id_that_comes_twice_is_refused() -> None:
    example = shown("u1")
    with pytest.raises(LiveshelfError, match=r"final examples, each id once; came .* highest revision"):
        Outcomes(HALVES).add_all([example, example])


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(LiveshelfError, match="a label of none, click, add_to_cart, purchase; came seen"):
        Outcomes(HALVES).add(shown("u1", "seen"))
