"""`p_click`: the probability that a shopper turns to a listed item before the session ends.

The graph gives a vector for each user (`model_export/models/click_head.py`). A candidate's logit is the log of its share
among the candidates' softmax, corrected by the product of this vector with the item's vector. The calibration, fitted on
shoppers whom the training did not see, turns logits into probabilities.
"""

import numpy as np
import numpy.typing as npt

from operators.shopper.features import Rows

OUTPUT = "clicks"  # of the graphs: float32 [B, d + 1], the user's vector for item vectors of width d, and a constant
CALIBRATION = "click_calibration"  # the bundle's array: float32 [2, n], rising logits and their probabilities
STEPS = 10_000  # of a served probability: it has four digits
NONE = -1  # an item without a probability

Floats = npt.NDArray[np.float32]


class ClickHead:
    """Computes the probabilities of one bundle's lists. Thread-safe: it only reads."""

    def __init__(self, vectors: Floats, calibration: Floats) -> None:
        """`vectors` [N + 1, d], by model row; `calibration`: as in the bundle."""
        self._vectors = vectors
        self.calibration = calibration
        self._logits, self._probabilities = calibration.astype(np.float64)

    def logits(self, clicks: Floats, candidates: Floats, rows: Rows, scores: Floats) -> Floats:
        """float32 [B, n] of items with these `rows` and `scores`, both [B, n].

        `clicks`: of the graph; `candidates`: the scores of all candidates [B, K], best first.
        """
        best = candidates[:, :1]
        total = best + np.log(np.add.reduce(np.exp(candidates - best), axis=1, keepdims=True))
        correction = np.matmul(self._vectors.take(rows, axis=0), clicks[:, :-1, None])[..., 0]
        logits: Floats = scores - total + correction + clicks[:, -1:]
        return logits

    def probabilities(self, logits: Floats) -> npt.NDArray[np.float64]:
        """Of logits of any shape: linear between the calibration's points, constant beyond them."""
        return np.interp(logits, self._logits, self._probabilities)


def packed(steps: Rows) -> bytes:
    """Little-endian uint16 for each item; `NONE` becomes 65,535."""
    return steps.astype("<u2").tobytes()


def in_steps(probabilities: npt.NDArray[np.float64]) -> Rows:
    """int32, of any shape: probabilities as served, in steps of 1 / `STEPS`; NaN becomes 0, as such a list is not served."""
    steps: Rows = np.rint(np.fmax(probabilities, 0.0) * STEPS).astype(np.int32)  # the greater one that is no NaN
    return steps
