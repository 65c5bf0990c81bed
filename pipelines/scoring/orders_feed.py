"""What an operator tells its scorer process of live demand: the head of the order of popular items, trending ones, and what may
be explored."""

from collections.abc import Callable

import numpy as np

from operators.demand.live_orders import HEAD
from operators.demand.popularity import Orders
from operators.exploration.pool import Pool
from pipelines.scoring.wire import PackedOrders


class OrdersFeed:
    """The orders that a process does not know yet."""

    def __init__(self, live: Callable[[], Orders | None] = lambda: None) -> None:
        """`live`: as in `operators.lists.popular_order.PopularOrder`."""
        self._live = live
        self._told: Orders | None = None

    def start_over(self) -> None:
        """Another process knows nothing."""
        self._told = None

    def news(self) -> PackedOrders | None:
        """What the process must be told; None: nothing."""
        newest = self._live()
        if newest is None or newest is self._told:
            return None
        self._told = newest
        popular, trending = (places[:HEAD].astype("<i4").tobytes() for places in newest)
        return popular, trending


class PoolFeed:
    """The pool that a process does not know yet."""

    def __init__(self, newest: Callable[[], Pool | None] = lambda: None) -> None:
        """`newest`: as in `operators.lists.exploring.explorer.Explorer`."""
        self._newest = newest
        self._told: Pool | None = None

    def start_over(self) -> None:
        """Another process knows nothing."""
        self._told = None

    def news(self) -> Pool | None:
        """What the process must be told; None: nothing."""
        newest = self._newest()
        if newest is self._told:
            return None
        self._told = newest
        return newest


def unpacked(packed: PackedOrders) -> Orders:
    """The orders of a message."""
    popular, trending = (np.frombuffer(places, dtype="<i4").astype(np.intp) for places in packed)
    return Orders(popular, trending)
