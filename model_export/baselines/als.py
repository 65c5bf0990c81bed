"""ALS: matrix factorisation of who had what, by the `implicit` package."""

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from model_export.baselines.baselines import Scores, holdings
from model_export.data.dataset import Examples


class Als:
    """Implicit-feedback ALS (Hu, Koren and Volinsky, ICDM 2008) over sessions; a question is folded in as one more."""

    def __init__(self, train: Examples, items: int, factors: int = 64, iterations: int = 10, seed: int = 7) -> None:
        self._items = items
        # it has threads of its own, and says that BLAS's beside them can make it ten times as slow
        with threadpool_limits(1, "blas"):
            self._model = AlternatingLeastSquares(
                factors=factors,
                regularization=0.05,
                alpha=20.0,
                iterations=iterations,
                random_state=seed,
                use_gpu=False,
            )
            self._model.fit(holdings(train, items), show_progress=False)

    def scores(self, asked: Examples) -> Scores:
        """Inner products of the folded-in sessions and the items."""
        own = asked.in_session()
        places = (np.nonzero(own)[0], asked.features.items[own])
        held = sparse.csr_matrix((np.ones(len(places[0]), np.float32), places), shape=(len(asked), self._items + 1))
        held.data[:] = 1
        folded = self._model.recalculate_user(np.arange(len(asked)), held)
        return np.asarray(folded @ self._model.item_factors.T, dtype=np.float32)
