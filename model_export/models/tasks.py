"""Tasks that are learned beside the next item: what they share with it are the encoder and the item table.

The loss of a training is personal + sum of weight * loss over the tasks (`FitOptions.personal`, `Task.weight`).
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.windows import tensors_of
from model_export.models.encoders import NextItem

ASKED = 128  # examples of a task beside each batch of the next item


class PairHead(nn.Module):
    """What the encoder's answer and an item say together, float [B, width] each."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, outputs)

    def forward(self, found: Tensor, item: Tensor) -> Tensor:
        """float [B, outputs]."""
        said: Tensor = self.out(nn.functional.silu(self.mix(torch.cat((found, item, found * item), dim=-1))))
        return said


def of_targets(model: NextItem, task: str, asked: Examples) -> Tensor:
    """float [B, outputs]: what the `PairHead` of a task says of each example's target, asked just before it."""
    found = model.state_after_last(*tensors_of(asked, model.device))
    rows = torch.from_numpy(asked.target).long().to(model.device)
    said: Tensor = model.tasks[task](found, model.table()[rows])
    return said


class Task(ABC):
    """A head, what it learns from and its weight. The head lives in the model (`model.tasks`), averaged and kept with it."""

    name: str
    needs: str  # what the data lacks where it teaches nothing, for people

    def __init__(self, weight: float) -> None:
        self.weight = weight

    @property
    @abstractmethod
    def teaches(self) -> bool:
        """Whether there is something to learn from."""

    @abstractmethod
    def head(self, width: int) -> nn.Module:
        """A new head for an encoder of this width."""

    @abstractmethod
    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean loss of `ASKED` drawn examples."""

    @abstractmethod
    def metrics(self, model: NextItem) -> dict[str, float]:
        """How well it does on the questions that were kept from the training."""
