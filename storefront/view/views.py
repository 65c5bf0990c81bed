"""The storefront's local tables: the newest list of each user, the catalogue, and with `demand.enabled` live demand."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from operators.demand.item_demand_rows import ItemDemandRows
from operators.demand.live_orders import LiveOrders
from operators.kafka_io.catalogue_rows import CATALOGUE_BUFFER_MB, GONE, CatalogueRows
from operators.kafka_io.compacted_table import LOGGED, CompactedTable, OnChange
from operators.kafka_io.list_outlines import ListOutline, OutlineRows
from operators.kafka_io.list_rows import UNREADABLE, list_of_row
from operators.kafka_io.row_rules import Refused
from operators.kafka_io.table_consumer import Consumer
from operators.lists.availability import ANYTIME, Coverage, may_be_listed, offer_of
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CATALOGUE, ITEMS, RECOMMENDATIONS, CatalogueItem, RecommendationList
from operators.records.item_demand import ItemDemand
from operators.shopper.features import Vocabulary
from storefront.view.search_follower import SearchFollower

log = logging.getLogger(__name__)
LIKED = 20  # items of a list that speak for a shopper's taste
DELISTED_KEPT = 100_000  # the newest delisted ids in memory; older ones are forgotten
OnList = Callable[[str, ListOutline | None], None]


def now_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


class CatalogueView:
    """The catalogue in memory: titles of lists, and to drop items that may no longer be listed."""

    def __init__(
        self, vocabulary: Vocabulary | None = None, coverage: float = 0.5, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        """`vocabulary`: the model's. Without one, items missing from the catalogue never count as delisted."""
        self._vocabulary = vocabulary or Vocabulary([])
        self._share = coverage
        self._coverage = Coverage(len(self._vocabulary), coverage)
        self._clock_ms = clock_ms
        self._items: dict[str, CatalogueItem] = {}
        self._always_listed: set[str] = set()  # in stock at any time: most look-ups end here
        self._delisted: dict[str, None] = {}
        self._lock = threading.Lock()

    def use(self, vocabulary: Vocabulary) -> None:
        """Another model's items."""
        with self._lock:
            self._vocabulary, self._coverage = vocabulary, Coverage(len(vocabulary), self._share)
            self._coverage.held = sum(bool(vocabulary.row(item)) for item in self._items)

    def changed(self, key: str, change: CatalogueItem | None) -> None:
        """Applies a change of one item: its new record, None when it is delisted, `GONE` when the topic no longer has it."""
        item = None if change is GONE else change
        with self._lock:
            if self._vocabulary.row(key):
                self._coverage.held += (item is not None) - (key in self._items)
            self._always_listed.discard(key)
            self._delisted.pop(key, None)
            if item is None:
                self._items.pop(key, None)
                if change is None:
                    self._delisted[key] = None
                    if len(self._delisted) > DELISTED_KEPT:
                        del self._delisted[next(iter(self._delisted))]
                return
            self._items[key] = item
            if offer_of(item) == ANYTIME:
                self._always_listed.add(key)

    def get(self, item_id: str) -> CatalogueItem | None:
        """The item, None when it is not in the catalogue."""
        return self._items.get(item_id)

    def may_be_listed(self, item_id: str) -> bool:
        """Whether the item may be listed now, by the rule of `operators.lists.availability`."""
        if item_id in self._always_listed:
            return True
        item = self._items.get(item_id)
        in_stock, start, end = ANYTIME if item is None else offer_of(item)
        in_catalogue, delisted, covered = item is not None, item_id in self._delisted, self._coverage.reached
        return bool(
            may_be_listed(in_catalogue, delisted, in_stock, start, end, covered=covered, now_ms=self._clock_ms())
        )

    def __len__(self) -> int:
        return len(self._items)


class Views:
    """All tables. `on_list` is called for each list that the table takes."""

    def __init__(
        self,
        folder: Path,
        connect: Callable[[], Consumer],
        on_list: OnList,
        shelf: CatalogueView,
        refused: Counter[str] | None = None,
        placeholders: frozenset[str] = frozenset(),
        orders: LiveOrders | None = None,
        follower: SearchFollower | None = None,
    ) -> None:
        """`placeholders`: ids of `EventSettings` that stand for no item. `refused` counts, by reason, records of the
        list topic that are not a list or not the newest, and as `unreadable` the reads of a list whose items cannot be
        decoded. `orders` follows the topic of demand; None: it is not read. `follower` makes the catalogue findable."""
        self.shelf, self.orders, self._follower = shelf, orders, follower
        self._refused: Counter[str] = Counter() if refused is None else refused
        self._catalogue = CompactedTable(
            CATALOGUE,
            folder / "catalogue",
            connect,
            CatalogueRows(placeholders),
            on_change=self._on_item,
            write_buffer_mb=CATALOGUE_BUFFER_MB,
        )
        self._lists = CompactedTable(
            RECOMMENDATIONS,
            folder / "lists",
            connect,
            OutlineRows(),
            on_change=on_list,
            reports_copy=False,
            refused=self._refused,
        )
        self._demand: CompactedTable[ItemDemand] | None = None
        if orders is not None:
            self._demand = CompactedTable(
                ITEMS,
                folder / "items",
                connect,
                ItemDemandRows(),
                on_change=orders.changed,
                write_buffer_mb=CATALOGUE_BUFFER_MB,
            )

    def _on_item(self, key: str, change: CatalogueItem | None) -> None:
        self.shelf.changed(key, change)
        if self._follower is not None:
            self._follower.changed(key, change)

    def listen_to_items(self, listener: OnChange[CatalogueItem]) -> None:
        """Each item of the catalogue, and each change from now on, also goes to this listener."""
        self._catalogue.listen(listener)

    def leave_items(self, listener: OnChange[CatalogueItem]) -> None:
        """Nothing more goes to it."""
        self._catalogue.leave(listener)

    def open(self) -> None:
        """Serves the local copies at once and follows the topics."""
        if self._follower is not None:
            self._follower.start()
        self._catalogue.open(0)
        self._lists.open(0)
        if self._demand is not None and self.orders is not None:
            self._demand.open(0)
            self.orders.start()

    def use(self, bundle: ModelBundle | None, orders: LiveOrders | None) -> None:
        """Another model's items; `orders`: their live demand, None without demand."""
        self.shelf.use(Vocabulary([]) if bundle is None else bundle.vocabulary)
        former = self.orders
        if self._demand is None or orders is None or former is None:
            return
        self._demand.listen(orders.changed)
        orders.start()
        self.orders = orders
        self._demand.leave(former.changed)
        former.close()

    def close(self) -> None:
        """Stops following."""
        if self._demand is not None and self.orders is not None:
            self.orders.close()
            self._demand.close()
        self._lists.close()
        self._catalogue.close()
        if self._follower is not None:
            self._follower.close()

    def liked(self, user_id: str) -> list[str]:
        """The items of a user's newest list, expired or not: what the model last made of their clicks."""
        slate = self.list_of(user_id)
        return [] if slate is None else [list_item.item_id for list_item in slate.items[:LIKED]]

    def list_of(self, user_id: str) -> RecommendationList | None:
        """The newest list of a user, decoded now; it may have expired. None without a list that can be decoded."""
        row = self._lists.row(user_id)
        try:
            return None if row is None else list_of_row(row)
        except Refused as refused:
            self._refused[UNREADABLE] += 1
            if self._refused[UNREADABLE] <= LOGGED:
                log.error(
                    "the newest list of a user cannot be decoded, the popular list is served: %r", refused.__cause__
                )
            return None

    @property
    def complete(self) -> bool:
        """Whether catalogue and lists have caught up since the start. Nobody waits for demand: the model's order serves."""
        return self._catalogue.complete and self._lists.complete

    def ages(self) -> dict[str, float]:
        """Table -> seconds since the broker last answered it."""
        ages = {"catalogue": self._catalogue.age_s, "lists": self._lists.age_s}
        return ages if self._demand is None else ages | {"demand": self._demand.age_s}
