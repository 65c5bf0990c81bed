"""The click head of the session task: will the shopper turn to a listed item before the session ends?

It learns on the lists that the model would make at that moment, so that the items that the shopper leaves out count too. Its
logit is the log of the item's share among the candidates (their softmax), corrected by a product of the user's state with the
item's vector. The encoder and the item table do not learn from it: lists are the same with and without it.
`operators/model/click_head.py` serves it.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.chosen import Chosen
from model_export.data.dataset import Examples
from model_export.models.encoders import NextItem

CANDIDATES = 100  # of a list, as the graph gives them
LISTED = 20  # of them are on a list
SMALL = 0.1  # weight of the corrections' mean square in the loss: with few sessions they would learn them by heart


class ClickHead(nn.Module):
    """A user's vector: `user` corrects the logits of items by their vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.user = nn.Linear(width, width + 1)
        self.sharpness = nn.Parameter(torch.tensor(math.log(0.5)))  # log of the weight of the share
        nn.init.zeros_(self.user.weight)
        nn.init.zeros_(self.user.bias)

    def forward(self, state: Tensor) -> Tensor:
        """float [B, width] -> float [B, width + 1], in the unit of the log share: what the graph gives."""
        vector: Tensor = self.user(state)
        return vector

    def corrections(self, state: Tensor, items: Tensor) -> Tensor:
        """float [B, n] of states [B, width] and item vectors [B, n, width]."""
        vector = self(state)
        corrections: Tensor = (items @ vector[:, :-1, None])[..., 0] + vector[:, -1:]
        return corrections

    def logits(self, state: Tensor, items: Tensor, scores: Tensor) -> Tensor:
        """float [B, n] of the first n candidates; `items` [B, n, width]; `scores` [B, K] of all candidates, best first."""
        shares = scores.log_softmax(-1)[:, : items.shape[1]]
        return shares + self.corrections(state, items)

    def loss(self, model: NextItem, state: Tensor, scores: Tensor, batch: Examples, chosen: Chosen) -> Tensor:
        """Cross-entropy on the lists of `batch`; `state` [B, width] and `scores` [B, N + 1] before its events."""
        state, scores = state.detach(), scores.detach()
        best, rows = torch.topk(scores[:, 1:], min(CANDIDATES, scores.shape[1] - 1))
        rows = rows[:, :LISTED] + 1
        items = model.table().detach()[rows]
        labels = torch.from_numpy(chosen.of(batch, rows.cpu().numpy()).astype(np.float32)).to(state.device)
        corrections = self.corrections(state, items)
        logits = self.sharpness.exp() * (best.log_softmax(-1)[:, :LISTED] + corrections)
        return nn.functional.binary_cross_entropy_with_logits(logits, labels) + SMALL * corrections.square().mean()
