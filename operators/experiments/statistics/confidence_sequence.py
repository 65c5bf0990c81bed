"""Intervals that hold at every look at once, however often one looks and whenever one stops.

The normal mixture of Robbins (1970), with an estimated variance: the asymptotic confidence sequence of Waudby-Smith,
Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (Annals of
Statistics 52, 2024; arXiv 2103.06476), theorem 2.2. Its p-value is the mixture SPRT of Johari, Koomen, Pekelis, Walsh,
"Always Valid Inference" (Operations Research 70, 2022). A nonasymptotic one (Howard, Ramdas, McAuliffe, Sekhon, Annals of
Statistics 49, 2021) needs a bound of a user's outcomes, which shops do not have.

The paper's clock is the number of observations. Here it is the information, 1 / variance of the estimate: users return,
so that an estimate becomes more exact while the number of users stays. For users with click probabilities of their own,
and independent clicks given those, cov(estimate then, estimate now) = variance now, which is a Brownian motion in that
clock.

An arm that nobody clicks has an estimated variance of 0 and knows nothing by itself. So a comparison asks both arms together
how many conversions an arm should have, and takes at least the variance that the arms have if their rates are equal.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from operators.experiments.statistics.moments import Floats, Moments, divided

MIN_USERS = 100  # effective ones of each arm: with fewer the normal limit says little
MIN_CONVERTERS = 20


def radius(variance: Floats, scale: Floats, alpha: float) -> Floats:
    """Half the width of the interval of miscoverage `alpha` over all looks.

    `variance`: of the estimate now. `scale`: the size of effect that the interval is narrowest for, in the estimate's
    unit; any positive one is valid, and it may not depend on the differences seen. Infinite where either is 0.
    """
    looks = divided(scale * scale, variance)
    with np.errstate(divide="ignore"):
        spread = variance * (1 + divided(np.ones_like(looks), looks)) * 2 * np.log(np.sqrt(1 + looks) / alpha)
    return np.where(looks > 0, np.sqrt(spread), np.inf)


def always_valid_p(estimate: Floats, variance: Floats, scale: Floats) -> Floats:
    """The smallest `alpha` whose interval leaves out 0; at most 1."""
    looks = divided(scale * scale, variance)
    squared = divided(estimate * estimate, variance)
    p: Floats = np.minimum(1.0, np.sqrt(1 + looks) * np.exp(-squared * looks / (1 + looks) / 2))
    return p


def has_enough(moments: Moments) -> npt.NDArray[np.bool_]:
    """Whether an arm has enough users and conversions for an interval of its own rate."""
    return (moments.effective_users >= MIN_USERS) & (moments.effective_converters >= MIN_CONVERTERS)


def can_compare(control: Moments, treatment: Moments) -> npt.NDArray[np.bool_]:
    """Whether each arm has enough users, and would have enough conversions at the rate of both together. An arm that has none
    although it should have them is a finding."""
    both = control.together(treatment)
    expected = both.effective_converters * divided(np.minimum(control.x, treatment.x), both.x)
    users = np.minimum(control.effective_users, treatment.effective_users)
    return (users >= MIN_USERS) & (expected >= MIN_CONVERTERS)


def variance_if_equal(control: Moments, treatment: Moments) -> Floats:
    """Of the difference of rates if both arms have the rate of both together, and a shown item the same variance in each."""
    both = control.together(treatment)
    of_item = both.variance * both.x
    return divided(of_item, control.x) + divided(of_item, treatment.x)


@dataclass(frozen=True)
class Sequence:
    """Estimates with their intervals, an element for each look. Without enough users the interval holds everything."""

    estimate: Floats
    low: Floats
    high: Floats
    p: Floats

    @property
    def excludes_zero(self) -> npt.NDArray[np.bool_]:
        """Whether the interval leaves out 0."""
        return (self.low > 0) | (self.high < 0)


def sequence(
    estimate: Floats,
    variance: Floats,
    scale: Floats,
    alpha: float,
    limits: tuple[float, float],
    enough: npt.NDArray[np.bool_],
) -> Sequence:
    """`limits`: the least and greatest value that the estimate can have; the interval does not pass them."""
    half = np.where(enough, radius(variance, scale, alpha), np.inf)
    p = np.where(enough, always_valid_p(estimate, variance, scale), 1.0)
    return Sequence(estimate, np.maximum(limits[0], estimate - half), np.minimum(limits[1], estimate + half), p)


def rate_sequence(arm: Moments, lift: float, alpha: float) -> Sequence:
    """The arm's rate. `lift`: the relative difference that the interval is narrowest for."""
    return sequence(arm.rate, arm.variance, lift * arm.rate, alpha, (0.0, 1.0), has_enough(arm))


def difference_sequence(control: Moments, treatment: Moments, lift: float, alpha: float) -> Sequence:
    """The treatment's rate minus the control's."""
    return sequence(
        treatment.rate - control.rate,
        np.maximum(treatment.variance + control.variance, variance_if_equal(control, treatment)),
        effect_scale(control, treatment, lift),
        alpha,
        (-1.0, 1.0),
        can_compare(control, treatment),
    )


def effect_scale(control: Moments, treatment: Moments, lift: float) -> Floats:
    """The difference of rates that is `lift` of the rate of both arms together."""
    return lift * divided(control.y + treatment.y, control.x + treatment.x)
