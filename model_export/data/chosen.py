"""The labels of lists: which items the shopper turned to before the session ended."""

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.data.dataset import Examples


class Chosen:
    """Knows the last time at which each item was chosen (viewed, clicked, carted, bought or rated well) in each session."""

    def __init__(self, examples: Examples) -> None:
        """`examples`: all of their sessions, in the order of time."""
        self._sessions = np.unique(_sessions_of(examples))
        self._items = int(examples.target.max(initial=0)) + 1
        keys = self._keys(examples, examples.target[:, None])[:, 0]
        order = np.argsort(keys, kind="stable")
        last = np.append(np.diff(keys[order]) > 0, True)[: len(order)]
        self._keys_chosen, self._last_ms = keys[order][last], examples.time_ms[order][last]

    def of(self, questions: Examples, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """bool [B, n]: whether the items `rows` [B, n] were chosen at the question's event or later in its session."""
        keys = self._keys(questions, rows)
        if not len(self._keys_chosen):
            return np.zeros(rows.shape, dtype=bool)
        places = np.minimum(np.searchsorted(self._keys_chosen, keys), len(self._keys_chosen) - 1)
        found: npt.NDArray[np.bool_] = self._keys_chosen[places] == keys
        found &= self._last_ms[places] >= questions.time_ms[:, None]
        return found

    def _keys(self, examples: Examples, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """int64 [B, n]: a number for each item of each session; -1 where it was chosen in none."""
        own = _sessions_of(examples)
        number = np.searchsorted(self._sessions, own)
        known = np.isin(own, self._sessions)[:, None] & (rows < self._items)
        return np.where(known, number[:, None] * self._items + rows, -1)


def _sessions_of(examples: Examples) -> npt.NDArray[np.int64]:
    """int64 [B]: equal for events of one session."""
    return (examples.user.astype(np.int64) << 32) | examples.session_start_s
