"""Scores a bundle as the job serves it: its ONNX graph on the CPU, the popular list for an empty history."""

import numpy as np
import numpy.typing as npt

from model_export.measures.ranking_metrics import NEVER
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings
from operators.shopper.features import Features, Rows

BATCH = 256


class Served:
    """Candidates and ranks by a bundle."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.bundle = bundle
        self._scorer = Scorer(bundle, ScorerSettings(provider="cpu"))

    def candidates(self, questions: Features) -> tuple[npt.NDArray[np.float32], Rows]:
        """(scores float32 [B, K], rows int32 [B, K]), best first."""
        parts = [
            self._score(questions.where(np.arange(start, min(start + BATCH, len(questions.length)))))
            for start in range(0, len(questions.length), BATCH)
        ]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([rows for _, rows in parts])

    def ranks(self, questions: Features, target: Rows) -> npt.NDArray[np.int64]:
        """Rank of each target row [B], `NEVER` where it is no candidate; ties count against the model."""
        return ranks_of_candidates(*self.candidates(questions), target)

    def clicks(self, questions: Features, places: int) -> tuple[npt.NDArray[np.float32], Rows]:
        """(logits float32 [B, places], rows int32 [B, places]) of the best items by the click head, which the bundle has. Each
        question has a history."""
        assert self.bundle.clicks is not None
        parts = []
        for start in range(0, len(questions.length), BATCH):
            asked = questions.where(np.arange(start, min(start + BATCH, len(questions.length))))
            scores, rows, clicks = self._scorer.answers(asked)
            listed = rows[:, :places]
            parts.append((self.bundle.clicks.logits(clicks, scores, listed, scores[:, :places]), listed))
        return np.concatenate([logits for logits, _ in parts]), np.concatenate([rows for _, rows in parts])

    def _score(self, questions: Features) -> tuple[npt.NDArray[np.float32], Rows]:
        scores, rows = self._scorer.score(questions)
        cold = questions.length == 0
        rows[cold] = np.resize(self.bundle.popular, rows.shape[1])
        scores[cold] = -np.arange(rows.shape[1], dtype=np.float32)
        return scores, rows


def ranks_of_candidates(scores: npt.NDArray[np.float32], rows: Rows, target: Rows) -> npt.NDArray[np.int64]:
    """As `ranking_metrics.ranks`, of scores [B, K] and rows [B, K], best first; `NEVER` for a target outside them."""
    hit = (rows == target[:, None]) & (target > 0)[:, None]
    own = np.where(hit.any(axis=1), scores[np.arange(len(rows)), hit.argmax(axis=1)], np.inf)
    rank_of_hit = (scores >= own[:, None]).sum(axis=1)
    rank: npt.NDArray[np.int64] = np.where(hit.any(axis=1), rank_of_hit, NEVER)
    return rank
