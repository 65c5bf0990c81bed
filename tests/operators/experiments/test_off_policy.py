from math import inf, nan

import numpy as np
import pytest

from operators.errors import LiveshelfError
from operators.experiments.off_policy import Choices, choices_of, doubly_robust, ips, snips
from tests.operators.experiments.shown_items import Shown, shown

rng = np.random.default_rng(8)
USERS = np.repeat(np.arange(400), 5)
LOGGED = rng.choice([0.2, 0.5], len(USERS))
REWARD = (rng.random(len(USERS)) < 0.3).astype(float)


def choices(target: np.ndarray | None = None, **changes: np.ndarray) -> Choices:
    fields = {"users": USERS, "logged": LOGGED, "target": LOGGED if target is None else target, "reward": REWARD}
    return Choices(**(fields | changes))  # type: ignore[arg-type]


def test_the_policy_that_ran_earns_what_it_earned() -> None:
    for value in (ips(choices()), snips(choices()), doubly_robust(choices(), REWARD * 0, REWARD * 0)):
        assert np.isclose(value.estimate, REWARD.mean())
        assert value.interval[0] < value.estimate < value.interval[1]
        assert (value.choices, value.users, value.left_out) == (2000, 400, 0)
        assert (value.mean_weight, value.clipped_share, value.cautions) == (1, 0, ())
        assert np.isclose(value.effective_choices, 2000)


def test_the_weighted_values_are_those_made_by_hand() -> None:
    three = Choices(np.arange(3), np.array([0.5, 0.25, 1.0]), np.array([0.5, 0.5, 0.5]), np.array([1.0, 1.0, 0.0]))
    assert np.isclose(ips(three).estimate, (1 + 2) / 3)
    assert np.isclose(snips(three).estimate, (1 + 2) / 3.5)
    predicted, predicted_target = np.array([0.5, 0.5, 0.5]), np.array([0.4, 0.5, 0.6])
    by_hand = (0.4 + 1 * 0.5 + 0.5 + 2 * 0.5 + 0.6 - 0.5 * 0.5) / 3
    assert np.isclose(doubly_robust(three, predicted, predicted_target).estimate, by_hand)


def test_doubly_robust_is_right_with_either_part() -> None:
    target = np.where(LOGGED == 0.5, 0.8, 0.1)
    without_predictions = doubly_robust(choices(target), REWARD * 0, REWARD * 0)
    assert np.isclose(without_predictions.estimate, ips(choices(target)).estimate)
    expected = np.full(len(USERS), 0.3)
    wrong_propensities = choices(target, logged=np.minimum(1.0, 1.9 * LOGGED), reward=expected)
    assert np.isclose(doubly_robust(wrong_propensities, expected, expected).estimate, 0.3)
    assert abs(ips(wrong_propensities).estimate - 0.3) > 0.03


def test_clipping_is_said() -> None:
    target = np.where(np.arange(len(USERS)) % 20 == 0, 1.0, LOGGED)
    value = snips(choices(target), max_weight=1.5)
    assert np.isclose(value.clipped_share, (target / LOGGED > 1.5).mean())
    assert any("5.0% of the weights are clipped" in caution for caution in value.cautions)


def test_a_policy_that_shows_what_never_was_shown_is_said() -> None:
    (caution,) = ips(choices(LOGGED * 0.6)).cautions
    assert "mean weight is 0.60, not 1" in caution


def test_a_few_users_with_most_of_the_weight_are_said() -> None:
    target = np.where(USERS < 20, 1.0, 0.001)
    assert any("users only" in caution for caution in snips(choices(target)).cautions)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("logged", 0.0, "a logged propensity above 0, at most 1; came 0 in choice 7, 1 in all"),
        ("logged", nan, "a logged propensity above 0, at most 1; came nan"),
        ("logged", 1.5, "a logged propensity above 0"),
        ("target", -0.1, "a target probability from 0 to 1"),
        ("target", nan, "a target probability from 0 to 1"),
        ("reward", inf, "a finite reward"),
    ],
)
def test_a_choice_without_a_weight_is_refused(field: str, value: float, expected: str) -> None:
    values = {"logged": LOGGED, "target": LOGGED, "reward": REWARD}[field].copy()
    values[7] = value
    with pytest.raises(LiveshelfError) as error:
        choices(**{field: values})
    assert expected in str(error.value)


def test_predictions_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(LiveshelfError, match="finite predictions"):
        doubly_robust(choices(), REWARD * nan, REWARD)


def test_examples_that_are_no_choices_are_left_out_and_counted() -> None:
    drawn = [shown("u1", "click", propensity=0.5), shown("u1", propensity=0.25)]
    examples = [*drawn, shown("u2"), shown("u3", "click", propensity=0.5, shown_at=None)]
    found = choices_of(examples, lambda _: 0.5, lambda example: float(example.label == "click"))
    assert found.users.tolist() == [0, 0]
    assert found.logged.tolist() == [0.5, 0.25]
    assert found.reward.tolist() == [1, 0]
    assert found.left_out == snips(found).left_out == 2


@pytest.mark.parametrize("examples", [[], [shown("u1")]])
def test_no_choices_are_refused(examples: list[Shown]) -> None:
    with pytest.raises(LiveshelfError, match="choices with a propensity; came none"):
        choices_of(examples, lambda _: 0.5, lambda _: 0.0)
