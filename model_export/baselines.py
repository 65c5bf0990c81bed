"""What every model must beat, on the same split and full ranking: popularity, Markov, VMIS-kNN.

Each scores a batch of `Examples` into float32 [B, N + 1], larger is better.
"""

from collections import defaultdict
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model_export.dataset import Examples

Scores = npt.NDArray[np.float32]
WEEK_MS = 7 * 86_400_000


class Recommender(Protocol):
    """Anything that scores all items for a batch of questions."""

    def scores(self, asked: Examples) -> Scores:
        """float32 [B, N + 1]; column 0 is ignored."""


class Popularity:
    """How often an item came in the last 7 days of the training window."""

    def __init__(self, train: Examples, items: int, window_ms: int = WEEK_MS) -> None:
        recent = train.time_ms > train.time_ms.max() - window_ms
        self._counts = np.bincount(train.target[recent], minlength=items + 1).astype(np.float32)

    def scores(self, asked: Examples) -> Scores:
        """The same row for everyone."""
        return np.broadcast_to(self._counts, (len(asked), len(self._counts)))


class Markov:
    """First-order transitions: how often an item followed the last one in a session; popularity breaks ties."""

    def __init__(self, train: Examples, items: int) -> None:
        self._counts = np.zeros((items + 1, items + 1), dtype=np.float32)
        last = last_items(train)
        np.add.at(self._counts, (last, train.target), 1)
        popular = np.bincount(train.target, minlength=items + 1)
        self._tie = (popular / (popular.sum() + 1) * 1e-3).astype(np.float32)

    def counts(self, rows: npt.NDArray[np.int64]) -> Scores:
        """Transition counts out of these rows, float32 [len(rows), N + 1]."""
        return self._counts[rows]

    def scores(self, asked: Examples) -> Scores:
        """Transition counts of the last item."""
        return self._counts[last_items(asked)] + self._tie


class VmisKnn:
    """VMIS-kNN (Kersbergen, Sprangers and Schelter, SIGMOD 2022): items of the sessions nearest to this one.

    For each item the `m` most recent sessions are kept. A session's similarity is the sum of the position weights
    of the items it shares; the `k` best vote for their items with the weight of the newest shared item and log idf.
    """

    def __init__(self, train: Examples, items: int, m: int = 500, k: int = 100) -> None:
        self._items, self._m, self._k = items, m, k
        sessions: dict[tuple[int, int], set[int]] = defaultdict(set)
        newest: dict[tuple[int, int], int] = {}
        for user, start, item, time in zip(
            train.user.tolist(),
            train.session_start_s.tolist(),
            train.target.tolist(),
            train.time_ms.tolist(),
            strict=True,
        ):
            sessions[user, start].add(item)
            newest[user, start] = time
        order = sorted(sessions, key=lambda key: -newest[key])
        self._sessions = [np.fromiter(sessions[key], dtype=np.int64) for key in order]
        holding: dict[int, list[int]] = defaultdict(list)
        for number, held in enumerate(self._sessions):
            for item in held.tolist():
                if len(holding[item]) < m:
                    holding[item].append(number)
        self._holding = {item: np.array(numbers) for item, numbers in holding.items()}
        seen = np.zeros(items + 1)
        for held in self._sessions:
            seen[held] += 1
        self._idf = np.log(len(self._sessions) / np.maximum(seen, 1)).astype(np.float32)

    def scores(self, asked: Examples) -> Scores:
        """Votes of the nearest sessions."""
        out = np.zeros((len(asked), self._items + 1), dtype=np.float32)
        for row in range(len(asked)):
            self._vote(session_items(asked, row), out[row])
        return out

    def _vote(self, own: list[int], votes: npt.NDArray[np.float32]) -> None:
        similarity: dict[int, float] = defaultdict(float)
        newest: dict[int, int] = {}
        for place, item in enumerate(own, start=1):
            for number in self._holding.get(item, np.empty(0, dtype=np.int64)).tolist():
                similarity[number] += place / len(own)
                newest[number] = place
        best = sorted(similarity, key=lambda number: (-similarity[number], number))[: self._k]
        for number in best:
            age = len(own) - newest[number] + 1
            weight = 1 - 0.1 * age if age < 10 else 0.0
            held = self._sessions[number]
            votes[held] += similarity[number] * weight * self._idf[held]


def last_items(asked: Examples) -> npt.NDArray[np.int32]:
    """Row of each question's newest known item, 0 where there is none."""
    length = asked.features.length
    last: npt.NDArray[np.int32] = asked.features.items[np.arange(len(asked)), np.maximum(length - 1, 0)]
    return last


def session_items(asked: Examples, row: int) -> list[int]:
    """Distinct items of the session in progress, oldest first, each at its newest place.

    At the first step of a session: those of the whole window, as a shop that knows the customer would use them.
    """
    f, length = asked.features, asked.features.length[row]
    window = f.items[row, :length]
    own = (window[f.seconds[row, :length] >= asked.session_start_s[row]]).tolist() or window.tolist()
    return [item for place, item in enumerate(own) if item not in own[place + 1 :]]
