"""Whether predicted probabilities come true: reliability by bins, expected calibration error, Brier score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 10

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Bin:
    """`predicted`: mean probability; `happened`: share of cases that came true; `count`: cases."""

    predicted: float
    happened: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """`predicted` and `happened`: means of all cases. `ece`: mean gap between both in bins of equal size, weighted by cases
    (Naeini, Cooper, Hauskrecht, AAAI 2015). `brier`: mean squared error (Brier, 1950). `bins`: the least probable first."""

    predicted: float
    happened: float
    ece: float
    brier: float
    bins: tuple[Bin, ...]


def reliability(predicted: Floats, happened: npt.NDArray[Any]) -> Reliability | None:
    """Of probabilities [N] and what happened, bool [N]; None without a case."""
    if not len(predicted):
        return None
    p, y = predicted.astype(np.float64), happened.astype(np.float64)
    parts = np.array_split(np.argsort(p, kind="stable"), min(BINS, len(p)))
    bins = tuple(Bin(float(p[part].mean()), float(y[part].mean()), len(part)) for part in parts)
    error = sum(abs(each.predicted - each.happened) * each.count for each in bins) / len(p)
    return Reliability(float(p.mean()), float(y.mean()), float(error), float(((p - y) ** 2).mean()), bins)
