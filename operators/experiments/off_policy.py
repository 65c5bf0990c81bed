"""What another policy would have earned, from choices whose propensities were logged: before an arm goes live.

A choice is an item at a place of a list. IPS: Horvitz and Thompson (1952). SNIPS: Swaminathan and Joachims, "The
Self-Normalized Estimator for Counterfactual Learning" (NeurIPS 2015). Doubly robust: Dudík, Langford, Li, "Doubly Robust
Policy Evaluation and Learning" (ICML 2011). A user's choices are not independent: each value is a ratio of sums over users
with the variance of `Moments`. The intervals are for one look, not for watching.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from operators.errors import LiveshelfError
from operators.experiments.outcomes import ShownItem
from operators.experiments.statistics.moments import Floats, Moments

FEW_USERS = 100  # effective ones
MANY_CLIPPED = 0.01  # of the choices


@dataclass(frozen=True)
class Choices:
    """Logged choices, arrays of [choices].

    `logged`, `target`: the probabilities with which the policy that ran and the other one show the item there. `reward`:
    what came of it. `left_out`: examples that are no choices.
    """

    users: npt.NDArray[np.int64]  # a number for each user, from 0
    logged: Floats
    target: Floats
    reward: Floats
    left_out: int = 0

    def __post_init__(self) -> None:
        """Raises `LiveshelfError` for probabilities that are none, for rewards that are not finite, and without choices."""
        if not len(self.users):
            raise LiveshelfError("choices with a propensity", "none", "log propensities: turn exploration on")
        for name, values, is_valid in (
            ("a logged propensity above 0, at most 1", self.logged, (self.logged > 0) & (self.logged <= 1)),
            ("a target probability from 0 to 1", self.target, (self.target >= 0) & (self.target <= 1)),
            ("a finite reward", self.reward, np.isfinite(self.reward)),
        ):
            if not is_valid.all():
                came = f"{values[~is_valid][0]:g} in choice {int(np.argmin(is_valid))}, {int((~is_valid).sum())} in all"
                raise LiveshelfError(name, came, "repair what logs it: such a choice has no weight")


@dataclass(frozen=True)
class PolicyValue:
    """The mean reward of a choice under the other policy, with an interval for one look. `cautions`: why not to trust it.

    `mean_weight` is 1 where the policy that ran could show all that the other one shows. `effective_choices`: as many
    choices of the other policy itself would be as exact (Kish).
    """

    estimate: float
    interval: tuple[float, float]
    choices: int
    left_out: int
    users: int
    effective_choices: float
    mean_weight: float
    clipped_share: float
    cautions: tuple[str, ...]


def choices_of(
    examples: Iterable[ShownItem], target: Callable[[ShownItem], float], reward: Callable[[ShownItem], float]
) -> Choices:
    """Choices from final examples. Those without a propensity or an impression are left out and counted. Raises as
    `Choices` does."""
    codes: dict[str, int] = {}
    rows, left_out = [], 0
    for example in examples:
        if example.propensity is None or example.shown_at is None or example.organic:
            left_out += 1
            continue
        user = codes.setdefault(example.user_id, len(codes))
        rows.append((user, example.propensity, target(example), reward(example)))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Choices(columns[0].astype(np.int64), columns[1], columns[2], columns[3], left_out)


def ips(choices: Choices, max_weight: float = np.inf, level: float = 0.95) -> PolicyValue:
    """Inverse propensity score: without bias while nothing is clipped, and with the greatest variance."""
    weights = np.minimum(choices.target / choices.logged, max_weight)
    return _value(choices, np.ones_like(weights), weights * choices.reward, max_weight, level)


def snips(choices: Choices, max_weight: float = np.inf, level: float = 0.95) -> PolicyValue:
    """Self-normalised: by the sum of the weights instead of their number. A little bias, far less variance."""
    weights = np.minimum(choices.target / choices.logged, max_weight)
    return _value(choices, weights, weights * choices.reward, max_weight, level)


def doubly_robust(
    choices: Choices, predicted: Floats, predicted_target: Floats, max_weight: float = np.inf, level: float = 0.95
) -> PolicyValue:
    """A prediction of the reward, corrected by the weighted errors: right where either predictions or propensities are.

    `predicted` [choices]: of the item that was shown. `predicted_target` [choices]: the mean over the items of the place,
    by the other policy's probabilities. The predictor may not have learned from these users: else the interval is too
    narrow.
    """
    weights = np.minimum(choices.target / choices.logged, max_weight)
    corrected = predicted_target + weights * (choices.reward - predicted)
    return _value(choices, np.ones_like(weights), corrected, max_weight, level)


def _value(choices: Choices, below: Floats, above: Floats, max_weight: float, level: float) -> PolicyValue:
    if not np.isfinite(above).all():
        raise LiveshelfError("finite predictions", "NaN or infinity", "repair the predictor")
    unclipped = choices.target / choices.logged
    weights = np.minimum(unclipped, max_weight)
    moments = Moments.of(_by_user(choices, below), _by_user(choices, above))
    estimate, deviation = float(moments.rate), float(np.sqrt(moments.variance))
    half = NormalDist().inv_cdf((1 + level) / 2) * deviation
    user_weights = _by_user(choices, weights)
    of_weights = Moments.of(_by_user(choices, np.ones_like(weights)), user_weights)
    clipped_share = float((unclipped > max_weight).mean())
    return PolicyValue(
        estimate,
        (estimate - half, estimate + half),
        choices=len(weights),
        left_out=choices.left_out,
        users=len(user_weights),
        effective_choices=_effective(weights),
        mean_weight=float(of_weights.rate),
        clipped_share=clipped_share,
        cautions=_cautions(of_weights, _effective(user_weights), clipped_share),
    )


def _by_user(choices: Choices, values: Floats) -> Floats:
    _, codes = np.unique(choices.users, return_inverse=True)
    return np.bincount(codes, values).astype(np.float64)


def _effective(weights: Floats) -> float:
    squares = float((weights * weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _cautions(weights: Moments, effective_users: float, clipped_share: float) -> tuple[str, ...]:
    mean, deviation = float(weights.rate), float(np.sqrt(weights.variance))
    cautions = []
    if effective_users < FEW_USERS:
        cautions.append(f"as exact as {effective_users:.0f} users only: the interval may be too narrow")
    if clipped_share > MANY_CLIPPED:
        cautions.append(f"{clipped_share:.1%} of the weights are clipped: the estimate leans to the policy that ran")
    if not clipped_share and abs(mean - 1) > 4 * deviation + 1e-9:
        cautions.append(
            f"the mean weight is {mean:.2f}, not 1: propensities are wrong, or the other policy shows what never was shown"
        )
    return tuple(cautions)
