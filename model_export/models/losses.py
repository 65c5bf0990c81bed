"""Softmax losses over a large item table, without a second copy of the logits."""

import math
from typing import Any

import torch
from torch import Tensor

ROWS = 256  # logits in memory at a time: with 43,000 items 44 MB


class _TableCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(scale * wanted @ table.T + bias)[target]; its gradients are made in the forward pass."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, table: Tensor, bias: Tensor, target: Tensor, scale: float) -> Tensor:
        count = len(target)
        of_vectors, of_table, of_bias = torch.empty_like(vectors), torch.zeros_like(table), torch.zeros_like(bias)
        loss = vectors.new_zeros(())
        scaled = vectors * scale
        for begin in range(0, count, ROWS):
            rows, goal = scaled[begin : begin + ROWS], target[begin : begin + ROWS, None]
            logits = torch.addmm(bias, rows, table.T)
            right = logits.gather(1, goal)
            highest = logits.amax(dim=1, keepdim=True)
            total = logits.sub_(highest).exp_().sum(dim=1, keepdim=True)
            loss += (total.log() + highest - right).sum()
            logits.div_(total * count)
            logits.scatter_add_(1, goal, torch.full_like(right, -1 / count))
            of_vectors[begin : begin + ROWS] = torch.mm(logits, table).mul_(scale)
            of_table.addmm_(logits.T, rows)
            of_bias += logits.sum(dim=0)
        ctx.save_for_backward(of_vectors, of_table, of_bias)
        return loss / count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # type: ignore[override]
        of_vectors, of_table, of_bias = ctx.saved_tensors
        return of_vectors * grad, of_table * grad, of_bias * grad, None, None


def full_softmax(vectors: Tensor, table: Tensor, bias: Tensor, target: Tensor, scale: float) -> Tensor:
    """Mean cross-entropy over all rows. `wanted` float [B, d], `table` float [N, d], `bias` [N], `target` int [B]."""
    result: Tensor = _TableCrossEntropy.apply(vectors, table, bias, target, scale)
    return result


def sampled_softmax(
    vectors: Tensor, table: Tensor, bias: Tensor, target: Tensor, scale: float, negatives: Tensor
) -> Tensor:
    """Mean cross-entropy of each target against `negatives` int [M], uniform and shared by the batch.

    Accidental hits are left out. Uniform negatives stand for all N rows, so their logits rise by log(N / M)
    (Bengio and Senecal, 2008: the correction of a proposal's probability).
    """
    right = scale * (vectors * table[target]).sum(-1, keepdim=True) + bias[target][:, None]
    negative_logits = scale * (vectors @ table[negatives].T) + bias[negatives] + math.log(len(table) / len(negatives))
    negative_logits = negative_logits.masked_fill(negatives[None, :] == target[:, None], float("-inf"))
    return (torch.logsumexp(torch.cat((right, negative_logits), dim=1), dim=1) - right[:, 0]).mean()
