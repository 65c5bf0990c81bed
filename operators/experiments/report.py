"""The report on an experiment: counts, rates and differences by arm, and a verdict in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from operators.experiments.calibration import Reliability
from operators.experiments.cuped import adjusted_difference
from operators.experiments.outcomes import ArmCounts, Outcomes, Sample, ShownItem
from operators.experiments.plan import ExperimentPlan
from operators.experiments.statistics import sample_ratio
from operators.experiments.statistics.confidence_sequence import (
    MIN_CONVERTERS,
    MIN_USERS,
    can_compare,
    difference_sequence,
    effect_scale,
    has_enough,
    rate_sequence,
    sequence,
    variance_if_equal,
)
from operators.experiments.statistics.moments import Moments

Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """An arm's rate minus the control's. `interval` and `p` hold however often one looks, for all arms at once.

    `lift` is the difference relative to the control's rate, None where that is 0. `adjusted`: by the users' history.
    `too_early`: an arm has too few users, and the interval is -1 to 1.
    """

    estimate: float
    interval: Interval
    p: float
    lift: float | None
    adjusted: bool
    too_early: bool


@dataclass(frozen=True)
class ArmReport:
    """`n` shown items of `users` users, `conversions` of them as good as the plan's metric or better, `rate` of both.

    `interval` of the rate holds however often one looks; it is 0 to 1 while the arm has too few users. Clicks, carts and
    purchases count shown items by their best outcome: their sum is the number of clicks or better. `p_click`: how the served
    click probabilities compare with that; None where the arm's lists had none.
    """

    users: int
    n: int
    conversions: int
    rate: float
    interval: Interval
    clicks: int
    carts: int
    purchases: int
    difference: Difference | None  # None: the control
    p_click: Reliability | None = None


@dataclass(frozen=True)
class ExperimentReport:
    """`sample_ratio_p` is the chi-square test's for one look; `sample_ratio_p_watched` holds however often one looks.

    `left_out`: reason -> examples, as `Outcomes` counts them.
    """

    experiment: str
    metric: str
    control: str
    level: float
    arms: dict[str, ArmReport]
    sample_ratio_p: float
    sample_ratio_p_watched: float
    left_out: dict[str, int]
    verdict: str


def report(
    examples: Iterable[ShownItem],
    plan: ExperimentPlan,
    *,
    history: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> ExperimentReport:
    """The report on final examples, each id once. Raises as `Outcomes.add` and `adjusted_difference` do.

    `history`: user -> a value from before the experiment, for narrower intervals.
    """
    return report_on(Outcomes(plan).add_all(examples), history=history, level=level)


def report_over_time(
    examples: Sequence[ShownItem],
    plan: ExperimentPlan,
    *,
    history: Mapping[str, float] | None = None,
    looks: int = 50,
    level: float = 0.95,
) -> list[ExperimentReport]:
    """Reports on the examples up to each of `looks` times, by when items were shown. Outcomes are those known today. `history`
    and what is raised: as `report`."""
    in_order = sorted(examples, key=lambda example: example.shown_at or 0)
    outcomes, reports, start = Outcomes(plan), [], 0
    for end in sorted({round(len(in_order) * look / looks) for look in range(1, looks + 1)} - {0}):
        reports.append(report_on(outcomes.add_all(in_order[start:end]), history=history, level=level))
        start = end
    return reports


def report_on(
    outcomes: Outcomes, *, history: Mapping[str, float] | None = None, level: float = 0.95
) -> ExperimentReport:
    """The report on what was counted so far."""
    plan, counts, samples = outcomes.plan, outcomes.counts(), outcomes.samples()
    reliabilities = outcomes.reliabilities()
    users = {arm: of_arm.users for arm, of_arm in counts.items()}
    alpha = (1 - level) / (len(samples) - 1)  # all comparisons with the control hold at once (Bonferroni)
    control = samples[plan.control_arm]
    arms = {
        arm: _arm_report(
            counts[arm],
            sample,
            None if arm == plan.control_arm else _difference(control, sample, history, plan.expected_lift, alpha),
            plan.expected_lift,
            level,
            reliabilities[arm],
        )
        for arm, sample in samples.items()
    }
    watched = sample_ratio.always_valid_p(users, plan.shares)
    return ExperimentReport(
        experiment=plan.name,
        metric=plan.metric,
        control=plan.control_arm,
        level=level,
        arms=arms,
        sample_ratio_p=sample_ratio.chi_square_p(users, plan.shares),
        sample_ratio_p_watched=watched,
        left_out=outcomes.left_out,
        verdict=_verdict(arms, plan.control_arm, watched),
    )


def _arm_report(
    counts: ArmCounts,
    sample: Sample,
    difference: Difference | None,
    lift: float,
    level: float,
    p_click: Reliability | None,
) -> ArmReport:
    rate = rate_sequence(_moments(sample), lift, 1 - level)
    return ArmReport(
        users=counts.users,
        n=counts.impressions,
        conversions=int(sample.converted.sum()),
        rate=float(rate.estimate),
        interval=(float(rate.low), float(rate.high)),
        clicks=counts.clicks,
        carts=counts.carts,
        purchases=counts.purchases,
        difference=difference,
        p_click=p_click,
    )


def _difference(
    control: Sample, treatment: Sample, history: Mapping[str, float] | None, lift: float, alpha: float
) -> Difference:
    of_control, of_treatment = _moments(control), _moments(treatment)
    enough = can_compare(of_control, of_treatment)
    if history is None:
        found = difference_sequence(of_control, of_treatment, lift, alpha)
    else:
        estimate, variance = (np.asarray(value) for value in adjusted_difference(control, treatment, history))
        if not (has_enough(of_control) and has_enough(of_treatment)):  # one of them does not know its own variance
            variance = np.maximum(variance, variance_if_equal(of_control, of_treatment))
        scale = effect_scale(of_control, of_treatment, lift)
        found = sequence(estimate, variance, scale, alpha, (-1.0, 1.0), enough)
    base = float(of_control.rate)
    return Difference(
        estimate=float(found.estimate),
        interval=(float(found.low), float(found.high)),
        p=float(found.p),
        lift=float(found.estimate) / base if base else None,
        adjusted=history is not None,
        too_early=not enough,
    )


def _moments(sample: Sample) -> Moments:
    return Moments.of(sample.shown, sample.converted)


def _verdict(arms: Mapping[str, ArmReport], control: str, sample_ratio_p: float) -> str:
    if sample_ratio_p < sample_ratio.ALARM:
        users = ", ".join(f"{name} {arm.users}" for name, arm in arms.items())
        return f"do not trust this: the arms do not have their shares of users ({users}; p {sample_ratio_p:.2g})"
    return "; ".join(
        _comparison(name, control, arm.difference) for name, arm in arms.items() if arm.difference is not None
    )


def _comparison(name: str, control: str, difference: Difference) -> str:
    low, high = difference.interval
    if difference.too_early:
        needs = f"each arm needs {MIN_USERS} users, and at the rate of both together {MIN_CONVERTERS} of them with conversions"
        return f"{name}: too early to compare with {control}, {needs}"
    span = f"{100 * low:+.3g} to {100 * high:+.3g} percentage points"
    if low > 0:
        return f"{name} is better than {control}: {span}"
    if high < 0:
        return f"{name} is worse than {control}: {span}"
    return f"{name}: no difference from {control} is shown so far, {span}"
