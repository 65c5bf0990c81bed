"""What an operator tells its scorer process of live demand: the head of the order of popular items, and trending ones."""

from collections.abc import Callable

import numpy as np

from operators.demand.live_orders import HEAD
from operators.demand.popularity import Orders
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


def unpacked(packed: PackedOrders) -> Orders:
    """The orders of a message."""
    popular, trending = (np.frombuffer(places, dtype="<i4").astype(np.intp) for places in packed)
    return Orders(popular, trending)
