"""A warm-started training on new examples and replayed old ones.

It asks for the next item after the last step alone: a window's earlier steps were asked before. Items that occur in none of
the examples keep their vectors: Adam would move them by whole steps, whatever the size of their gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.windows import batches, tensors_of
from model_export.models.encoders import NextItem
from model_export.models.tasks import Task

STEPS = 512  # of the windows of a batch, as in a full training
EPOCHS = 2
RATE = 0.1  # of the learning rate of the champion's training


@dataclass(frozen=True)
class Lesson:
    """`rows` int64 [L]: the new and the replayed rows of `examples`; `weights` float32 [B]: of all examples."""

    examples: Examples
    rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


def replayed(
    old: npt.NDArray[np.int64],
    new: int,
    share: float,
    generator: np.random.Generator,
    weights: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """A sample of the old rows, drawn by their `weights`, so many that they are `share` of a lesson with `new` new rows,
    or all."""
    possible = int(np.count_nonzero(weights))
    count = min(possible, round(new * share / (1 - share)))
    chances = weights / weights.sum() if count else None
    return np.sort(generator.choice(old, count, replace=False, p=chances))


def rehearse(
    model: NextItem, lesson: Lesson, learning_rate: float, generator: np.random.Generator, tasks: Sequence[Task] = ()
) -> float:
    """Trains encoder and item table, not the heads; returns the mean loss of the last epoch. `learning_rate`: of the
    champion's training."""
    torch.manual_seed(int(generator.integers(1 << 31)))
    heads = model.heads()
    weights = [weight for weight in model.parameters() if not any(weight is head for head in heads)]
    optimizer = torch.optim.Adam(weights, lr=RATE * learning_rate)
    occur = _occurring(lesson, len(model.bias))
    losses: list[float] = []
    for epoch in range(EPOCHS):
        model.train()
        losses = []
        for rows in batches(lesson.examples, generator.permutation(lesson.rows), STEPS, generator):
            share = (
                1 - (epoch + len(losses) * STEPS / max(lesson.examples.features.length[lesson.rows].sum(), 1)) / EPOCHS
            )
            for group in optimizer.param_groups:
                group["lr"] = RATE * learning_rate * max(share, 0.05)
            loss = _loss(model, lesson.examples.where(rows), torch.from_numpy(lesson.weights[rows]))
            total = torch.stack([loss, *(task.weight * task.loss(model, generator) for task in tasks)]).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            for weight in (model.items.weight, model.bias):
                if weight.grad is not None:
                    weight.grad[~occur] = 0
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            losses.append(loss.item())
    model.eval()
    return float(np.mean(losses))


def _loss(model: NextItem, questions: Examples, weights: Tensor) -> Tensor:
    """Mean cross-entropy of the encoder's own scores over all items; each question has a weight."""
    state = model.state_after_last(*tensors_of(questions, model.device))
    target = torch.from_numpy(questions.target.astype(np.int64)) - 1
    losses = nn.functional.cross_entropy(model.own_scores(state)[:, 1:], target, reduction="none")
    return (losses * weights).mean()


def _occurring(lesson: Lesson, rows: int) -> Tensor:
    """bool [N + 1]: the items that are a target or a step of the lesson."""
    examples = lesson.examples.where(lesson.rows)
    occur = torch.zeros(rows, dtype=torch.bool)
    occur[torch.from_numpy(examples.target).long()] = True
    occur[torch.from_numpy(examples.features.items).long().flatten()] = True
    return occur
