"""Gives one place of some lists to a new product or to a known item with few impressions, and says how probable that was.

A list explores with the probability `exploration.share` times its places, at one place from `exploration.first_position` on, each
as probable as the others. The item there is drawn among those that suit the shopper: newcomers that are like one of the
model's candidates, and candidates with few impressions that the list does not have. Each is as probable as its chance in its
pool says (`operators.exploration.thompson`); where both kinds suit, `exploration.newcomer_share` decides first. All draws follow
from user, epoch and version by a hash, so that the same list can be made again.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from operators.configuration.shop_settings import ExplorationSettings, ListSettings
from operators.exploration.newcomer_bits import NewcomerBits
from operators.exploration.pool import Pool
from operators.lists.catalogue import Catalogue
from operators.lists.exploring.explored import Drawn, Explored
from operators.lists.item_codes import ItemCodes
from operators.lists.ranker import GOOD, Ranked, Ranker, any_equal
from operators.lists.request import Request
from operators.shopper.features import Rows

_digest = xxhash.xxh3_128_digest
_MANTISSA = 53  # bits of a draw
DIGITS = 6  # of the propensity of a place that keeps its item

Weights = npt.NDArray[np.float32]
Draws = npt.NDArray[np.float64]


class _Followed(NamedTuple):
    """A pool as arrays. `known` float32 [N + 1]: chances by model row."""

    pool: Pool
    known: Weights
    newcomers: NewcomerBits


class Candidates(NamedTuple):
    """What a micro-batch's lists are made from. `rows`, `scores` [B, K]: the model's, best first; with `lists.rank_by = "value"`
    the scores are expected values. `states` [B]."""

    rows: Rows
    scores: npt.NDArray[np.float32]
    states: npt.NDArray[Any]


class Explorer:
    """Belongs to the scorer thread."""

    def __init__(
        self,
        settings: ExplorationSettings,
        rules: ListSettings,
        ranker: Ranker,
        catalogue: Catalogue,
        pool: Callable[[], Pool | None],
    ) -> None:
        """`ranker`: made with `with_others`. `pool`: the newest one; the same object as before means the same pool."""
        self._settings, self._ranker, self._pool = settings, ranker, pool
        self._model_rows = len(catalogue.categories.by_row)
        caps = (
            (catalogue.categories, rules.max_per_category, "category"),
            (catalogue.brands, rules.max_per_brand, "brand"),
        )
        self._caps = [cap for cap in caps if cap[1]]
        self._followed: _Followed | None = None

    def explore(
        self, requests: Sequence[Request], candidates: Candidates, ranked: Ranked, ready: npt.NDArray[np.bool_]
    ) -> Explored:
        """`ranked`: the lists as they are without exploration; `ready` bool [B]: which may explore."""
        followed, places, first = self._follow(), ranked.rows.shape[1], self._settings.first_position - 1
        if followed is None or first >= places:
            return Explored.nothing(len(requests))
        known, new = followed.known[ranked.others], followed.newcomers.chances_of(candidates.rows)
        self._forbid(known, new, ranked, candidates.states, followed.newcomers)
        has_known, has_new = known.any(axis=1), new.any(axis=1)
        share_new = np.where(has_new, np.where(has_known, self._settings.newcomer_share, 1.0), 0.0)
        possible, draws = ready & (has_known | has_new), _draws(requests, candidates.states)
        chance, open_places = min(1.0, self._settings.share * places), places - first
        is_exploring, is_new = possible & (draws[:, 0] < chance), draws[:, 1] < share_new
        of_place = chance / open_places
        familiar, names = Drawn.nothing(), list[str]()
        if len(lists := np.flatnonzero(is_exploring & ~is_new)):
            share = 1 - share_new[lists]
            columns, chances = _choose(known[lists], (draws[lists, 1] - share_new[lists]) / share)
            familiar = _familiar(lists, ranked, columns, of_place * share * chances)
        drawn = familiar
        if len(lists := np.flatnonzero(is_exploring & is_new)):
            share = share_new[lists]
            columns, chances = _choose(new[lists], draws[lists, 1] / share)
            drawn = familiar.followed_by(
                _unfamiliar(lists, candidates, followed.newcomers, columns, of_place * share * chances)
            )
            names = [followed.newcomers.all[column].item_id for column in columns.tolist()]
        at = first + np.minimum((draws[drawn.lists, 0] / of_place).astype(np.intp), open_places - 1)
        return Explored(drawn, at, names, possible, round(1 - of_place, DIGITS), first)

    def _follow(self) -> _Followed | None:
        pool = self._pool()
        if pool is not None and (self._followed is None or self._followed.pool is not pool):
            known = np.full(self._model_rows, pool.untouched, dtype=np.float32)
            known[np.frombuffer(pool.rows, "<i4")] = np.frombuffer(pool.chances, "<f4")
            known[0] = 0.0
            self._followed = _Followed(pool, known, NewcomerBits(pool.newcomers, self._model_rows))
        return self._followed

    def _forbid(
        self, known: Weights, new: Weights, ranked: Ranked, states: npt.NDArray[Any], newcomers: NewcomerBits
    ) -> None:
        """Sets to 0 what the list's rules keep from the shopper. `ranked.others` are allowed already, but for the caps."""
        fields = states["item"], states["bought"], states["disliked"], states["shown_item"]
        if newcomers.all and len(users := newcomers.may_know(*fields)):
            lows = np.broadcast_to(newcomers.lows, (len(users), len(newcomers.lows)))
            verdict = self._ranker.verdict_of(lows, np.zeros(lows.shape, dtype=bool), states[users])
            new[users] *= verdict == GOOD
        for codes, cap, name in self._caps:
            full = _full(codes, cap, ranked.rows)
            known[any_equal(codes.by_row[ranked.others], full)] = 0.0
            of_new = np.array([codes.of(getattr(newcomer, name)) for newcomer in newcomers.all], dtype=np.int32)
            new[any_equal(np.broadcast_to(of_new, new.shape), full)] = 0.0


def _familiar(lists: npt.NDArray[np.intp], ranked: Ranked, columns: npt.NDArray[np.intp], chances: Draws) -> Drawn:
    nothing = np.zeros(len(lists), dtype=np.int32)
    rows, scores = ranked.others[lists, columns], ranked.other_scores[lists, columns]
    return Drawn(lists, rows, scores, nothing, nothing.astype(np.uint32), chances)


def _unfamiliar(
    lists: npt.NDArray[np.intp],
    candidates: Candidates,
    newcomers: NewcomerBits,
    columns: npt.NDArray[np.intp],
    chances: Draws,
) -> Drawn:
    """A newcomer has the score of the candidate that it is like."""
    liked = newcomers.first_like(candidates.rows[lists], columns)
    likes, scores = candidates.rows[lists, liked], candidates.scores[lists, liked]
    return Drawn(lists, np.zeros(len(lists), dtype=np.int32), scores, likes, newcomers.lows[columns], chances)


def _full(codes: ItemCodes, cap: int, rows: Rows) -> npt.NDArray[np.int32]:
    """int32 [B, places]: the codes of which a list has as many as the cap allows, -1 elsewhere."""
    own = codes.by_row[rows]
    count = (own[:, :, None] == own[:, None, :]).sum(axis=2)
    return np.where((count >= cap) & (own > 0), own, np.int32(-1))


def _choose(weights: Weights, draws: Draws) -> tuple[npt.NDArray[np.intp], Draws]:
    """(column, its probability), both [E], of weights [E, n], by draws [E] in 0 to 1."""
    sums = weights.cumsum(axis=1, dtype=np.float64)
    total = sums[:, -1]
    columns = (sums <= np.minimum(draws * total, np.nextafter(total, 0.0))[:, None]).sum(axis=1)
    return columns, weights[np.arange(len(columns)), columns] / total


def _draws(requests: Sequence[Request], states: npt.NDArray[Any]) -> Draws:
    """float64 [B, 2] in 0 to 1: the same for the same user, epoch and version."""
    orders = zip(requests, states["epoch_s"].tolist(), states["version"].tolist(), strict=True)
    digests = [_digest(f"explore\0{request.user_id}\0{epoch}.{version}".encode()) for request, epoch, version in orders]
    bits = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2) >> np.uint64(64 - _MANTISSA)
    return bits / float(1 << _MANTISSA)
