"""Item biases that follow the demand: what shoppers want lately, against what the model expects of the same shoppers.

A taste that changes slowly is in the vectors, a price cut or a fashion is not: the same shoppers want another item of the
same kind. One number an item says that, and a few thousand events are enough to learn it.

A bias moves from b to b + log(u), where u = (wanted + m) / (expected / u + m), `expected` with the bias that moved: a
Gamma-Poisson estimate of how many times as much as expected an item is wanted, whose prior is m wishes that come as expected.
Without the prior it is generalised iterative scaling (Darroch and Ratcliff, Annals of Mathematical Statistics 1972), of
which each step raises the likelihood of the events.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model_export.data.dataset import Examples
from model_export.data.windows import tensors_of
from model_export.models.encoders import NextItem

STEPS = 8
PRIOR_WISHES = 8.0  # of each item, which come as expected
MOST_SCORES = 100_000_000  # questions x items that are asked
CHUNK_SCORES = 4_000_000  # at a time
LARGEST_MOVE = 4.0  # of a bias in one round: 55 times the odds


def follow_demand(model: NextItem, questions: Examples, weights: npt.NDArray[np.float64]) -> None:
    """Moves the biases of `model` until it expects what the questions wanted, weighed by `weights` [B].

    Asks the newest questions if there are too many. Items that left (or that nobody wants) fall, as far as the prior allows.
    """
    items = len(model.bias)
    count = min(len(questions), max(1, MOST_SCORES // items))
    newest = np.argsort(questions.time_ms, kind="stable")[len(questions) - count :]
    asked, weight = questions.where(newest), torch.from_numpy(weights[newest].astype(np.float32))
    wanted = torch.zeros(items).index_add_(0, torch.from_numpy(asked.target.astype(np.int64)), weight)
    first = model.bias.detach().clone()
    model.eval()
    with torch.no_grad():
        states = _states(model, asked, max(1, CHUNK_SCORES // items))
        moved = torch.zeros(items)
        for _ in range(STEPS):
            unmoved = _expected(model, states, weight) * (-moved).exp()
            moved = ((wanted + PRIOR_WISHES) / (unmoved + PRIOR_WISHES)).log().clamp(-LARGEST_MOVE, LARGEST_MOVE)
            moved[0] = 0.0
            model.bias.copy_(first + moved)


def _states(model: NextItem, questions: Examples, chunk: int) -> list[Tensor]:
    """The states after the last step, float [<= chunk, width]."""
    return [
        model.state_after_last(
            *tensors_of(questions.where(np.arange(at, min(at + chunk, len(questions)))), model.device)
        )
        for at in range(0, len(questions), chunk)
    ]


def _expected(model: NextItem, states: list[Tensor], weights: Tensor) -> Tensor:
    """float [N + 1]: how often the encoder expects each item to be wanted."""
    total, at = torch.zeros(len(model.bias)), 0
    for state in states:
        scores = model.own_scores(state)
        scores[:, 0] = -torch.inf
        total += weights[at : at + len(state)] @ scores.softmax(-1)
        at += len(state)
    return total
