"""What came next in the shop after this item: its followers by count compete with the catalogue, as the steps do.

An encoder of some dozens of dimensions smooths over what the counts say sharply: which item follows which. The form is the copy head's
(`model_export/models/copying.py`): one softmax, and an item's share is the sum of its own, of its steps' and of this.
"""

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.transition_counts import transition_counts
from model_export.models.copying import OUT, SILENT

FOLLOWERS = 20  # of an item, the most frequent ones
BEGIN = 8.0  # the logit of a sure follower before anything is learned: an item that fits has 10


def followers(train: Examples, items: int) -> tuple[Tensor, Tensor]:
    """Rows of what most often came after each item, int32 [N + 1, FOLLOWERS], most frequent first, 0 where there are fewer;
    and how often it did, float32 of the same shape.
    """
    counts = transition_counts(train, items)
    row = np.repeat(np.arange(items + 1), np.diff(counts.indptr))
    order = np.lexsort((counts.indices, -counts.data, row))
    place = np.arange(len(row)) - counts.indptr[row]
    frequent = (place < FOLLOWERS) & (row > 0)
    rows = np.zeros((items + 1, FOLLOWERS), np.int32)
    often = np.zeros((items + 1, FOLLOWERS), np.float32)
    rows[row[frequent], place[frequent]] = counts.indices[order][frequent]
    often[row[frequent], place[frequent]] = counts.data[order][frequent]
    return torch.from_numpy(rows), torch.from_numpy(often)


class TransitionHead(nn.Module):
    """Logits of the last item's followers: sure where the counts are many and agree."""

    rows: Tensor
    share: Tensor
    seen: Tensor

    def __init__(self, items: int, width: int) -> None:
        super().__init__()
        self.trust = nn.Linear(width, 1)
        self.by_share = nn.Parameter(torch.ones(1))
        self.by_seen = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.trust.weight)
        nn.init.constant_(self.trust.bias, BEGIN)
        # counted, not learned: a checkpoint need not hold them
        self.register_buffer("rows", torch.zeros((items + 1, FOLLOWERS), dtype=torch.int32), persistent=False)
        self.register_buffer("share", torch.zeros((items + 1, FOLLOWERS)), persistent=False)
        self.register_buffer("seen", torch.zeros(items + 1), persistent=False)

    def count(self, train: Examples) -> None:
        """Takes the followers from these examples."""
        rows, often = followers(train, len(self.seen) - 1)
        totals = often.sum(1)
        self.rows.copy_(rows)
        self.share.copy_(((often + 1e-9) / (totals[:, None] + 1e-9)).log())
        self.seen.copy_(totals.log1p())

    def grow(self, items: int) -> None:
        """So many items more, which nothing followed."""
        for name in ("rows", "share", "seen"):
            counted = getattr(self, name)
            setattr(self, name, torch.cat((counted, counted.new_zeros((items, *counted.shape[1:])))))

    def silence(self) -> None:
        """Followers have no share: there was nobody to learn it from."""
        nn.init.constant_(self.trust.bias, SILENT)

    def forward(self, state: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Rows int64 [B, FOLLOWERS] and their logits, `OUT` where there is none.

        `found` float [B, width]: the encoder's answer; `last` int [B]: the row of the last item.
        """
        rows = self.rows.index_select(0, last).long()  # not by [last]: GatherND, which knows no int32 on GPUs
        logits = (
            self.trust(state)
            + self.by_share * self.share.index_select(0, last)
            + self.by_seen * self.seen.index_select(0, last)[:, None]
        )
        return rows, logits.masked_fill(rows == 0, OUT)
