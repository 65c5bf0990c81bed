"""Fits and judges the probabilities of the click head on lists whose outcome is known.

A case is an item of a list of `LISTED`; it comes true when the shopper turns to the item before the session ends.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from model_export.data.chosen import Chosen
from model_export.data.dataset import Examples
from model_export.evaluation.served import Served
from model_export.models.click_head import LISTED
from model_export.models.session_task import area_under_roc
from operators.experiments.calibration import reliability
from operators.shopper.features import Features

CASES_IN_BIN = 300  # isotonic regression on single cases would end in probabilities of 0 and 1
MOST_BINS = 100
FEWEST_QUESTIONS = 2 * CASES_IN_BIN // LISTED  # lists of this many questions can be fitted or judged

Floats = npt.NDArray[np.floating[Any]]


class Cases(NamedTuple):
    """The lists of questions, in the order of time: logits float32 [B, n]; happened bool [B, n]."""

    logits: Floats
    happened: npt.NDArray[np.bool_]


def cases_of(served: Served, questions: Examples, features: Features, later: Examples) -> Cases:
    """The cases of questions with a history; `features`: theirs; `later`: all examples of their sessions."""
    order = np.argsort(questions.time_ms, kind="stable")
    order = order[features.length[order] > 0]
    logits, rows = served.clicks(features.where(order), LISTED)
    return Cases(logits, Chosen(later).of(questions.where(order), rows))


def fitted(logits: Floats, happened: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32] | None:
    """The calibration's points, as `operators.model.click_head` reads them; None where there are too few cases.

    Isotonic regression (Zadrozny and Elkan, KDD 2002) on the means of bins of equal size.
    """
    x, y = logits.ravel(), happened.ravel().astype(np.float64)
    bins = min(len(x) // CASES_IN_BIN, MOST_BINS)
    if bins < 2:
        return None
    parts = np.array_split(np.argsort(x, kind="stable"), bins)
    means = np.array([x[part].mean(dtype=np.float64) for part in parts])
    rates = isotonic_regression([y[part].mean() for part in parts], weights=[len(part) for part in parts]).x
    points: npt.NDArray[np.float32] = np.stack((means, np.clip(rates, 0, 1))).astype(np.float32)
    return points


def judged(cases: Cases, points: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Expected calibration error, Brier score and bins of probabilities by a calibration, with the area under the ROC curve of
    the logits. Empty without cases."""
    happened = cases.happened.ravel()
    judgement = reliability(np.interp(cases.logits.ravel(), *points.astype(np.float64)), happened)
    if judgement is None:
        return {}
    ranked = {} if happened.all() or not happened.any() else {"AUC": area_under_roc(cases.logits.ravel(), happened)}
    facts = {
        "cases": len(happened),
        "rate": judgement.happened,
        "ECE": judgement.ece,
        "Brier": judgement.brier,
    } | ranked
    return rounded(facts) | {
        "bins": [[round(each.predicted, 4), round(each.happened, 4), each.count] for each in judgement.bins]
    }


def held_out(cases: Cases, before: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The judgement on the later half of the questions of the calibration `before`, and of one that is fitted on the earlier
    half; without the second where the cases are too few."""
    half = len(cases.logits) // 2
    earlier, later = (Cases(cases.logits[part], cases.happened[part]) for part in (slice(half), slice(half, None)))
    points = fitted(*earlier)
    return {"before": judged(later, before)} | ({} if points is None else {"after": judged(later, points)})


def clicks_of_bundle(
    served: Served, questions: Examples, features: Features, later: Examples
) -> dict[str, dict[str, Any]]:
    """`clicks`: the judgement of the served probabilities, for `evaluate_events`; empty where the bundle serves none.

    `seen`: the share of the questions that the bundle's calibration was fitted on. Arguments as for `cases_of`.
    """
    bundle = served.bundle
    if bundle.clicks is None:
        return {}
    fitted_until = bundle.manifest.get("metrics", {}).get("clicks", {}).get("until_ms", 0)
    seen = round(float((questions.time_ms <= fitted_until).mean()), 4)
    judgement = judged(cases_of(served, questions, features, later), bundle.clicks.calibration)
    return {"clicks": judgement | {"seen": seen}}


def rounded(facts: Mapping[str, float]) -> dict[str, float]:
    """For people: five digits are more than the data has."""
    return {name: round(value, 5) for name, value in facts.items()}
