"""Softmax losses over a large item table, without a second copy of the logits."""

import math
from typing import Any

import torch
from torch import Tensor

ROWS = 256  # rows of logits in memory at a time: with 43,000 items 44 MB


class _TableCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(scale * vectors @ table.T + bias)[target]; the forward pass computes the gradients."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, table: Tensor, bias: Tensor, target: Tensor, scale: float) -> Tensor:
        count = len(target)
        of_vectors, of_table, of_bias = torch.empty_like(vectors), torch.zeros_like(table), torch.zeros_like(bias)
        loss = vectors.new_zeros(())
        scaled = vectors * scale
        for start in range(0, count, ROWS):
            rows, goal = scaled[start : start + ROWS], target[start : start + ROWS, None]
            logits = torch.addmm(bias, rows, table.T)
            target_logits = logits.gather(1, goal)
            highest = logits.amax(dim=1, keepdim=True)
            total = logits.sub_(highest).exp_().sum(dim=1, keepdim=True)
            loss += (total.log() + highest - target_logits).sum()
            logits.div_(total * count)
            logits.scatter_add_(1, goal, torch.full_like(target_logits, -1 / count))
            of_vectors[start : start + ROWS] = torch.mm(logits, table).mul_(scale)
            of_table.addmm_(logits.T, rows)
            of_bias += logits.sum(dim=0)
        ctx.save_for_backward(of_vectors, of_table, of_bias)
        return loss / count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # type: ignore[override]
        of_vectors, of_table, of_bias = ctx.saved_tensors
        return of_vectors * grad, of_table * grad, of_bias * grad, None, None


def full_softmax(vectors: Tensor, table: Tensor, bias: Tensor, target: Tensor, scale: float) -> Tensor:
    """Mean cross-entropy over all rows. `vectors` float [B, d], `table` float [N, d], `bias` [N], `target` int [B]."""
    result: Tensor = _TableCrossEntropy.apply(vectors, table, bias, target, scale)
    return result


def sampled_softmax(
    vectors: Tensor, table: Tensor, bias: Tensor, target: Tensor, scale: float, negatives: Tensor
) -> Tensor:
    """Mean cross-entropy of each target against `negatives` int [M], uniform and shared by the batch.

    Accidental hits are masked. Uniform negatives represent all N rows, so their logits rise by log(N / M)
    (Bengio and Senecal, 2008: correction for the probability of the proposal).
    """
    target_logits = scale * (vectors * table[target]).sum(-1, keepdim=True) + bias[target][:, None]
    negative_logits = scale * (vectors @ table[negatives].T) + bias[negatives] + math.log(len(table) / len(negatives))
    negative_logits = negative_logits.masked_fill(negatives[None, :] == target[:, None], float("-inf"))
    return (torch.logsumexp(torch.cat((target_logits, negative_logits), dim=1), dim=1) - target_logits[:, 0]).mean()
