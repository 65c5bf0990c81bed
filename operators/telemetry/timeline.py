"""The moments of one list, from the shopper's event to its emission, and the stages between them.

The stages of a list sum to its freshness exactly: a stage is the difference of two neighbouring moments.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# what lies between two moments of a `Timeline`
STAGES = (
    "publish",  # event time -> the broker has it
    "read",  # -> the operator has it
    "state",  # decoded, applied, handed to the scorer
    "wait",  # -> its micro-batch begins
    "score",  # features and ONNX
    "rank",  # rules, reasons, JSON
    "emit",  # -> handed to the sink
)
RECOVER = "recover"  # all of a list that a promise asked for again: after a restart, or past a deadline


class Arrival(NamedTuple):
    """When a request's record was stored by the broker, read, and handed to the scorer (epoch s)."""

    broker: float
    read: float
    submitted: float


@dataclass(slots=True)
class BatchTimes:
    """When a micro-batch began, had its scores, and its lists were ready (epoch s); shared by its lists."""

    started: float
    scored: float = 0.0
    ready: float = 0.0


class Timeline(NamedTuple):
    """All moments of one list, epoch s."""

    event: float
    broker: float
    read: float
    submitted: float
    started: float
    scored: float
    ready: float
    emitted: float


MOMENTS = len(Timeline._fields)


def stage_seconds(moments: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Timelines [n, MOMENTS] -> stages [n, len(STAGES)], none negative: a moment that lies after the next one (clocks
    differ) is moved to it."""
    ordered = np.minimum.accumulate(moments[:, ::-1], axis=1)[:, ::-1]
    return np.diff(ordered, axis=1)
