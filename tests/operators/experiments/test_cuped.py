import re
from math import inf, nan

import numpy as np
import pytest

from operators.errors import LiveshelfError
from operators.experiments.cuped import adjusted_difference
from operators.experiments.outcomes import Sample
from operators.experiments.statistics.moments import Moments


def sample(prefix: str, users: int, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    shown = 1.0 + rng.poisson(5, users)
    return Sample(
        tuple(f"{prefix}{n}" for n in range(users)), shown, rng.binomial(shown.astype(int), 0.2).astype(float)
    )


CONTROL, TREATMENT = sample("c", 300, 1), sample("t", 200, 2)


@pytest.mark.parametrize("history", [{}, dict.fromkeys((*CONTROL.user_ids, *TREATMENT.user_ids), 3.0)])
def test_a_history_that_says_nothing_changes_nothing(history: dict[str, float]) -> None:
    control, treatment = (Moments.of(of_arm.shown, of_arm.converted) for of_arm in (CONTROL, TREATMENT))
    estimate, variance = adjusted_difference(CONTROL, TREATMENT, history)
    assert np.isclose(estimate, treatment.rate - control.rate)
    assert np.isclose(variance, treatment.variance + control.variance)


@pytest.mark.parametrize("value", [nan, inf, 1e200])
def test_history_that_no_sum_can_hold_is_refused(value: float) -> None:
    with pytest.raises(
        LiveshelfError, match=re.escape(f"numbers of users' history from -1e+12 to 1e+12; came {value}")
    ):
        adjusted_difference(CONTROL, TREATMENT, {"c1": value})


def test_arms_without_users_have_no_difference() -> None:
    nobody = Sample((), np.zeros(0), np.zeros(0))
    assert adjusted_difference(nobody, TREATMENT, {}) == (0.0, 0.0)
    assert adjusted_difference(nobody, nobody, {"u1": 1.0}) == (0.0, 0.0)
