"""The copy head: shoppers come back to items they looked at, so the steps compete with the catalogue.

CopyNet's form (Gu et al., ACL 2016): one softmax over all items and all steps. An item's share is its own plus those of
its steps, so that items seen often rank high. The head learns from users whom the encoder does not see: on its own
examples an encoder memorises the next item, and the head would learn that copies are useless.
"""

import torch
from torch import Tensor, nn

MASKED = -1e9  # a logit without a share
INITIAL_LOGIT = 6.0  # of a step before the training; an item that fits has 10
SILENT = -1e4


class CopyHead(nn.Module):
    """Logits of the steps, and the trust in the encoder's logits beside them: it is overconfident on new users."""

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.repeats = nn.Linear(width, 1)
        self.by_age = nn.Parameter(torch.zeros(window))
        self.log_trust = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.repeats.weight)
        nn.init.constant_(self.repeats.bias, INITIAL_LOGIT)

    @property
    def trust(self) -> Tensor:
        """float [1]: the factor of the encoder's logits."""
        return self.log_trust.exp()

    def silence(self) -> None:
        """Gives steps no share, when there are no users to learn it from."""
        nn.init.zeros_(self.log_trust)
        nn.init.constant_(self.repeats.bias, SILENT)

    def forward(self, state: Tensor, steps: Tensor, items: Tensor, last: Tensor) -> Tensor:
        """float [B, W]: the logits of the steps until `last`, int [B]; `MASKED` elsewhere.

        `state` float [B, width]: the encoder's state at `last`; `steps` float [B, W, width]; `items` int [B, W].
        """
        age = last[:, None] - torch.arange(items.shape[1], device=items.device)
        of_steps = (self.query(state)[:, None, :] @ steps.transpose(1, 2))[:, 0]
        logits = of_steps + self.repeats(state) + self.by_age[age.clamp(min=0)]
        return logits.masked_fill((age < 0) | (items == 0), MASKED)


def combined(scores: Tensor, copies: Tensor, items: Tensor) -> Tensor:
    """float [B, N + 1]: log of the sum of each item's own share and those of its steps. `copies`: logits of `CopyHead`."""
    same = items[:, :, None] == items[:, None, :]
    shares = log_sum(copies[:, None, :].masked_fill(~same, MASKED))
    own = scores.gather(1, items)
    # padding writes into row 0, which is no item
    return scores.scatter(1, items, torch.maximum(own, shares) + torch.log1p(torch.exp(-(own - shares).abs())))


def log_sum(logits: Tensor) -> Tensor:
    """logsumexp over the last dimension, in operations that every runtime has."""
    highest = logits.amax(-1, keepdim=True)
    return ((logits - highest).exp().sum(-1, keepdim=True).log() + highest)[..., 0]


def copy_loss(scores: Tensor, copies: Tensor, items: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of `target` int [B], rows of `scores` float [B, N + 1], under the combined shares."""
    of_target = scores.gather(1, target[:, None])[:, 0]
    copies_of_target = copies.masked_fill(items != target[:, None], MASKED)
    target_logit = torch.logaddexp(of_target, torch.logsumexp(copies_of_target, 1))
    total = torch.logaddexp(torch.logsumexp(scores[:, 1:], 1), torch.logsumexp(copies, 1))
    return (total - target_logit).mean()
