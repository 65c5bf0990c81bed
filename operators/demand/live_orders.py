"""Follows the records of `shop.items.v1` and keeps the orders of popular and trending items."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from operators.demand.item_counts import HalfLives
from operators.demand.item_demand_rows import AHEAD_MS
from operators.demand.paced_thread import PacedThread
from operators.demand.popularity import Demand, Orders, decayed, orders_of, prior_of
from operators.records.item_demand import ItemDemand

MAX_ADDED = 100_000  # items that the model does not know
HEAD = 1000  # of the order of popular items that readers use; behind them comes the model's order


class HeadItem(NamedTuple):
    """One of the first items of the popular order. `is_known`: to the model."""

    item_id: str
    is_trending: bool
    is_known: bool


class LiveOrders:
    """The demand of the model's items, and with `adds_items` of others too. Thread-safe."""

    def __init__(
        self,
        items: Sequence[str],
        popular: Sequence[int],
        half_lives: HalfLives,
        *,
        adds_items: bool = False,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`items`: ids by place; `popular`: places of the model's popular items, best first. `adds_items`: records of other
        items get places behind them. Beyond `MAX_ADDED` a new one takes the place of the one that was asked for longest ago.
        """
        self._place = {item: place for place, item in enumerate(items)}
        self.items = [*items]  # ids by place
        self.known = len(items)  # places below it are the model's items
        self._half_lives, self._adds_items, self._clock_ms = half_lives, adds_items, clock_ms
        self._prior = prior_of(popular, self.known)
        # by place: interest, acts, recent, and the time (epoch ms) as of which they hold
        self._sums = np.zeros((4, self.known))
        self._lock = threading.Lock()
        self._newest: Orders | None = None
        self._head: tuple[HeadItem, ...] | None = None
        self._has_demand = False
        self._thread = PacedThread("live-orders", self.compute)

    def start(self) -> None:
        """Computes the orders now, and from here on as `PacedThread` does."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread of `start`."""
        self._thread.close()

    def newest(self) -> Orders | None:
        """The orders of the last computation; None while no record has come. Do not modify them."""
        return self._newest

    def head(self) -> tuple[HeadItem, ...] | None:
        """The first `HEAD` items of `newest` by their ids; the same object until the next computation."""
        return self._head

    def changed(self, key: str, demand: ItemDemand | None) -> None:
        """Applies the newest record of an item; None: it left the topic."""
        sums = (0, 0, 0, 0) if demand is None else (demand.interest, demand.acts, demand.recent, demand.counted_at)
        with self._lock:
            place = self._place.get(key)
            if place is None:
                if demand is None or not self._adds_items:
                    return
                place = self._add(key)
            self._sums[:, place] = sums
            self._has_demand = True

    def compute(self) -> None:
        """The orders as of now."""
        if not self._has_demand:
            return
        with self._lock:
            count = len(self.items)
            prior = np.concatenate((self._prior, np.zeros(count - self.known)))
            ids, (interest, acts, recent, counted_ms) = [*self.items], self._sums[:, :count].copy()
        ages_ms, half_lives = self._clock_ms() - counted_ms, self._half_lives
        for sums in (interest, acts, recent):
            sums[ages_ms < -AHEAD_MS] = 0.0  # of a clock that ran ahead: they would never decay
        interest, acts = (decayed(sums, ages_ms, half_lives.long_ms) for sums in (interest, acts))
        recent = decayed(recent, ages_ms, half_lives.recent_ms)
        newest = orders_of(prior, Demand(interest, acts, recent), half_lives)
        trending = {*newest.trending.tolist()}
        self._head = tuple(HeadItem(ids[p], p in trending, p < self.known) for p in newest.popular[:HEAD].tolist())
        self._newest = newest

    def _add(self, item: str) -> int:
        place = len(self.items)
        if place - self.known >= MAX_ADDED:
            place = self.known + int(self._sums[3, self.known : place].argmin())
            del self._place[self.items[place]]
            self.items[place] = item
        else:
            if place == self._sums.shape[1]:
                self._sums = np.concatenate((self._sums, np.zeros((4, max(1024, place)))), axis=1)
            self.items.append(item)
        self._place[item] = place
        return place
