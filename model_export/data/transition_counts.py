"""Counts which item followed which: for the Markov baseline and the transition head."""

import numpy as np
from scipy import sparse

from model_export.data.dataset import Examples


def transition_counts(train: Examples, items: int) -> sparse.csr_matrix:
    """float32 [N + 1, N + 1]: how often item j (column) followed item i (row); row 0: no item before."""
    coordinates = (train.last_items(), train.target)
    return sparse.csr_matrix((np.ones(len(train), np.float32), coordinates), shape=(items + 1, items + 1))
