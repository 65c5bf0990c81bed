"""Saves the model from computing padding: cuts a micro-batch to its longest history, and splits it where users with few steps to
compute wait beside users with many.

An encoder's time grows with the steps, and most shoppers have fewer than the window: 5 to 7 in the published data sets.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.shopper.features import Rows

SPLIT_STEPS = 150  # a second call of the graph pays off if it saves this many (docs/notebook/scoring.md)
# ONNX Runtime adds up three steps in another order than four: widths that differ by fours give a user the same bits
WIDTH_UNIT = 4

BestRows = tuple[npt.NDArray[np.float32], Rows]  # scores [B, K], rows [B, K]
Answers = tuple[npt.NDArray[Any], ...]  # those, and `operators.model.click_head.OUTPUT` where the graph has it
Run = Callable[[dict[str, Rows]], Answers]
Users = npt.NDArray[np.intp]  # places in a micro-batch


def without_padding(run: Run, inputs: dict[str, Rows]) -> Answers:
    """`run` on `items`, `kinds` [B, W] and `length` [B] of `inputs`, right-padded; its answers in the users' order."""
    parts = parts_by_steps(inputs["length"], SPLIT_STEPS)
    if len(parts) == 1:
        return run(_cut(inputs))
    return in_order(parts, [run(_cut({name: rows[part] for name, rows in inputs.items()})) for part in parts])


def parts_by_steps(steps: npt.NDArray[np.signedinteger[Any]], worth: int) -> list[Users]:
    """The users in parts of like `steps` [B], where a part of its own saves `worth` steps of padding; the least ones first."""
    if (len(steps) - 1) * (int(steps.max()) - int(steps.min())) < worth:
        return [np.arange(len(steps))]
    order = np.argsort(steps, kind="stable")
    return [order[begin:end] for begin, end in _cuts(steps[order], 0, worth)]


def width_for(longest: int, window: int) -> int:
    """The number of steps that a graph gets where the longest history has `longest`."""
    return min(-(-longest // WIDTH_UNIT) * WIDTH_UNIT, window)


def in_order(parts: list[Users], answers: list[Answers]) -> Answers:
    """The answers of the parts in the users' order."""
    back = np.argsort(np.concatenate(parts))
    return tuple(np.concatenate(each)[back] for each in zip(*answers, strict=True))


def _cuts(rising: npt.NDArray[np.signedinteger[Any]], begin: int, worth: int) -> Iterator[tuple[int, int]]:
    # steps saved if the first 1, 2, … users form a part of their own
    saved = np.arange(1, len(rising)) * (rising[-1] - rising[:-1])
    if saved.max(initial=0) < worth:
        yield begin, begin + len(rising)
        return
    at = int(saved.argmax()) + 1
    yield from _cuts(rising[:at], begin, worth)
    yield from _cuts(rising[at:], begin + at, worth)


def _cut(inputs: dict[str, Rows]) -> dict[str, Rows]:
    """The steps of the longest history."""
    width = width_for(int(inputs["length"].max()), inputs["items"].shape[1])
    return {name: rows[:, :width] if rows.ndim == 2 else rows for name, rows in inputs.items()}
