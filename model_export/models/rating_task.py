"""The rating task: predicts the shopper's rating of an item. The loss is the squared error in standard deviations.

The input is the state just before the rating, as in the job.
"""

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.models.encoders import NextItem
from model_export.models.tasks import ASKED, PairHead, Task, of_targets

PRIOR = 5  # ratings that pull an item's mean to that of all, in the baseline


class RatingTask(Task):
    """Learns from the ratings in `train`; those in `questions` are for the metrics."""

    name = "rating"
    needs = "no ratings, or all alike"

    def __init__(self, weight: float, train: Examples, questions: Examples) -> None:
        super().__init__(weight)
        self._train, self._questions = (
            part.where((part.features.length > 0) & np.isfinite(part.rating)) for part in (train, questions)
        )
        ratings = self._train.rating
        self._mean, self._deviation = (float(ratings.mean()), float(ratings.std())) if len(ratings) else (0.0, 0.0)

    @property
    def teaches(self) -> bool:
        """Whether there are ratings, and different ones."""
        return self._deviation > 0

    def head(self, width: int) -> nn.Module:
        """One number for encoder and item."""
        return PairHead(width, 1)

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean squared error, in deviations."""
        drawn = self._train.where(generator.integers(0, len(self._train), ASKED))
        right = torch.from_numpy((drawn.rating - self._mean) / self._deviation).to(model.device)
        return nn.functional.mse_loss(self._predicted(model, drawn), right)

    def metrics(self, model: NextItem) -> dict[str, float]:
        """Root of the mean squared error in the ratings' own units; beside it that of each item's mean rating."""
        if not len(self._questions):
            return {}
        with torch.inference_mode():
            predictions = torch.cat([self._predicted(model, part) for part in self._questions.parts()]).cpu().numpy()
        right = self._questions.rating
        return {
            "RMSE": _rmse(predictions * self._deviation + self._mean, right),
            "RMSE of item means": _rmse(self._item_means(), right),
        }

    def _predicted(self, model: NextItem, questions: Examples) -> Tensor:
        """float32 [B], in deviations from the mean."""
        return of_targets(model, self.name, questions)[:, 0]

    def _item_means(self) -> np.ndarray:
        size = int(max(self._train.target.max(), self._questions.target.max())) + 1
        count = np.bincount(self._train.target, minlength=size)
        total = np.bincount(self._train.target, weights=self._train.rating, minlength=size)
        means: np.ndarray = (total + PRIOR * self._mean) / (count + PRIOR)
        return means[self._questions.target]


def _rmse(predictions: np.ndarray, right: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predictions - right) ** 2)))
