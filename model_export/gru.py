"""The `small` model: a GRU over item and event-type embeddings, item table tied to the output (GRU4Rec's family)."""

import torch
from torch import Tensor, nn

from operators.features import WINDOW
from operators.user_state import KINDS


class SmallGru(nn.Module):
    """items, kinds int [B, W], right-padded with 0 -> hidden states; scores are inner products with the item table."""

    def __init__(self, items: int, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, width, padding_idx=0)
        self.kinds = nn.Embedding(len(KINDS) + 1, width, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.project = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(items + 1))
        nn.init.normal_(self.items.weight, std=width**-0.5)
        nn.init.normal_(self.kinds.weight, std=0.1)

    def hidden(self, items: Tensor, kinds: Tensor) -> Tensor:
        """float [B, W, width]: what is wanted after each step."""
        steps = self.dropout(self.items(items) + self.kinds(kinds))
        states, _ = self.gru(steps)
        return self.project(self.dropout(states))

    def scores_of(self, wanted: Tensor) -> Tensor:
        """float [..., width] -> scores of all rows [..., N + 1]."""
        return wanted @ self.items.weight.T + self.bias

    def scores(self, items: Tensor, kinds: Tensor, length: Tensor) -> Tensor:
        """float [B, N + 1] after each user's last step; `length` int [B], at least 1."""
        states = self.hidden(items, kinds)
        last = (length.long() - 1)[:, None, None].expand(-1, 1, states.shape[2])
        return self.scores_of(states.gather(1, last)[:, 0])


class TopK(nn.Module):
    """What is exported: the k best rows, best first, without the padding row."""

    def __init__(self, model: SmallGru, k: int) -> None:
        super().__init__()
        self.model = model
        self.k = k

    def forward(self, items: Tensor, kinds: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """int32 [B, W] twice and int32 [B] -> float32 [B, k], int32 [B, k]."""
        scores = self.model.scores(items.long(), kinds.long(), length)[:, 1:]
        best, rows = torch.topk(scores, self.k)
        return best, (rows + 1).int()


def example_inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of the right shapes and types for tracing."""
    items = torch.ones((batch, WINDOW), dtype=torch.int32)
    return items, items.clone(), torch.full((batch,), 3, dtype=torch.int32)
