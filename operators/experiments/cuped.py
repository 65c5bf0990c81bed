"""Less variance by what users did before the experiment (CUPED: Deng, Xu, Kohavi, Walker, WSDM 2013).

A covariate from before the experiment cannot depend on the arm, so taking its difference out of the difference of rates
leaves the expectation as it is and removes the part of the variance that the past explains.
"""

from collections.abc import Mapping

import numpy as np

from operators.errors import LiveshelfError
from operators.experiments.outcomes import Sample
from operators.experiments.statistics.moments import Floats, Moments

LARGEST = 1e12  # of a history: sums of squares stay numbers, and the rates beside it keep their digits


def adjusted_difference(control: Sample, treatment: Sample, history: Mapping[str, float]) -> tuple[float, float]:
    """The treatment's rate minus the control's, and its variance.

    `history`: user -> a value from before the experiment, such as the user's clicks then. Users without one count with
    the mean of the others. Raises `LiveshelfError` for a value beyond `LARGEST`, and for NaN.
    """
    linear = [_linear(sample) for sample in (control, treatment)]
    covariates = _covariates(control, treatment, history)
    users = [len(values) for values in linear]
    if min(users) < 2:
        return float(linear[1].mean() - linear[0].mean()) if min(users) else 0.0, 0.0
    shared = sum(_covariance(c, y) / n for c, y, n in zip(covariates, linear, users, strict=True))
    own = sum(_covariance(c, c) / n for c, n in zip(covariates, users, strict=True))
    slope = shared / own if own > 0 else 0.0
    means, variances = [], 0.0
    for values, covariate, n in zip(linear, covariates, users, strict=True):
        residual = values - slope * covariate
        means.append(float(residual.mean()))
        variances += _covariance(residual, residual) / n
    return means[1] - means[0], variances


def _linear(sample: Sample) -> Floats:
    """A value for each user whose mean is the arm's rate and whose variance is that of the delta method."""
    moments = Moments.of(sample.shown, sample.converted)
    if not len(sample.shown):
        return sample.shown
    linear: Floats = moments.rate + (sample.converted - moments.rate * sample.shown) / sample.shown.mean()
    return linear


def _covariates(control: Sample, treatment: Sample, history: Mapping[str, float]) -> list[Floats]:
    known = [history[user] for sample in (control, treatment) for user in sample.user_ids if user in history]
    if not all(abs(value) <= LARGEST for value in known):  # NaN too
        raise LiveshelfError(
            f"numbers of users' history from {-LARGEST:g} to {LARGEST:g}",
            str(next(value for value in known if not abs(value) <= LARGEST)),
            "correct it, or leave those users out of it",
        )
    mean = float(np.mean(known)) if known else 0.0
    return [
        np.array([history.get(user, mean) for user in sample.user_ids], dtype=np.float64)
        for sample in (control, treatment)
    ]


def _covariance(a: Floats, b: Floats) -> float:
    return float(((a - a.mean()) * (b - b.mean())).sum() / (len(a) - 1))
