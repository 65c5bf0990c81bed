"""Chooses the windows of histories for an epoch, and makes their tensors."""

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
CUT = 0.02  # maximum share of views whose session is longer than the window


@dataclass(frozen=True)
class Batch:
    """B windows: `items`, `kinds` int64 [B, W]; `next_items` int64 [B, W]: the item after each step, 0: no question."""

    items: Tensor
    kinds: Tensor
    next_items: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(self.items.to(device), self.kinds.to(device), self.next_items.to(device))


def window_for(sessions: Sequence[Sequence[str]], usual: int) -> int:
    """The usual window, or the longest (`HISTORY`) if the usual one would cut the history of more than `CUT` of the views."""
    views = sum(len(items) for items in sessions)
    cut = sum(max(len(items) - 1 - usual, 0) for items in sessions)
    return max(usual, HISTORY) if cut > CUT * views else usual


def covering(train: Examples, generator: np.random.Generator, hop: int = 1) -> npt.NDArray[np.int64]:
    """Examples whose windows together cover all examples: each user's last, and one for each half window before it.

    `hop`: of the windows (`operators.shopper.features.window_starts`). In random order; the cuts of long histories change from epoch to epoch. In a small shop the examples repeat, so that an
    epoch has some dozens of batches.
    """
    passes = [_one_pass(train, generator, hop)]
    while sum(map(len, passes)) < AT_LEAST and len(passes[0]):
        passes.append(_one_pass(train, generator, hop))
    return generator.permutation(np.concatenate(passes))


def _one_pass(train: Examples, generator: np.random.Generator, hop: int) -> npt.NDArray[np.int64]:
    window = train.features.items.shape[1]
    full = window - hop + 1  # steps of a full window at least
    spacing = max(min(window // 2, full), 1)
    order = np.argsort(train.user, kind="stable")
    user = train.user[order]
    last = np.searchsorted(user, user, side="right") - 1
    to_last = last - np.arange(len(user))
    cut = generator.integers(0, spacing, user.max() + 1)[user]
    cut_here = (train.features.length[order[last]] >= full) & (to_last > spacing // 2) & (to_last % spacing == cut)
    rows: npt.NDArray[np.int64] = order[(to_last == 0) | cut_here]
    return rows[train.features.length[rows] > 0]


def batches(
    train: Examples, rows: npt.NDArray[np.int64], steps: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """`rows` in groups of about `steps` steps, with windows of similar length to save padding.

    Groups have equal numbers of steps, not of windows; else a step of a short session would weigh more than one of a long
    session. The groups come in random order.
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
    """The windows that end before these examples. Negative steps (removed from the basket) are never a target."""
    f = train.features
    items = torch.from_numpy(f.items[rows].astype(np.int64))
    kinds = torch.from_numpy(f.kinds[rows].astype(np.int64))
    length = torch.from_numpy(f.length[rows].astype(np.int64))
    next_items = torch.zeros_like(items)
    next_items[:, :-1] = torch.where(torch.isin(kinds[:, 1:], torch.tensor(NEGATIVE_KINDS)), 0, items[:, 1:])
    next_items[torch.arange(len(rows)), length - 1] = torch.from_numpy(train.target[rows].astype(np.int64))
    longest = int(length.max())  # shorter tensors where all windows of the batch are short
    return Batch(items[:, :longest], kinds[:, :longest], next_items[:, :longest])


def mask_steps(batch: Batch, items: float, kinds: float) -> Batch:
    """Augmentation: hides the items and event types of random steps; `items` and `kinds` are the shares.

    The targets stay, so that the encoder learns to work without a step.
    """
    steps, types = batch.items, batch.kinds
    if items:
        steps = steps.masked_fill(torch.rand(steps.shape, device=steps.device) < items, 0)
    if kinds:
        types = types.masked_fill(torch.rand(types.shape, device=types.device) < kinds, 0)
    return Batch(steps, types, batch.next_items)


def tensors_of(examples: Examples, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """items, kinds int64 [B, W] and length int64 [B], at least 1."""
    inputs = examples.features.inputs()
    items, kinds, length = (torch.from_numpy(inputs[name]).long().to(device) for name in ("items", "kinds", "length"))
    return items, kinds, length
