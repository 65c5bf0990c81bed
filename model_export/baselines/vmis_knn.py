"""VMIS-kNN: recommends items of the sessions nearest to the session in progress."""

import numpy as np
import numpy.typing as npt

from model_export.baselines.baselines import Scores, session_items, session_numbers
from model_export.data.dataset import Examples


class VmisKnn:
    """VMIS-kNN (Kersbergen, Sprangers and Schelter, SIGMOD 2022).

    For each item the `m` most recent sessions are kept. A session's similarity is the sum of the position weights
    of the items it shares; the `k` best vote for their items with the weight of the newest shared item and log idf.
    """

    def __init__(self, train: Examples, items: int, m: int = 500, k: int = 100) -> None:
        self._items, self._k = items, k
        session = session_numbers(train)  # 0 is the newest
        pairs = np.unique(np.stack((session, train.target.astype(np.int64))), axis=1)
        self._session_items, self._session_items_from = pairs[1], _starts(pairs[0], int(session.max()) + 1)
        by_item = np.lexsort((pairs[0], pairs[1]))
        item, holder = pairs[1][by_item], pairs[0][by_item]
        recency = np.arange(len(item)) - _starts(item, items + 1)[item]
        newest = recency < m
        self._holders, self._holders_from = holder[newest], _starts(item[newest], items + 1)
        support = np.bincount(pairs[1], minlength=items + 1)
        self._idf = np.log((int(session.max()) + 1) / np.maximum(support, 1)).astype(np.float32)

    def scores(self, questions: Examples) -> Scores:
        """Votes of the nearest sessions."""
        scores = np.zeros((len(questions), self._items + 1), dtype=np.float32)
        for row in range(len(questions)):
            self._vote(np.array(session_items(questions, row), dtype=np.int64), scores[row])
        return scores

    def _vote(self, own: npt.NDArray[np.int64], votes: npt.NDArray[np.float32]) -> None:
        start, end = self._holders_from[own], self._holders_from[own + 1]
        holders = [self._holders[a:b] for a, b in zip(start, end, strict=True)]
        if not sum(map(len, holders)):
            return
        position = np.repeat(np.arange(1, len(own) + 1), end - start)
        session, neighbour = np.unique(np.concatenate(holders), return_inverse=True)
        similarity = np.bincount(neighbour, weights=position / len(own))
        newest = np.zeros(len(session), dtype=np.int64)
        newest[neighbour] = position  # places rise, so that the last one written is the newest
        nearest = np.lexsort((session, -similarity))[: self._k]
        age = len(own) - newest[nearest] + 1
        weight = similarity[nearest] * np.where(age < 10, 1 - 0.1 * age, 0.0)
        for number, session_weight in zip(session[nearest], weight, strict=True):
            items = self._session_items[self._session_items_from[number] : self._session_items_from[number + 1]]
            votes[items] += session_weight * self._idf[items]


def _starts(numbers: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.int64]:
    """Where each group begins in sorted `numbers`, and the end: [groups + 1]."""
    return np.searchsorted(numbers, np.arange(groups + 1))
