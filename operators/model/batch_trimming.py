"""Saves the model from computing padding: cuts a micro-batch to its longest history, and splits it where short histories
wait beside long ones.

An encoder's time grows with the steps, and most shoppers have fewer than the window: 5 to 7 in the published data sets.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from operators.shopper.features import Rows

SPLIT_STEPS = 150  # a second call of the graph pays off if it saves this many (docs/notebook/throughput.md)

Answers = tuple[npt.NDArray[np.float32], Rows]  # scores [B, K], rows [B, K]
Run = Callable[[dict[str, Rows]], Answers]


def without_padding(run: Run, inputs: dict[str, Rows]) -> Answers:
    """`run` on `items`, `kinds` [B, W] and `length` [B] of `inputs`, right-padded; its answers in the users' order."""
    length = inputs["length"]
    order = np.argsort(length, kind="stable")
    rising = length[order]
    saved = np.arange(1, len(order)) * (
        rising[-1] - rising[:-1]
    )  # steps saved if the first 1, 2, … users form their own batch
    if saved.max(initial=0) < SPLIT_STEPS:
        return run(_cut(inputs, int(rising[-1])))
    parts = np.split(order, [int(saved.argmax()) + 1])
    answers = [run(_cut({name: rows[part] for name, rows in inputs.items()}, int(length[part[-1]]))) for part in parts]
    scores, rows = (np.concatenate(both) for both in zip(*answers, strict=True))
    back = np.argsort(order)
    return scores[back], rows[back]


def _cut(inputs: dict[str, Rows], longest: int) -> dict[str, Rows]:
    """The first `longest` steps of each user."""
    return {name: rows[:, :longest] if rows.ndim == 2 else rows for name, rows in inputs.items()}
