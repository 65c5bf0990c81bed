"""Shoppers come back to what they looked at: the steps themselves compete with the catalogue.

CopyNet's form (Gu et al., ACL 2016): one softmax over all items and over the steps, and an item's share is the sum of its own and
of the steps that were at it, so that what was met often ranks high. The head learns from users whom the encoder
has never seen: on its own examples an encoder remembers what came next and would need no copy of it.
"""

import torch
from torch import Tensor, nn

OUT = -1e9  # a logit without a share
BEGIN = 6.0  # the logit of a step before anything is learned: an item that fits has 10
SILENT = -1e4


class CopyHead(nn.Module):
    """Logits of steps, and how much the encoder's own count beside them: it is too sure of itself on new users."""

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.repeats = nn.Linear(width, 1)
        self.by_age = nn.Parameter(torch.zeros(window))
        self.log_trust = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.repeats.weight)
        nn.init.constant_(self.repeats.bias, BEGIN)

    @property
    def trust(self) -> Tensor:
        """float [1]: what the encoder's logits are multiplied with."""
        return self.log_trust.exp()

    def silence(self) -> None:
        """Steps have no share: there was nobody to learn it from."""
        nn.init.zeros_(self.log_trust)
        nn.init.constant_(self.repeats.bias, SILENT)

    def forward(self, state: Tensor, steps: Tensor, items: Tensor, last: Tensor) -> Tensor:
        """float [B, W]: the logits of the steps until `last`, int [B]; `OUT` elsewhere.

        `found` float [B, width]: the encoder's answer at `last`; `steps` float [B, W, width]; `items` int [B, W].
        """
        age = last[:, None] - torch.arange(items.shape[1], device=items.device)
        of_steps = (self.query(state)[:, None, :] @ steps.transpose(1, 2))[:, 0]
        logits = of_steps + self.repeats(state) + self.by_age[age.clamp(min=0)]
        return logits.masked_fill((age < 0) | (items == 0), OUT)


def combined(scores: Tensor, copies: Tensor, items: Tensor) -> Tensor:
    """float [B, N + 1]: log of the sum of an item's own share and those of its steps; `copies` as `CopyHead` gives them."""
    same = items[:, :, None] == items[:, None, :]
    shares = log_sum(copies[:, None, :].masked_fill(~same, OUT))
    own = scores.gather(1, items)
    # padding writes into row 0, which is nobody's
    return scores.scatter(1, items, torch.maximum(own, shares) + torch.log1p(torch.exp(-(own - shares).abs())))


def log_sum(logits: Tensor) -> Tensor:
    """log of the sum of exp over the last dimension, in operations that every runtime has."""
    highest = logits.amax(-1, keepdim=True)
    return ((logits - highest).exp().sum(-1, keepdim=True).log() + highest)[..., 0]


def copy_loss(scores: Tensor, copies: Tensor, items: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of `target` int [B], rows of `scores` float [B, N + 1], under the combined shares."""
    of_target = scores.gather(1, target[:, None])[:, 0]
    met = copies.masked_fill(items != target[:, None], OUT)
    right = torch.logaddexp(of_target, torch.logsumexp(met, 1))
    total = torch.logaddexp(torch.logsumexp(scores[:, 1:], 1), torch.logsumexp(copies, 1))
    return (total - right).mean()
