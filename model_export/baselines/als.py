"""ALS: factorisation of the session-item matrix, by the `implicit` package."""

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from model_export.baselines.baselines import Scores, holdings
from model_export.data.dataset import Examples


class Als:
    """Implicit-feedback ALS (Hu, Koren and Volinsky, ICDM 2008) over sessions; each question is folded in as a new session."""

    def __init__(self, train: Examples, items: int, factors: int = 64, iterations: int = 10, seed: int = 7) -> None:
        self._items = items
        # `implicit` runs its own threads and warns that BLAS threads beside them make it up to ten times slower
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

    def scores(self, questions: Examples) -> Scores:
        """Inner products of the folded-in sessions and the items."""
        own = questions.in_session()
        coordinates = (np.nonzero(own)[0], questions.features.items[own])
        sessions = sparse.csr_matrix(
            (np.ones(len(coordinates[0]), np.float32), coordinates), shape=(len(questions), self._items + 1)
        )
        sessions.data[:] = 1
        folded = self._model.recalculate_user(np.arange(len(questions)), sessions)
        return np.asarray(folded @ self._model.item_factors.T, dtype=np.float32)
