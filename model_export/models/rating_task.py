"""The rating task: predicts the shopper's rating of an item. The loss is the squared error in standard deviations.

The input is the state just before the rating, as in the job.
"""

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.models.encoders import NextItem
from model_export.models.tasks import TASK_BATCH, PairHead, Task, of_targets

PRIOR = 5  # weight of the global mean in the baseline's item means, in ratings


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
        """Whether there are different ratings."""
        return self._deviation > 0

    def head(self, width: int) -> nn.Module:
        """One number for user state and item."""
        return PairHead(width, 1)

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean squared error, in standard deviations."""
        batch = self._train.where(generator.integers(0, len(self._train), TASK_BATCH))
        labels = torch.from_numpy((batch.rating - self._mean) / self._deviation).to(model.device)
        return nn.functional.mse_loss(self._predicted(model, batch), labels)

    def metrics(self, model: NextItem) -> dict[str, float]:
        """Root mean squared error in the ratings' units, and that of each item's mean rating as a baseline."""
        if not len(self._questions):
            return {}
        with torch.inference_mode():
            predictions = torch.cat([self._predicted(model, part) for part in self._questions.parts()]).cpu().numpy()
        ratings = self._questions.rating
        return {
            "RMSE": _rmse(predictions * self._deviation + self._mean, ratings),
            "RMSE of item means": _rmse(self._item_means(), ratings),
        }

    def _predicted(self, model: NextItem, questions: Examples) -> Tensor:
        """float32 [B], in standard deviations from the mean."""
        return of_targets(model, self.name, questions)[:, 0]

    def _item_means(self) -> np.ndarray:
        size = int(max(self._train.target.max(), self._questions.target.max())) + 1
        count = np.bincount(self._train.target, minlength=size)
        total = np.bincount(self._train.target, weights=self._train.rating, minlength=size)
        means: np.ndarray = (total + PRIOR * self._mean) / (count + PRIOR)
        return means[self._questions.target]


def _rmse(predictions: np.ndarray, ratings: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predictions - ratings) ** 2)))
