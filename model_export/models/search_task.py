"""The search task: maps the words of a query to the vector of the item that followed it.

In a shop without searches, some words of an item's title are the query. Words then have vectors among the items, so
that an item without events gets a vector from its title.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model_export.data.searches import Searches, some_of
from model_export.measures.ranking_metrics import ranks, summary
from model_export.models.encoders import NextItem
from model_export.models.losses import full_softmax
from model_export.models.tasks import TASK_BATCH, Task
from operators.model.query_tower import BUCKETS, QueryTower, buckets, words_of


class SearchHead(nn.Module):
    """The vector of a query among the items, float [B, width] of unit length.

    `bucket_ids`: the hash buckets of the training texts. Other buckets have no row, because each training step would
    move all of them, and untrained parts of a query carry no information.
    """

    row_of: Tensor

    def __init__(self, bucket_ids: Sequence[int], width: int) -> None:
        super().__init__()
        row_of = torch.zeros(BUCKETS + 1, dtype=torch.int64)
        row_of[torch.tensor(bucket_ids, dtype=torch.int64)] = torch.arange(1, len(bucket_ids) + 1)
        self.register_buffer("row_of", row_of)
        self.parts = nn.EmbeddingBag(len(bucket_ids) + 1, width, mode="mean", padding_idx=0)
        self.project = nn.Linear(width, width)
        nn.init.normal_(self.parts.weight, std=width**-0.5)

    def forward(self, parts: Tensor, begins: Tensor) -> Tensor:
        """`parts` int64 [P]: the buckets of all queries; `begins` int64 [B]: where each query's begin."""
        return nn.functional.normalize(self.project(self.parts(self.row_of[parts], begins)), dim=-1)

    def tower(self) -> QueryTower:
        """The tower that serves this head. The projection is linear, so it is applied before the mean."""
        bucket_ids = torch.nonzero(self.row_of)[:, 0]
        with torch.inference_mode():
            parts = self.parts.weight[self.row_of[bucket_ids]] @ self.project.weight.T
            vectors = torch.cat((self.project.bias[None], parts))
        return QueryTower(bucket_ids.numpy().astype(np.int32), vectors.numpy())


class SearchTask(Task):
    """Learns from `titles` and `searches`, half of each batch from either; `queries` are for the metrics."""

    name = "search"
    needs = "no searches, and no titles (--catalogue)"

    def __init__(self, weight: float, titles: Searches, searches: Searches, queries: Searches) -> None:
        super().__init__(weight)
        self._titles, self._searches, self._queries = titles, searches, queries

    @property
    def teaches(self) -> bool:
        """Whether there is a text."""
        return bool(len(self._titles) or len(self._searches))

    def head(self, width: int) -> nn.Module:
        """A `SearchHead`."""
        texts = {*self._titles.texts, *self._searches.texts}
        return SearchHead(sorted({part for text in texts for part in buckets(words_of(text))} - {0}), width)

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean cross-entropy over all items."""
        texts: list[list[str]] = []
        rows: list[int] = []
        sources = [source for source in (self._titles, self._searches) if len(source)]
        for source in sources:
            for index in generator.integers(0, len(source), TASK_BATCH // len(sources)):
                words = words_of(source.texts[index])
                texts.append(some_of(words, generator) if source is self._titles else words)
                rows.append(int(source.rows[index]))
        table = model.table()[1:]
        return full_softmax(
            text_vectors(model, texts),
            table,
            table.new_zeros(len(table)),
            torch.tensor(rows, device=model.device) - 1,
            model.scale,
        )

    def metrics(self, model: NextItem) -> dict[str, float]:
        """R@20, MRR@20 and NDCG@20 over all items."""
        with torch.inference_mode():
            vectors = text_vectors(model, [words_of(text) for text in self._queries.texts])
            scores = (vectors @ model.table().T).cpu().numpy()
        return summary(ranks(scores, self._queries.rows))


def text_vectors(model: NextItem, texts: Sequence[Sequence[str]]) -> Tensor:
    """float [T, width] of unit length: the vectors of these texts (each a sequence of words) among the items."""
    parts = [buckets(words) for words in texts]
    begins = np.cumsum([0, *map(len, parts)])[:-1]
    flat = torch.tensor([part for text_parts in parts for part in text_parts], device=model.device)
    vectors: Tensor = model.tasks[SearchTask.name](flat, torch.from_numpy(begins).to(model.device))
    return vectors
