"""Candidates -> the places of a list: what may not be shown is taken out, what was shown often goes last,
categories are capped, and near-copies are spread (MMR). All for a whole micro-batch at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.features import Features, Rows, Vocabulary
from operators.settings import ListSettings
from operators.user_state import IN_BASKET, TAKEN_OUT

GOOD, TIRED, FORBIDDEN = 0, 1, 2
POOL = 3  # MMR and the cap choose among POOL times the list's size


@dataclass(frozen=True)
class Ranked:
    """`rows` int32 and `scores` float32, both [B, size], best first; row 0 (score 0) where candidates ran out."""

    rows: Rows
    scores: npt.NDArray[np.float32]


class Ranker:
    """Applies a shop's list rules to scored candidates."""

    def __init__(self, vocabulary: Vocabulary, vectors: npt.NDArray[np.float32], rules: ListSettings) -> None:
        """`vectors`: [N + 1, d], rows of length 1 (or 0)."""
        self._low_hashes = vocabulary.low_hashes
        self._vectors = vectors
        self._rules = rules

    def rank(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float32],
        states: npt.NDArray[Any],
        features: Features,
        allowed: npt.NDArray[np.bool_],
        categories: npt.NDArray[np.int32],
    ) -> Ranked:
        """`rows`, `scores`: [B, K], best first; `states`: dtype STATE [B]; `allowed`, `categories`: by model row."""
        verdict = self.verdict(rows, states, features, allowed)
        if len(mixed := np.flatnonzero(verdict.any(axis=1))):  # all others are in order
            order = np.argsort(verdict[mixed], axis=1, kind="stable")
            rows, scores = rows.copy(), scores.copy()
            for one in (rows, scores, verdict):
                one[mixed] = np.take_along_axis(one[mixed], order, axis=1)
        out = verdict == FORBIDDEN
        size, rules = min(self._rules.size, rows.shape[1]), self._rules
        if rules.diversity or rules.max_per_category:
            pool = min(POOL * size, rows.shape[1])
            picked = self._spread(rows[:, :pool], scores[:, :pool], ~out[:, :pool], categories, size)
            rows, scores = np.take_along_axis(rows, picked, axis=1), np.take_along_axis(scores, picked, axis=1)
            out = np.take_along_axis(out, picked, axis=1) | (picked < 0)
        else:
            rows, scores, out = rows[:, :size].copy(), scores[:, :size].copy(), out[:, :size]
        rows[out], scores[out] = 0, 0.0
        return Ranked(rows, scores)

    def verdict(
        self, rows: Rows, states: npt.NDArray[Any], features: Features, allowed: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.uint8]:
        """uint8 [B, K]: GOOD, TIRED (shown often without a click) or FORBIDDEN, for each candidate."""
        forbidden = ~allowed[rows]
        if self._rules.hide_in_basket:
            basket = basket_rows(states, features)
            if basket.any():
                forbidden |= _any_equal(rows, basket)
        if self._rules.hide_bought and states["bought"].any():
            forbidden |= _any_equal(self._low_hashes[rows], states["bought"])
        verdict = np.where(forbidden, np.uint8(FORBIDDEN), np.uint8(GOOD))
        if self._rules.fatigue_after:
            tired = states["shown"] >= self._rules.fatigue_after
            if tired.any():
                often = _any_equal(self._low_hashes[rows], np.where(tired, states["shown_item"], np.uint32(0)))
                verdict[often & ~forbidden] = TIRED
        return verdict

    def _spread(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float32],
        usable: npt.NDArray[np.bool_],
        categories: npt.NDArray[np.int32],
        size: int,
    ) -> npt.NDArray[np.intp]:
        """Greedy choice of `size` of the pool, -1 where none is left.

        MMR (Carbonell and Goldstein, SIGIR 1998): argmax (1 - w) * relevance - w * max similarity to the chosen,
        with the scores scaled to 0-1 within the pool; at most `max_per_category` of one category.
        """
        weight, cap = self._rules.diversity, self._rules.max_per_category
        users = np.arange(len(rows))
        low = scores.min(axis=1, keepdims=True)
        span = np.maximum(scores.max(axis=1, keepdims=True) - low, 1e-9)
        gain = (1 - weight) * (scores - low) / span
        free = usable.copy()
        nearest = np.zeros_like(gain)
        vectors, codes = self._vectors[rows], categories[rows]
        taken = np.zeros(rows.shape, dtype=np.int32)
        picked = np.empty((len(rows), size), dtype=np.intp)
        for place in range(size):
            value = np.where(free, gain - weight * nearest, -np.inf)
            best = value.argmax(axis=1)
            picked[:, place] = np.where(free[users, best], best, -1)
            if weight:
                chosen = vectors[users, best]
                np.maximum(nearest, np.einsum("bkd,bd->bk", vectors, chosen), out=nearest)
            if cap:
                same = (codes == codes[users, best][:, None]) & (codes > 0)
                taken += same
                free &= ~(same & (taken >= cap))
            free[users, best] = False
        return picked


def basket_rows(states: npt.NDArray[Any], features: Features) -> Rows:
    """[B, W] rows of what lies in the basket now: added in this session and not taken out since; 0 elsewhere."""
    in_session = features.seconds >= states["session_start_s"][:, None]
    added = (features.kinds == IN_BASKET) & in_session
    removed = features.kinds == TAKEN_OUT
    if removed.any():
        same = features.items[:, :, None] == features.items[:, None, :]
        later = np.triu(np.ones((added.shape[1],) * 2, dtype=bool), 1)
        added &= ~(same & later & removed[:, None, :]).any(axis=2)
    return np.where(added, features.items, np.int32(0))


def _any_equal(values: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """[B, K], [B, M] -> bool [B, K]: whether a value is among the wanted that are not 0."""
    used = np.flatnonzero(wanted.any(axis=0))
    found = np.zeros(values.shape, dtype=bool)
    for column in used:
        mine = wanted[:, column, None]
        found |= (values == mine) & (mine != 0)
    return found
