"""The labels of the session task: whether an item is clicked, carted or bought within the session."""

import numpy as np
import numpy.typing as npt

from operators.shopper.user_state import KINDS

WANTED = ("click", "add_to_cart", "purchase")


def outcomes(
    user: npt.NDArray[np.int32],
    session_start_s: npt.NDArray[np.uint32],
    target: npt.NDArray[np.int32],
    kind: npt.NDArray[np.uint8],
) -> npt.NDArray[np.bool_]:
    """bool [B, 3]: whether the target is clicked, carted, bought at its event or later in the session. Events in order.

    Only the given events count, so that examples before a split do not contain the future.
    """
    labels = np.zeros((len(target), len(WANTED)), dtype=bool)
    if not np.isin(kind, [KINDS[name] for name in WANTED]).any():
        return labels
    order = np.lexsort((target, session_start_s, user))
    names = np.stack((user[order].astype(np.int64), session_start_s[order].astype(np.int64), target[order]))
    group = np.empty(len(target), dtype=np.int64)
    group[order] = np.concatenate(([0], np.cumsum((names[:, 1:] != names[:, :-1]).any(axis=0))))
    position = np.arange(len(target))
    for column, name in enumerate(WANTED):
        happened = kind == KINDS[name]
        newest = np.full(group.max() + 1, -1)
        np.maximum.at(newest, group[happened], position[happened])
        labels[:, column] = position <= newest[group]
    return labels
