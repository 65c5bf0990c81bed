"""Follows `shop.items.v1` and the catalogue, and keeps the pool of what may take a place that explores."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from operators.demand.item_demand_rows import AHEAD_MS
from operators.demand.paced_thread import PacedThread
from operators.demand.popularity import decayed
from operators.exploration.likes import Likes, text_of
from operators.exploration.pool import MOST_NEWCOMERS, Newcomer, Pool
from operators.exploration.thompson import Numbers, chances, fitted_prior, usable
from operators.kafka_io.catalogue_rows import GONE
from operators.records.contracts import CatalogueItem
from operators.records.item_demand import ItemDemand
from operators.shopper.features import Vocabulary

MAX_TRACKED = 20_000  # products that the model does not know; of more the newest
LIKES_S = 0.02  # of one computation for likes; the newest products come first
V = TypeVar("V")


class _Shown(NamedTuple):
    """Impressions and clicks as of `counted_ms`."""

    impressions: float = 0.0
    clicks: float = 0.0
    counted_ms: float = 0.0


class LivePool:
    """Thread-safe: the tables' threads call `demand_changed` and `item_changed`, the scorer thread asks for `newest`."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        likes: Likes,
        few_impressions: int,
        half_life_ms: float,
        is_offered: Callable[[CatalogueItem, int], bool],
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`few_impressions`: a known item with fewer is in the pool. `half_life_ms`: of the counts. `is_offered`: whether a product
        may be listed at a time (epoch ms)."""
        self._vocabulary, self._likes_of, self._is_offered, self._clock_ms = vocabulary, likes, is_offered, clock_ms
        self._few, self._half_life_ms = few_impressions, half_life_ms
        self._known = np.zeros((3, len(vocabulary) + 1))  # by row, as `_Shown`
        self._shown: dict[str, _Shown] = {}  # of other items
        self._items: dict[str, CatalogueItem] = {}  # products that the model does not know, the newest last
        self._likes: dict[str, tuple[int, ...]] = {}
        self._placeless: dict[str, None] = {}  # products whose likes are not computed yet, the newest last
        self._lock = threading.Lock()
        self._newest: Pool | None = None
        self._thread = PacedThread("live-pool", self.compute)

    def start(self) -> None:
        """Computes the pool now, and from here on as `PacedThread` does."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread of `start`."""
        self._thread.close()

    def newest(self) -> Pool | None:
        """The pool of the last computation; the same object until it changes. None before the first one."""
        return self._newest

    def demand_changed(self, key: str, demand: ItemDemand | None) -> None:
        """Applies the newest record of an item's counts; None: it left the topic."""
        shown = _Shown() if demand is None else _Shown(demand.impressions, demand.clicks, demand.counted_at)
        row = self._vocabulary.row(key)
        with self._lock:
            if row:
                self._known[:, row] = shown
            elif demand is None:
                self._shown.pop(key, None)
            else:
                self._shown[key] = shown
                _oldest(self._shown)

    def item_changed(self, key: str, item: CatalogueItem | None) -> None:
        """Applies the newest record of a product, as `operators.lists.catalogue.Catalogue.changed`."""
        if self._vocabulary.row(key):
            return
        with self._lock:
            if item is None or item is GONE:
                self._items.pop(key, None)
                self._forget(key)
                return
            before, self._items[key] = self._items.get(key), item
            if before is None or text_of(before) != text_of(item):
                self._forget(key)
                self._placeless[key] = None
            if (dropped := _oldest(self._items)) is not None:
                self._forget(dropped)

    def compute(self) -> None:
        """The pool as of now."""
        self._place_new()
        now_ms = self._clock_ms()
        with self._lock:
            known, shown = self._known.copy(), dict(self._shown)
            items = [(item, likes) for key, item in reversed(self._items.items()) if (likes := self._likes.get(key))]
        items = [(item, likes) for item, likes in items if self._is_offered(item, now_ms)]
        new = np.array([shown.get(item.item_id, _Shown()) for item, _ in items]).reshape(-1, 3).T
        (impressions, clicks), new_counts = self._as_of(now_ms, known), self._as_of(now_ms, new)
        prior = fitted_prior(*(np.concatenate(pair) for pair in zip((impressions, clicks), new_counts, strict=True)))
        touched = np.flatnonzero(impressions)
        few = impressions[touched] < self._few
        explored = touched[few]
        untouched = len(impressions) - 1 - len(touched)  # row 0 is no item
        # the last one stands for all items without an impression
        chance = chances(
            np.append(impressions[explored], 0.0),
            np.append(clicks[explored], 0.0),
            prior,
            np.append(np.ones(len(explored)), float(untouched)),
        )
        of_touched = np.zeros(len(touched), dtype="<f4")
        of_touched[few] = chance[:-1]
        pool = Pool(
            float(chance[-1]),
            touched.astype("<i4").tobytes(),
            of_touched.tobytes(),
            _newcomers(items, chances(*new_counts, prior)),
        )
        if pool != self._newest:
            self._newest = pool

    def _place_new(self) -> None:
        """Computes likes for `LIKES_S`, and of one product at least."""
        until_s = time.monotonic() + LIKES_S
        while True:
            with self._lock:
                if not self._placeless:
                    return
                key, _ = self._placeless.popitem()
                item = self._items[key]
            likes = self._likes_of.of(item)
            with self._lock:
                if self._items.get(key) is item:
                    self._likes[key] = likes
                elif key in self._items:  # it changed meanwhile
                    self._placeless[key] = None
            if time.monotonic() >= until_s:
                return

    def _as_of(self, now_ms: int, counts: Numbers) -> tuple[Numbers, Numbers]:
        """(impressions, clicks) of counts [3, items], decayed; 0 of a clock that ran ahead: they would never decay."""
        ages_ms = now_ms - counts[2]
        impressions, clicks = (decayed(sums, ages_ms, self._half_life_ms) for sums in counts[:2])
        is_past = ages_ms >= -AHEAD_MS
        return usable(impressions * is_past, clicks * is_past)

    def _forget(self, key: str) -> None:
        self._likes.pop(key, None)
        self._placeless.pop(key, None)


def _newcomers(items: list[tuple[CatalogueItem, tuple[int, ...]]], chance: Numbers) -> tuple[Newcomer, ...]:
    """Those with the best chances, of equal ones the newest; `items`: the newest first."""
    best = np.argsort(-chance, kind="stable")[:MOST_NEWCOMERS].tolist()
    return tuple(
        Newcomer(item.item_id, float(chance[place]), likes, item.category_path, item.brand or "")
        for place, (item, likes) in ((place, items[place]) for place in best)
    )


def _oldest(kept: dict[str, V]) -> str | None:
    """Drops the oldest entry beyond `MAX_TRACKED` and returns its key; None: there is room."""
    if len(kept) <= MAX_TRACKED:
        return None
    oldest = next(iter(kept))
    del kept[oldest]
    return oldest
