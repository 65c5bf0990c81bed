"""Candidates -> ranked lists, for a whole micro-batch at once: removes forbidden items, moves often shown items to the end,
caps categories and brands, and spreads similar items (MMR)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.configuration.shop_settings import ListSettings
from operators.experiments.effects import Effects
from operators.shopper.features import Rows, Vocabulary
from operators.shopper.state_layout import HISTORY
from operators.shopper.user_state import IN_BASKET, TAKEN_OUT

GOOD, TIRED, FORBIDDEN = 0, 1, 2
POOL = 3  # MMR and the caps choose among POOL times the list's size

LowHashes = npt.NDArray[np.uint32]  # low 32 bits of items' hashes, 0: none
Caps = list[tuple[npt.NDArray[np.int32], int]]  # codes by row, and how many of a code above 0 a list may have


@dataclass(frozen=True)
class Ranked:
    """`rows` int32 and `scores` float32, both [B, size], best first; row 0 (score 0) where candidates ran out, and behind the
    end of a list that is shorter than others of the batch. `sizes`: int [B], where an arm sets sizes; None: all have `size`.

    `others` int32 [B, K]: candidates that the rules allow and the list does not have, row 0 at the other places; with
    `other_scores`. Without places where nobody asked for them, and where an arm sets sizes.
    """

    rows: Rows
    scores: npt.NDArray[np.float32]
    others: Rows
    other_scores: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.intp] | None = None

    @property
    def last(self) -> Rows:
        """The row of each list's last place, [B]."""
        return self.rows[:, -1] if self.sizes is None else self.rows[np.arange(len(self.rows)), self.sizes - 1]


class Ranker:
    """Applies a shop's list rules to scored candidates."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        vectors: npt.NDArray[np.float32],
        rules: ListSettings,
        *,
        with_others: bool = False,
    ) -> None:
        """`vectors`: [N + 1, d], rows of length 1 (or 0). `with_others`: as in `Ranked`."""
        self._low_hashes = vocabulary.low_hashes
        self._vectors = vectors
        self._rules = rules
        self._with_others = with_others

    def rank(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float32],
        states: npt.NDArray[Any],
        allowed: npt.NDArray[np.bool_],
        categories: npt.NDArray[np.int32],
        brands: npt.NDArray[np.int32],
        effects: Sequence[Effects] = (),
    ) -> Ranked:
        """`rows`, `scores`: [B, K], best first; `states`: dtype STATE [B]; the next ones by model row, row 0 not allowed.
        `effects`: of each user's arms; empty: nobody has any."""
        verdict = self.verdict(rows, states, allowed)
        if len(mixed := np.flatnonzero(verdict.any(axis=1))):  # all others are in order
            order = np.argsort(verdict[mixed], axis=1, kind="stable")
            rows, scores = rows.copy(), scores.copy()
            for array in (rows, scores, verdict):
                array[mixed] = np.take_along_axis(array[mixed], order, axis=1)
        rules = self._rules
        caps = [
            (codes, cap) for codes, cap in ((categories, rules.max_per_category), (brands, rules.max_per_brand)) if cap
        ]
        if not effects:
            return self._cut(rows, scores, verdict, caps, rules.size, rules.diversity, with_others=self._with_others)
        forms: dict[tuple[int, float], list[int]] = {}
        for user, of_user in enumerate(effects):
            forms.setdefault(form_of(of_user, rules), []).append(user)
        sizes = np.zeros(len(rows), dtype=np.intp)
        widest = min(max(size for size, _ in forms), rows.shape[1])
        all_rows = np.zeros((len(rows), widest), dtype=np.int32)
        all_scores = np.zeros(all_rows.shape, dtype=np.float32)
        for (size, diversity), users in forms.items():
            cut = self._cut(rows[users], scores[users], verdict[users], caps, size, diversity)
            sizes[users] = width = cut.rows.shape[1]
            all_rows[users, :width], all_scores[users, :width] = cut.rows, cut.scores
        return Ranked(all_rows, all_scores, all_rows[:, :0], all_scores[:, :0], sizes)

    def _cut(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float32],
        verdict: npt.NDArray[np.uint8],
        caps: Caps,
        size: int,
        diversity: float,
        *,
        with_others: bool = False,
    ) -> Ranked:
        """The first `size` of candidates that are in order, spread by caps and diversity. With `with_others` it marks them in
        `verdict` as forbidden."""
        size, out = min(size, rows.shape[1]), verdict == FORBIDDEN
        all_rows, all_scores = rows, scores
        if diversity or caps:
            pool = min(POOL * size, rows.shape[1])
            picked = self._spread(rows[:, :pool], scores[:, :pool], ~out[:, :pool], caps, size, diversity)
            if with_others:  # none at -1: the last one counts as picked
                np.put_along_axis(verdict, picked, np.uint8(FORBIDDEN), axis=1)
            rows, scores = np.take_along_axis(rows, picked, axis=1), np.take_along_axis(scores, picked, axis=1)
            out = np.take_along_axis(out, picked, axis=1) | (picked < 0)
        else:
            rows, scores, out = rows[:, :size].copy(), scores[:, :size].copy(), out[:, :size]
            if with_others:
                verdict[:, :size] = FORBIDDEN
        rows[out], scores[out] = 0, 0.0
        if not with_others:
            return Ranked(rows, scores, all_rows[:, :0], all_scores[:, :0])
        return Ranked(rows, scores, np.where(verdict == GOOD, all_rows, 0), all_scores)

    def verdict(self, rows: Rows, states: npt.NDArray[Any], allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """uint8 [B, K]: GOOD, TIRED (shown often without a click) or FORBIDDEN, for each candidate."""
        return self.verdict_of(self._low_hashes[rows], ~allowed[rows], states)

    def verdict_of(
        self, lows: LowHashes, forbidden: npt.NDArray[np.bool_], states: npt.NDArray[Any]
    ) -> npt.NDArray[np.uint8]:
        """As `verdict`, of items by their hashes; `forbidden`: whoever the shopper is. Both [B, K]."""
        hidden = [states["disliked"]]
        if self._rules.hide_in_basket:
            hidden.append(in_basket(states))
        if self._rules.hide_bought:
            hidden.append(states["bought"])
        forbidden = forbidden | any_equal(lows, np.concatenate(hidden, axis=1))
        verdict = np.where(forbidden, np.uint8(FORBIDDEN), np.uint8(GOOD))
        if self._rules.fatigue_after:
            tired = states["shown"] >= self._rules.fatigue_after
            if tired.any():
                often = any_equal(lows, np.where(tired, states["shown_item"], np.uint32(0)))
                verdict[often & ~forbidden] = TIRED
        return verdict

    def _spread(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float32],
        usable: npt.NDArray[np.bool_],
        caps: Caps,
        size: int,
        weight: float,
    ) -> npt.NDArray[np.intp]:
        """Greedy choice of `size` of the pool, -1 where none is left.

        MMR (Carbonell and Goldstein, SIGIR 1998): argmax (1 - w) * relevance - w * max similarity to the chosen,
        with the scores scaled to 0-1 within the pool; w is the `weight`.
        """
        users = np.arange(len(rows))
        low = scores.min(axis=1, keepdims=True)
        span = np.maximum(scores.max(axis=1, keepdims=True) - low, 1e-9)
        gain = (1 - weight) * (scores - low) / span
        free, nearest, vectors = usable.copy(), np.zeros_like(gain), self._vectors[rows]
        capped = [(codes[rows], cap, np.zeros(rows.shape, dtype=np.int32)) for codes, cap in caps]
        picked = np.empty((len(rows), size), dtype=np.intp)
        for place in range(size):
            value = np.where(free, gain - weight * nearest, -np.inf)
            best = value.argmax(axis=1)
            picked[:, place] = np.where(free[users, best], best, -1)
            if weight:
                chosen = vectors[users, best]
                np.maximum(nearest, np.einsum("bkd,bd->bk", vectors, chosen), out=nearest)
            for codes, cap, taken in capped:
                same = (codes == codes[users, best][:, None]) & (codes > 0)
                taken += same
                free &= ~(same & (taken >= cap))
            free[users, best] = False
        return picked


def form_of(effects: Effects, rules: ListSettings) -> tuple[int, float]:
    """Size and diversity of a list: the arms', else the shop's."""
    size, diversity = effects.list_size, effects.diversity
    return rules.size if size is None else size, rules.diversity if diversity is None else diversity


def in_basket(states: npt.NDArray[Any]) -> LowHashes:
    """uint32 [B, M]: items in the basket now: added in this session and not taken out since; 0: none."""
    kinds = states["kind"]
    added = kinds == IN_BASKET
    if not added.any():
        return np.zeros((len(states), 0), dtype=np.uint32)
    added &= states["second"] >= states["session_start_s"][:, None]
    lows, removed = states["item"].astype(np.uint32), kinds == TAKEN_OUT
    if len(mixed := np.flatnonzero(removed.any(axis=1) & added.any(axis=1))):
        place = np.arange(HISTORY) - states["steps"][mixed, None].astype(np.int64)
        order, items, taken_out = place % HISTORY, lows[mixed], removed[mixed]  # oldest first
        for step in np.flatnonzero(taken_out.any(axis=0)):
            earlier = (items == items[:, step, None]) & (order < order[:, step, None])
            added[mixed] &= ~(earlier & taken_out[:, step, None])
    return np.where(added, lows, np.uint32(0))


def any_equal(values: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """[B, K], [B, M] -> bool [B, K]: whether a value is among `others`. 0 equals 0: it stands for no item."""
    equal, same = np.zeros(values.shape, dtype=bool), np.empty(values.shape, dtype=bool)
    for column in np.flatnonzero(others.any(axis=0)):
        np.equal(values, others[:, column, None], out=same)
        equal |= same
    return equal
