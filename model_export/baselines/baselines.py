"""The simple baselines, on the model's split and with full ranking. VMIS-kNN and ALS are in files of their own.

Each scores a batch of `Examples` into float32 [B, N + 1]; larger is better.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from model_export.data.dataset import Examples
from model_export.data.transition_counts import transition_counts
from operators.time_units import DAY_MS

Scores = npt.NDArray[np.float32]
WEEK_MS = 7 * DAY_MS


class Recommender(Protocol):
    """A model that scores all items for a batch of questions."""

    def scores(self, questions: Examples) -> Scores:
        """float32 [B, N + 1]; column 0 is ignored."""


class Popularity:
    """Counts each item's events in the last 7 days of the training window (or in another `window_ms`)."""

    def __init__(self, train: Examples, items: int, window_ms: int = WEEK_MS) -> None:
        recent = train.time_ms > train.time_ms.max() - window_ms
        self._counts = np.bincount(train.target[recent], minlength=items + 1).astype(np.float32)

    def scores(self, questions: Examples) -> Scores:
        """The same row for everyone."""
        return np.broadcast_to(self._counts, (len(questions), len(self._counts)))


class SessionPopularity:
    """Counts each item's events in the session in progress; popularity breaks ties and fills the list."""

    def __init__(self, train: Examples, items: int) -> None:
        self._tie = _popularity(train, items)

    def scores(self, questions: Examples) -> Scores:
        """Counts in the session."""
        scores = np.tile(self._tie, (len(questions), 1))
        own = questions.in_session()
        np.add.at(scores, (np.nonzero(own)[0], questions.features.items[own]), 1)
        return scores


class Markov:
    """First-order transitions: how often an item followed the last one in a session; popularity breaks ties."""

    def __init__(self, train: Examples, items: int) -> None:
        self._counts = transition_counts(train, items)
        self._tie = _popularity(train, items)

    def counts(self, rows: npt.NDArray[np.integer]) -> Scores:
        """Transition counts out of these rows, float32 [len(rows), N + 1]."""
        return np.asarray(self._counts[rows].todense())

    def scores(self, questions: Examples) -> Scores:
        """Transition counts of the last item."""
        return self.counts(questions.last_items()) + self._tie


class ItemKnn:
    """Items that share sessions with the last item: cosine of their sessions, damped for rare items.

    As in the session-rec framework: c(i, j) / sqrt((n(i) + 20) (n(j) + 20)).
    """

    def __init__(self, train: Examples, items: int, damping: float = 20.0) -> None:
        holds = holdings(train, items)
        inverse_norm = 1 / np.sqrt(np.asarray(holds.sum(axis=0)).ravel() + damping)
        together = (holds.T @ holds).tocsr()
        together.setdiag(0)
        self._similar = sparse.diags(inverse_norm) @ together @ sparse.diags(inverse_norm)
        self._tie = _popularity(train, items) * 1e-3

    def scores(self, questions: Examples) -> Scores:
        """Similarities of the last item."""
        return np.asarray(self._similar[questions.last_items()].todense(), dtype=np.float32) + self._tie


def _popularity(train: Examples, items: int) -> Scores:
    """Each item's share of all events, scaled below 1e-3 so that it only breaks ties between counts."""
    popular = np.bincount(train.target, minlength=items + 1)
    return (popular / (popular.sum() + 1) * 1e-3).astype(np.float32)


def holdings(train: Examples, items: int) -> sparse.csr_matrix:
    """float32 [sessions, N + 1]: 1 where a session holds an item."""
    number = session_numbers(train)
    holds = sparse.csr_matrix(
        (np.ones(len(train), np.float32), (number, train.target)), shape=(number.max() + 1, items + 1)
    )
    holds.data[:] = 1
    return holds


def session_numbers(train: Examples) -> npt.NDArray[np.int64]:
    """int64 [B]: the number of each example's session; session 0 ended last."""
    key = train.user.astype(np.int64) << 32 | train.session_start_s.astype(np.int64)
    _, number = np.unique(key, return_inverse=True)
    end_ms = np.zeros(number.max() + 1, dtype=np.int64)
    np.maximum.at(end_ms, number, train.time_ms)
    by_recency = np.empty_like(end_ms)
    by_recency[np.argsort(-end_ms, kind="stable")] = np.arange(len(end_ms))
    return by_recency[number]


def session_items(questions: Examples, row: int) -> list[int]:
    """Distinct items of the session in progress, oldest first; a repeated item keeps its newest position."""
    own = questions.features.items[row][questions.in_session(row)].tolist()
    return [item for position, item in enumerate(own) if item not in own[position + 1 :]]
