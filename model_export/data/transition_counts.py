"""Counts which item followed which: for the Markov baseline and the transition head."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from model_export.data.dataset import Examples


def transition_counts(train: Examples, items: int, weights: npt.NDArray[np.float64] | None = None) -> sparse.csr_matrix:
    """float32 [N + 1, N + 1]: how often item j (column) followed item i (row); row 0: no item before.

    `weights` [B]: for how much each example counts; None: each for 1.
    """
    counts = np.ones(len(train), np.float32) if weights is None else weights.astype(np.float32)
    return sparse.csr_matrix((counts, (train.last_items(), train.target)), shape=(items + 1, items + 1))
