"""What the shopper will rate this item with, where a shop has ratings: squared error of the rating in its own standard deviations.

Asked with the state just before the rating, as the job has it.
"""

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.models.encoders import NextItem
from model_export.models.tasks import ASKED, PairHead, Task, of_targets

PRIOR = 5  # ratings that pull an item's mean to that of all, in the baseline


class RatingTask(Task):
    """Learns from the ratings in `known` and is asked about those in `asked`."""

    name = "rating"
    needs = "no ratings, or all alike"

    def __init__(self, weight: float, known: Examples, asked: Examples) -> None:
        super().__init__(weight)
        self._known, self._asked = (
            part.where((part.features.length > 0) & np.isfinite(part.rating)) for part in (known, asked)
        )
        given = self._known.rating
        self._mean, self._deviation = (float(given.mean()), float(given.std())) if len(given) else (0.0, 0.0)

    @property
    def teaches(self) -> bool:
        """Whether there are ratings, and different ones."""
        return self._deviation > 0

    def head(self, width: int) -> nn.Module:
        """One number for encoder and item."""
        return PairHead(width, 1)

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean squared error, in deviations."""
        drawn = self._known.where(generator.integers(0, len(self._known), ASKED))
        right = torch.from_numpy((drawn.rating - self._mean) / self._deviation).to(model.device)
        return nn.functional.mse_loss(self._said(model, drawn), right)

    def metrics(self, model: NextItem) -> dict[str, float]:
        """Root of the mean squared error in the ratings' own units; beside it that of each item's mean rating."""
        if not len(self._asked):
            return {}
        with torch.inference_mode():
            said = torch.cat([self._said(model, part) for part in self._asked.parts()]).cpu().numpy()
        right = self._asked.rating
        return {
            "RMSE": _rmse(said * self._deviation + self._mean, right),
            "RMSE of item means": _rmse(self._item_means(), right),
        }

    def _said(self, model: NextItem, asked: Examples) -> Tensor:
        """float32 [B], in deviations from the mean."""
        return of_targets(model, self.name, asked)[:, 0]

    def _item_means(self) -> np.ndarray:
        size = int(max(self._known.target.max(), self._asked.target.max())) + 1
        count = np.bincount(self._known.target, minlength=size)
        total = np.bincount(self._known.target, weights=self._known.rating, minlength=size)
        means: np.ndarray = (total + PRIOR * self._mean) / (count + PRIOR)
        return means[self._asked.target]


def _rmse(said: np.ndarray, right: np.ndarray) -> float:
    return float(np.sqrt(np.mean((said - right) ** 2)))
