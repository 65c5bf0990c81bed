"""The transition head: the most frequent followers of the last item compete with the catalogue, like the steps.

Counts say sharply which item follows which; an encoder of some dozens of dimensions smooths that. As in the copy head
(`model_export/models/copying.py`), one softmax: an item's share is its own plus those of its steps and as a follower.
"""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.transition_counts import transition_counts
from model_export.models.copying import MASKED, SILENT

FOLLOWERS = 20  # maximum for an item, the most frequent ones
INITIAL_LOGIT = 8.0  # of a sure follower before the training; an item that fits has 10


def followers(counts: sparse.csr_matrix) -> tuple[Tensor, Tensor]:
    """The most frequent followers of each item, int32 [N + 1, FOLLOWERS], filled up with 0, and their counts, float32 of the
    same shape. `counts` [N + 1, N + 1]: how often item j (column) followed item i.
    """
    items = counts.shape[0] - 1
    row = np.repeat(np.arange(items + 1), np.diff(counts.indptr))
    order = np.lexsort((counts.indices, -counts.data, row))
    rank = np.arange(len(row)) - counts.indptr[row]
    frequent = (rank < FOLLOWERS) & (row > 0)
    rows = np.zeros((items + 1, FOLLOWERS), np.int32)
    frequency = np.zeros((items + 1, FOLLOWERS), np.float32)
    rows[row[frequent], rank[frequent]] = counts.indices[order][frequent]
    frequency[row[frequent], rank[frequent]] = counts.data[order][frequent]
    return torch.from_numpy(rows), torch.from_numpy(frequency)


class TransitionHead(nn.Module):
    """Logits of the last item's followers: high where the counts are high and concentrated."""

    rows: Tensor
    share: Tensor
    seen: Tensor

    def __init__(self, items: int, width: int) -> None:
        super().__init__()
        self.trust = nn.Linear(width, 1)
        self.by_share = nn.Parameter(torch.ones(1))
        self.by_seen = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.trust.weight)
        nn.init.constant_(self.trust.bias, INITIAL_LOGIT)
        # counted, not learned: not part of a checkpoint
        self.register_buffer("rows", torch.zeros((items + 1, FOLLOWERS), dtype=torch.int32), persistent=False)
        self.register_buffer("share", torch.zeros((items + 1, FOLLOWERS)), persistent=False)
        self.register_buffer("seen", torch.zeros(items + 1), persistent=False)

    def count(self, train: Examples) -> None:
        """Counts the followers in these examples."""
        self.take_counts(transition_counts(train, len(self.seen) - 1))

    def take_counts(self, counts: sparse.csr_matrix) -> None:
        """Takes the followers from counts, as `followers` does."""
        rows, frequency = followers(counts)
        totals = frequency.sum(1)
        self.rows.copy_(rows)
        self.share.copy_(((frequency + 1e-9) / (totals[:, None] + 1e-9)).log())
        self.seen.copy_(totals.log1p())

    def grow(self, items: int) -> None:
        """Appends `items` items without followers."""
        for name in ("rows", "share", "seen"):
            buffer = getattr(self, name)
            setattr(self, name, torch.cat((buffer, buffer.new_zeros((items, *buffer.shape[1:])))))

    def silence(self) -> None:
        """Gives followers no share, when there are no users to learn it from."""
        nn.init.constant_(self.trust.bias, SILENT)

    def forward(self, state: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Rows int64 [B, FOLLOWERS] and their logits, `MASKED` without a follower.

        `state` float [B, width]: the encoder's state; `last` int [B]: the row of the last item.
        """
        rows = self.rows.index_select(0, last).long()  # not by [last]: GatherND, which knows no int32 on GPUs
        logits = (
            self.trust(state)
            + self.by_share * self.share.index_select(0, last)
            + self.by_seen * self.seen.index_select(0, last)[:, None]
        )
        return rows, logits.masked_fill(rows == 0, MASKED)
