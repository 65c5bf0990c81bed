"""Shoppers who come, look, click, buy and come back: events out of a `World`, in the order of time.

A session is a chain of pages. On some pages the shopper also looks at their list, and each item that they click is the next
page; otherwise they find an item by themselves. So a model has clicks on lists and views of its own making to learn from.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.simulator.drift import Rows
from benchmarks.simulator.real_shops import (
    CART_SHARE,
    PURCHASE_SHARE,
    RETURN_SPREAD,
    THINK_SPREAD,
    Floats,
    log_normal,
    mean_session_length,
    session_length,
)
from benchmarks.simulator.truth import examination, relevance
from benchmarks.simulator.world import CURRENCY, World
from operators.errors import LiveshelfError
from operators.records.contracts import Event

LOOKS = 0.5  # share of pages on which the shopper looks at the list
LOOK_S, THINKS = 0.4, 0.2  # until they look: at least, and in parts of the time that they stay
EVENTS_A_PAGE = 1 + LOOKS + CART_SHARE * (1 + PURCHASE_SHARE)


class Slate(NamedTuple):
    """A list as a shopper sees it: item ids, best place first. `recommendation_id` None: no list of their own, but the popular one.
    `model`: name and version; `source`: as in the record."""

    recommendation_id: str | None
    items: list[str]
    model: str
    source: str


class Look(NamedTuple):
    """A shopper saw a list at `at_s` of the run. `rows`: of its items; `relevant`: `truth.relevance` at that moment;
    `clicks`: places."""

    at_s: float
    user: str
    slate: Slate
    rows: Rows
    relevant: Floats
    clicks: list[int]


class Shelf(Protocol):
    """Where a shopper's list comes from."""

    def newest(self, user: str) -> Slate | None:
        """The list that a storefront would show a user now; None: they have none."""


@dataclass(frozen=True)
class Pace:
    """`think_s`: median time on a page. `return_s`: mean time between the end of a session and the next one."""

    think_s: float
    return_s: float

    @classmethod
    def of_rate(cls, rate: float, shoppers: int, think_s: float) -> "Pace":
        """The pace at which `shoppers` cause about `rate` events a second. Raises `LiveshelfError` if they cannot."""
        pages, mean_think_s = mean_session_length(), think_s * exp(THINK_SPREAD**2 / 2)
        return_s = shoppers * pages * EVENTS_A_PAGE / rate - pages * mean_think_s
        if return_s <= 0:
            most = shoppers * EVENTS_A_PAGE / mean_think_s
            raise LiveshelfError(f"at most {most:.0f} events/s of {shoppers} shoppers", f"{rate:g}", "more --shoppers")
        return cls(think_s, return_s)


class Sourced(NamedTuple):
    """An item, and the fields that name its place on a list, if it comes from one."""

    row: int
    source: dict[str, Any]


@dataclass
class Visit:
    """A session in progress."""

    number: int
    focus: int
    pages: int  # that are left
    clicked: list[Sourced] = field(default_factory=list)  # of the list, and not opened yet
    basket: list[Sourced] = field(default_factory=list)


class Crowd:
    """All shoppers of a world. `on_event` gets each event, `on_look` each look before the events of its clicks."""

    def __init__(
        self,
        world: World,
        pace: Pace,
        shelf: Shelf,
        run: str,
        start_ms: int,
        on_event: Callable[[Event], None],
        on_look: Callable[[Look], None] = lambda look: None,
    ) -> None:
        """`run`: part of all ids but the items', so that each run has users whom the job does not know. `start_ms`: epoch
        ms of second 0."""
        self._world, self._pace, self._shelf, self._run, self._start_ms = world, pace, shelf, run, start_ms
        self._on_event, self._on_look = on_event, on_look
        self._rng = np.random.default_rng([world.shop.seed, *run.encode()])
        self.taken: list[list[int]] = [[] for _ in range(world.shop.shoppers)]  # in the basket once, or bought
        self.events = 0
        self._users = [f"{world.shop.tag}-{run}-u{shopper}" for shopper in range(world.shop.shoppers)]
        self._visits: dict[int, Visit] = {}
        self._sessions = 0
        self._due: list[tuple[float, int, int, Callable[[float, int], None]]] = []
        self._planned = 0
        median_s = self._median_return_s() * exp(RETURN_SPREAD**2)
        for shopper in range(world.shop.shoppers):
            # the rest of a gap that is under way: a gap drawn in proportion to its length, and a point in it
            gap_s = log_normal(self._rng, median_s, RETURN_SPREAD) * self._rng.random()
            self._plan(gap_s, shopper, self._begin)

    def advance(self, until_s: float) -> None:
        """Everything that shoppers do until a time of the run."""
        while self._due and self._due[0][0] <= until_s:
            at_s, _, shopper, act = heapq.heappop(self._due)
            act(at_s, shopper)

    def _plan(self, at_s: float, shopper: int, act: Callable[[float, int], None]) -> None:
        self._planned += 1
        heapq.heappush(self._due, (at_s, self._planned, shopper, act))

    def _median_return_s(self) -> float:
        return self._pace.return_s * exp(-(RETURN_SPREAD**2) / 2)

    def _begin(self, at_s: float, shopper: int) -> None:
        self._sessions += 1
        focus = int(self._rng.choice(self._world.shop.categories, p=self._world.weights[shopper]))
        self._visits[shopper] = Visit(self._sessions, focus, session_length(self._rng))
        self._find(at_s, shopper)

    def _find(self, at_s: float, shopper: int) -> None:
        """A page that the shopper found without a list."""
        visit = self._visits[shopper]
        wanted = self._world.wanted(shopper, visit.focus)
        row = int(np.searchsorted(np.cumsum(wanted), self._rng.random() * wanted.sum(), side="right"))
        self._open(at_s, shopper, "view", row, {})
        if self._rng.random() < LOOKS:
            self._plan(at_s + LOOK_S + THINKS * self._think_s(), shopper, self._look)
        else:
            self._plan(at_s + self._think_s(), shopper, self._go_on)

    def _look(self, at_s: float, shopper: int) -> None:
        visit, own = self._visits[shopper], self._shelf.newest(self._users[shopper])
        relevant = relevance(self._world, shopper, visit.focus, self.taken[shopper])
        slate = own or Slate(None, [self._world.item_ids[row] for row in self._world.popular(at_s)], "", "")
        rows = self._world.rows(slate.items)
        clicked = self._rng.random(len(rows)) < examination(len(rows)) * relevant[rows]
        places = np.flatnonzero(clicked).tolist()
        self._on_look(Look(at_s, self._users[shopper], slate, rows, relevant, places))
        of_list: dict[str, Any] = {}
        if slate.recommendation_id is not None:
            of_list = {"recommendation_id": slate.recommendation_id, "placement": "simulator"}
            self._emit(at_s, shopper, "impression", items=slate.items, position=0, **of_list)
        visit.clicked = [Sourced(int(rows[at]), of_list and of_list | {"position": at}) for at in places]
        self._plan(at_s + self._think_s(), shopper, self._go_on)

    def _open(self, at_s: float, shopper: int, kind: str, row: int, source: dict[str, Any]) -> None:
        """A product's page, from which the item may go into the basket."""
        visit = self._visits[shopper]
        visit.pages -= 1
        item = self._world.item_ids[row]
        self._emit(at_s, shopper, kind, item_id=item, **source)
        if self._rng.random() < CART_SHARE and row not in self.taken[shopper]:
            self._emit(at_s, shopper, "add_to_cart", item_id=item, **source)
            self.taken[shopper].append(row)
            visit.basket.append(Sourced(row, source))

    def _go_on(self, at_s: float, shopper: int) -> None:
        """The next clicked item, else a page that the shopper finds, else the end of the session."""
        visit = self._visits[shopper]
        if visit.clicked:
            row, source = visit.clicked.pop(0)
            self._open(at_s, shopper, "click", row, source)
            self._plan(at_s + self._think_s(), shopper, self._go_on)
        elif visit.pages > 0:
            self._find(at_s, shopper)
        else:
            self._end(at_s, shopper)

    def _end(self, at_s: float, shopper: int) -> None:
        for row, source in self._visits[shopper].basket:
            if self._rng.random() < PURCHASE_SHARE:
                item, price = self._world.item_ids[row], float(self._world.prices[row])
                self._emit(
                    at_s, shopper, "purchase", item_id=item, price=price, currency=CURRENCY, quantity=1, **source
                )
        del self._visits[shopper]
        self._plan(at_s + log_normal(self._rng, self._median_return_s(), RETURN_SPREAD), shopper, self._begin)

    def _think_s(self) -> float:
        return log_normal(self._rng, self._pace.think_s, THINK_SPREAD)

    def _emit(self, at_s: float, shopper: int, kind: Any, **fields: Any) -> None:
        self.events += 1
        tag, visit = self._world.shop.tag, self._visits[shopper]
        self._on_event(
            Event(
                event_id=f"{tag}-{self._run}-{self.events}",
                event_type=kind,
                event_time=self._start_ms + int(at_s * 1000),
                user_id=self._users[shopper],
                session_id=f"{tag}-{self._run}-s{visit.number}",
                **fields,
            )
        )
