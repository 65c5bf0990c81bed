"""A shop's items and shoppers, and what each shopper wants at any time: the truth that no model sees.

A shopper weighs categories, and has a style. In a session they have one category in mind. Within a category an item is
chosen with a probability proportional to exp(appeal + style of the shopper x style of the item). Appeals are set so that
all shoppers together have the demand of a real shop (`real_shops`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.simulator.drift import Drift, Rows, Schedule, exchanged
from benchmarks.simulator.real_shops import Floats, demand_shares
from operators.errors import LiveshelfError
from operators.records.contracts import CatalogueItem

STYLES = 4  # dimensions of a style
FOCUS = 1.5  # sum of the Dirichlet parameters of the categories' weights: few favourites a shopper
ANYTHING = 0.02  # of a shopper's weights, as all shoppers have them together
STRAY = 0.2  # of a session, outside its category
CALIBRATIONS = 12
POPULAR, POPULAR_S = 20, 10.0
CHUNK = 256  # shoppers at a time
HIDDEN = -np.inf  # appeal of an item that has not arrived yet
NOUNS = ("lamp", "mug", "clock", "cushion", "candle", "tray", "basket", "vase", "apron", "teapot",
         "frame", "mirror", "rug", "kettle", "bowl", "scarf", "notebook", "bag", "planter", "blanket")  # fmt: skip
LOOKS = ("plain", "striped", "dotted", "floral", "checked", "ribbed", "woven", "glazed", "matt", "brass")
CURRENCY = "GBP"


@dataclass(frozen=True)
class Shop:
    """The size of a shop. The same seed and sizes give the same shop; `tag` begins all its ids."""

    seed: int = 7
    shoppers: int = 2_000
    items: int = 1_000
    categories: int = 20
    tag: str = "sim"


class World:
    """Rows number the items, those that arrive later included. `advance` lets the drift happen."""

    def __init__(self, shop: Shop, drift: Drift | None = None) -> None:
        """Raises `LiveshelfError` for a shop with fewer than two items a category, or no shopper."""
        if shop.items < 2 * shop.categories or min(shop.categories, shop.shoppers) < 1:
            raise LiveshelfError("a shopper, a category, and two items in each", str(shop), "give more items")
        self.shop, self.drift = shop, drift or Drift()
        items, shoppers, arrivals, changes = map(np.random.default_rng, np.random.SeedSequence(shop.seed).spawn(4))
        self._popular: Rows | None = None
        self._popular_s, self._changed = 0.0, False
        self._lay_out(items, arrivals)
        self._fill(shoppers)
        self._schedule(changes)

    def advance(self, now_s: float) -> Rows:
        """Applies the drift up to a time of the run; returns the rows of the items that arrived since the last call."""
        moved, exchanged_pairs, arrived = (
            changes.due(now_s) for changes in (self._moves, self._exchanges, self._arrival)
        )
        self.weights[self._movers[moved]] = self._new_weights[moved]
        pairs = self._pairs[exchanged_pairs]
        self.appeal[pairs] = self.appeal[pairs[:, ::-1]]
        rows: Rows = self._arrivals[arrived]
        self.appeal[rows] = self._new_appeal[arrived]
        self._changed |= any(due.stop > due.start for due in (moved, exchanged_pairs, arrived))
        return rows

    def choices(self, shoppers: "Rows | slice") -> Floats:
        """float64 [n, items]: the probability of each item within its category, for each shopper."""
        odds: Floats = np.exp(self.appeal + self.styles[shoppers] @ self._item_styles.T)
        odds /= np.add.reduceat(odds, self._starts, axis=1)[:, self.category]
        return odds

    def wanted(self, shopper: int, focus: int) -> Floats:
        """float64 [items], sum 1: how a shopper chooses in a session with the category `focus` in mind."""
        weights = STRAY * self.weights[shopper]
        weights[focus] += 1 - STRAY
        wanted: Floats = weights[self.category] * self.choices(slice(shopper, shopper + 1))[0]
        return wanted

    def demand(self) -> Floats:
        """float64 [items], sum 1: how all shoppers together choose."""
        chunks = (slice(at, at + CHUNK) for at in range(0, self.shop.shoppers, CHUNK))
        total: Floats = sum((self.weights[of][:, self.category] * self.choices(of)).sum(axis=0) for of in chunks)
        return total / self.shop.shoppers

    def popular(self, now_s: float) -> Rows:
        """The most wanted items, best first, as they were at most `POPULAR_S` before a time of the run."""
        if self._popular is None or (self._changed and now_s >= self._popular_s + POPULAR_S):
            self._popular, self._popular_s = np.argsort(-self.demand(), kind="stable")[:POPULAR], now_s
            self._changed = False
        return self._popular

    def rows(self, item_ids: Sequence[str]) -> Rows:
        """int64 [n]: the rows of items; -1 for one that is not of this shop."""
        return np.array([self._row_of.get(item, -1) for item in item_ids], dtype=np.int64)

    def catalogue(self, rows: Rows) -> Iterator[CatalogueItem]:
        """The catalogue records of items."""
        for row in rows.tolist():
            category = int(self.category[row])
            noun = NOUNS[category % len(NOUNS)]
            yield CatalogueItem(
                item_id=self.item_ids[row],
                title=f"{LOOKS[row % len(LOOKS)]} {noun} {self.item_ids[row]}",
                category=[f"{noun}s {category}"],
                price=float(self.prices[row]),
                currency=CURRENCY,
            )

    @property
    def present(self) -> Rows:
        """The rows of the items that are on sale."""
        return np.flatnonzero(np.isfinite(self.appeal))

    def _lay_out(self, items: np.random.Generator, arrivals: np.random.Generator) -> None:
        """Items in the order of their categories, so that a category is a range of rows."""
        shop, count = self.shop, round(self.drift.arrivals * self.shop.items)
        old = items.permutation(np.arange(shop.items) % shop.categories)
        new = arrivals.permutation(np.arange(count) % shop.categories)
        order = np.argsort(category := np.concatenate([old, new]), kind="stable")
        self.category: Rows = category[order]
        self._starts = np.searchsorted(self.category, np.arange(shop.categories))
        demand = np.concatenate([items.permutation(demand_shares(shop.items)), np.zeros(count)])
        styles = np.concatenate(
            [rng.standard_normal((n, STYLES)) for rng, n in ((items, shop.items), (arrivals, count))]
        )
        prices = np.concatenate([rng.lognormal(1.5, 0.8, n) for rng, n in ((items, shop.items), (arrivals, count))])
        self._item_styles = styles[order] / np.sqrt(STYLES)
        self.prices: Floats = np.maximum(prices[order], 0.01).round(2)
        self._demand = demand[order]
        serial = np.arange(len(order)) - self._starts[self.category]
        self.item_ids = [f"{shop.tag}-{kind:02d}-{at:04d}" for kind, at in zip(self.category, serial, strict=True)]
        self._row_of = {item: row for row, item in enumerate(self.item_ids)}

    def _fill(self, rng: np.random.Generator) -> None:
        """Shoppers, and the appeals with which they have the wanted demand: each is corrected by what is missing."""
        shares = np.add.reduceat(self._demand, self._starts)
        favourites = rng.dirichlet(FOCUS * shares, self.shop.shoppers)
        self.weights: Floats = (1 - ANYTHING) * favourites + ANYTHING * shares
        self.styles: Floats = rng.standard_normal((self.shop.shoppers, STYLES))
        old = np.flatnonzero(self._demand)
        self.appeal: Floats = np.full(len(self.category), HIDDEN)
        self.appeal[old] = np.log(self._demand[old])
        for _ in range(CALIBRATIONS):
            self.appeal[old] += np.log(self._demand[old] / self.demand()[old])

    def _schedule(self, rng: np.random.Generator) -> None:
        shop, drift = self.shop, self.drift
        self._movers: Rows = rng.permutation(shop.shoppers)[: round(drift.tastes * shop.shoppers)]
        self._new_weights = rng.permuted(self.weights[self._movers], axis=1)
        self._moves = Schedule(drift.moments(len(self._movers), rng))
        old = self.present
        by_category = [old[self.category[old] == kind] for kind in range(shop.categories)]
        pairs = np.concatenate([exchanged(rows, self.appeal, drift.appeal, rng) for rows in by_category])
        self._pairs: Rows = rng.permutation(pairs)
        self._exchanges = Schedule(drift.moments(len(pairs), rng))
        hidden = np.flatnonzero(~np.isfinite(self.appeal))
        hottest = [np.sort(self.appeal[rows])[::-1] for rows in by_category]
        place = np.arange(len(hidden)) - np.searchsorted(self.category[hidden], self.category[hidden])
        appeal = [hottest[kind][at % len(hottest[kind])] for kind, at in zip(self.category[hidden], place, strict=True)]
        order = rng.permutation(len(hidden))
        self._arrivals: Rows = hidden[order]
        self._new_appeal: Floats = np.array(appeal, dtype=np.float64)[order]
        self._arrival = Schedule(drift.moments(len(hidden), rng))
