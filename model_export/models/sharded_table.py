"""An item table that no process can hold: each of several has every n-th row, and the softmax is over all of them.

Megatron-LM's vocabulary-parallel form (Shoeybi et al., 2019): all processes see the same batch; of a look-up each gives what it has and
the sum is everybody's; of the logits each makes those of its own rows, and only maxima, sums and the target's logit are exchanged, three
numbers a question instead of one an item. `liveshelf train` does not use it: ten million items of width 128 with AdamW's two moments
and a gradient are 20 GB, which one machine holds. Beyond that this is the way (docs/train.md).
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from model_export.training.crew import Crew


class _Summed(torch.autograd.Function):
    """The sum over all processes. Each one's part moves it by one, and all compute the same after it."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad


class _Everybodys(torch.autograd.Function):
    """The same for all, who each use it for other rows: its gradient is the sum over all processes."""

    @staticmethod
    def forward(ctx: Any, same: Tensor) -> Tensor:
        return same.view_as(same)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


class ShardedTable(nn.Module):
    """Rows `rank`, `rank + size`, … of float [N, width] and of a bias [N]; the batch must be the same in all processes."""

    def __init__(self, items: int, width: int, crew: Crew) -> None:
        super().__init__()
        self._crew = crew
        mine = len(range(crew.rank, items, crew.size))
        self.rows = nn.Parameter(torch.empty(mine, width))
        self.bias = nn.Parameter(torch.zeros(mine))
        nn.init.normal_(self.rows, std=width**-0.5)

    def take(self, table: Tensor, bias: Tensor) -> None:
        """This process's share of float [N, width] and [N]."""
        share = slice(self._crew.rank, None, self._crew.size)
        self.rows.data, self.bias.data = table[share].clone(), bias[share].clone()

    def lookup(self, items: Tensor) -> Tensor:
        """int64 [...] to float [..., width]."""
        mine, local = self._of(items)
        found: Tensor = _Summed.apply(self.rows[local] * mine[..., None])
        return found

    def cross_entropy(self, wanted: Tensor, target: Tensor, scale: float) -> Tensor:
        """Mean of -log softmax(scale * wanted @ table.T + bias)[target]; `wanted` float [B, width], `target` int64 [B]."""
        asked: Tensor = _Everybodys.apply(wanted)
        logits = scale * (asked @ self.rows.T) + self.bias
        highest = logits.detach().amax(dim=1)
        dist.all_reduce(highest, op=dist.ReduceOp.MAX)
        total: Tensor = _Summed.apply((logits - highest[:, None]).exp().sum(dim=1))
        mine, local = self._of(target)
        right: Tensor = _Summed.apply(logits.gather(1, local[:, None])[:, 0] * mine)
        return (total.log() + highest - right).mean()

    def _of(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """(float: 1 where this process has the row, int64: its place here, 0 elsewhere)."""
        mine = items % self._crew.size == self._crew.rank
        return mine.to(self.rows.dtype), torch.where(mine, items // self._crew.size, 0)
