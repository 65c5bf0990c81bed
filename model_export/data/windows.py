"""Which windows of histories an epoch learns from, and their tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model_export.data.dataset import NEGATIVE_KINDS, Examples
from operators.shopper.state_layout import HISTORY

AT_LEAST = 4096  # windows in an epoch
SORTED = 64  # batches whose windows are sorted by length together
CUT = 0.02  # of the views may have a longer session behind them than the model sees


@dataclass(frozen=True)
class Batch:
    """B windows: `items`, `kinds` int64 [B, W]; `following` int64 [B, W], what came after each step, 0: not asked."""

    items: Tensor
    kinds: Tensor
    following: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same, there."""
        return Batch(self.items.to(device), self.kinds.to(device), self.following.to(device))


def window_for(sessions: Sequence[Sequence[str]], usual: int) -> int:
    """The usual number of steps, or all that a state holds where more than `CUT` of the views would miss some."""
    views = sum(len(items) for items in sessions)
    cut = sum(max(len(items) - 1 - usual, 0) for items in sessions)
    return max(usual, HISTORY) if cut > CUT * views else usual


def covering(train: Examples, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Examples whose windows together hold every example: each user's last, and one in half a window before it.

    In random order; where a long history is cut changes from epoch to epoch. Of a small shop they come several times,
    so that an epoch is some dozens of steps.
    """
    passes = [_once(train, generator)]
    while sum(map(len, passes)) < AT_LEAST and len(passes[0]):
        passes.append(_once(train, generator))
    return generator.permutation(np.concatenate(passes))


def _once(train: Examples, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    window = train.features.items.shape[1]
    spacing = max(window // 2, 1)
    order = np.argsort(train.user, kind="stable")
    user = train.user[order]
    last = np.searchsorted(user, user, side="right") - 1
    to_last = last - np.arange(len(user))
    cut = generator.integers(0, spacing, user.max() + 1)[user]
    cut_here = (train.features.length[order[last]] >= window) & (to_last > spacing // 2) & (to_last % spacing == cut)
    chosen: npt.NDArray[np.int64] = order[(to_last == 0) | cut_here]
    return chosen[train.features.length[chosen] > 0]


def batches(
    train: Examples, rows: npt.NDArray[np.int64], steps: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """`rows` in groups of about `steps` steps, each of windows of like length, so that little of a tensor is padding.

    Groups are of equal steps and not of equal windows: else a step of a short session would weigh more than one of a
    long one. The groups come in random order.
    """
    length = train.features.length[rows]
    block = np.cumsum(length) // (steps * SORTED)
    order = np.lexsort((length, block))
    group = np.cumsum(length[order]) // steps
    cuts = np.flatnonzero(np.diff(group)) + 1
    parts = np.split(rows[order], cuts)
    for number in generator.permutation(len(parts)):
        yield parts[number]


def batch_of(train: Examples, rows: npt.NDArray[np.int64]) -> Batch:
    """The windows that end before these examples; what is no wish (taken out of the basket) is never asked for."""
    f = train.features
    items = torch.from_numpy(f.items[rows].astype(np.int64))
    kinds = torch.from_numpy(f.kinds[rows].astype(np.int64))
    length = torch.from_numpy(f.length[rows].astype(np.int64))
    following = torch.zeros_like(items)
    following[:, :-1] = torch.where(torch.isin(kinds[:, 1:], torch.tensor(NEGATIVE_KINDS)), 0, items[:, 1:])
    following[torch.arange(len(rows)), length - 1] = torch.from_numpy(train.target[rows].astype(np.int64))
    longest = int(length.max())  # shorter tensors where all windows of the batch are short
    return Batch(items[:, :longest], kinds[:, :longest], following[:, :longest])


def hidden(batch: Batch, items: float, kinds: float) -> Batch:
    """With these shares of the steps without their item or event type, drawn anew each time: augmentation.

    What is asked for stays, so that the encoder learns to do without a step.
    """
    steps, types = batch.items, batch.kinds
    if items:
        steps = steps.masked_fill(torch.rand(steps.shape, device=steps.device) < items, 0)
    if kinds:
        types = types.masked_fill(torch.rand(types.shape, device=types.device) < kinds, 0)
    return Batch(steps, types, batch.following)


def tensors_of(examples: Examples, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """items, kinds int64 [B, W] and length int64 [B], at least 1."""
    inputs = examples.features.inputs()
    items, kinds, length = (torch.from_numpy(inputs[name]).long().to(device) for name in ("items", "kinds", "length"))
    return items, kinds, length
