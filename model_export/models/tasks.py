"""Tasks that are learned beside the next item; all share the encoder and the item table.

The loss of a training is personal + sum of weight * loss over the tasks (`FitOptions.personal`, `Task.weight`).
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.windows import tensors_of
from model_export.models.encoders import NextItem

TASK_BATCH = 128  # examples of a task for each batch of the next item


class PairHead(nn.Module):
    """Outputs for pairs of user state and item vector, float [B, width] each."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, outputs)

    def forward(self, state: Tensor, item: Tensor) -> Tensor:
        """float [B, outputs]."""
        output: Tensor = self.out(nn.functional.silu(self.mix(torch.cat((state, item, state * item), dim=-1))))
        return output


def of_targets(model: NextItem, task: str, examples: Examples) -> Tensor:
    """float [B, outputs]: the outputs of the task's `PairHead` for each example's target, with the state before it."""
    state = model.state_after_last(*tensors_of(examples, model.device))
    rows = torch.from_numpy(examples.target).long().to(model.device)
    output: Tensor = model.tasks[task](state, model.table()[rows])
    return output


class Task(ABC):
    """A task: its head, its data and its weight. The head is part of the model (`model.tasks`), averaged and saved with it."""

    name: str
    needs: str  # for the log: what the data lacks when `teaches` is false

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
        """Mean loss of `TASK_BATCH` drawn examples."""

    @abstractmethod
    def metrics(self, model: NextItem) -> dict[str, float]:
        """The metrics on questions outside the training."""
