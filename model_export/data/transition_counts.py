"""What came after what, counted: the Markov baseline, and what a model's transition head begins with."""

import numpy as np
from scipy import sparse

from model_export.data.dataset import Examples


def transition_counts(train: Examples, items: int) -> sparse.csr_matrix:
    """float32 [N + 1, N + 1]: how often each item came after each one; row 0 is what came after nothing."""
    places = (train.last_items(), train.target)
    return sparse.csr_matrix((np.ones(len(train), np.float32), places), shape=(items + 1, items + 1))
