"""The closed loop without Kafka: shoppers, lists, clicks and learning in one process, faster than the clock.

Either a trivial learner makes the lists, or bundles do, swapped at given minutes as a rollout would.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.simulator.bundle_lists import BundleLists, ShopperStates
from benchmarks.simulator.crowd import Crowd, Pace, Shelf, Slate
from benchmarks.simulator.drift import Rows
from benchmarks.simulator.ledger import Ledger, Window
from benchmarks.simulator.real_shops import Floats
from benchmarks.simulator.world import World
from operators.lists.request import Request
from operators.records.contracts import Event
from operators.settings import Settings

if TYPE_CHECKING:  # it needs torch
    from benchmarks.simulator.followed_bundles import FollowedBundles

TICK_S = 1.0
LEARNER = "category counts"


class CategoryCounts:
    """A trivial learner: the most wanted items of the category that the shopper last saw, by counts that decay.

    `learns` False: it counts until `freeze_s` of the run and never again.
    """

    def __init__(
        self, world: World, start_ms: int, half_life_s: float, size: int = 20, freeze_s: float = np.inf
    ) -> None:
        self._world, self._start_ms, self._size, self._freeze_s = world, start_ms, size, freeze_s
        self._half_life_s = half_life_s
        self._counts: Floats = np.zeros(len(world.category))
        self._category: dict[str, int] = {}
        self._lists: Counter[str] = Counter()

    def on_event(self, event: Event) -> None:
        """Learns from a view or click; a later event counts for more, which is what decay comes to."""
        if event.item_id is None or event.event_type not in ("view", "click"):
            return
        (row,), at_s = self._world.rows([event.item_id]), (int(event.event_time) - self._start_ms) / 1000
        self._category[event.user_id] = int(self._world.category[row])
        if at_s <= self._freeze_s:
            self._counts[row] += 2 ** (at_s / self._half_life_s)

    def newest(self, user: str) -> Slate | None:
        """As `Shelf`."""
        if user not in self._category:
            return None
        self._lists[user] += 1
        return Slate(f"{user}-{self._lists[user]}", self._items(user), LEARNER, "model")

    def slates(self, requests: Sequence[Request]) -> list[Slate]:
        """As `Control`."""
        return [Slate("", self._items(request.user_id), LEARNER, "model") for request in requests]

    def _items(self, user: str) -> list[str]:
        rows = np.flatnonzero(self._world.category == self._category[user])
        best = rows[np.argsort(-self._counts[rows], kind="stable")][: self._size]
        return [self._world.item_ids[row] for row in best.tolist()]


class SwappedBundles:
    """The lists of the bundle whose minute has come: {second of the run: bundle}, the first at 0."""

    def __init__(self, states: ShopperStates, bundles: Mapping[float, BundleLists]) -> None:
        self._states, self._bundles = states, dict(sorted(bundles.items()))
        self.now_s = 0.0

    def newest(self, user: str) -> Slate | None:
        """As `Shelf`."""
        request = self._states.request(user)
        serving = max(second for second in self._bundles if second <= self.now_s)
        return None if request is None else self._bundles[serving].slates([request])[0]


def dry_run(
    world: World,
    pace: Pace,
    minutes: float,
    shelf: Shelf,
    ledger: Ledger,
    on_event: Callable[[Event], None],
    on_tick: Callable[[float, Rows], None] = lambda now_s, arrived: None,
    start_ms: int = 0,
) -> Iterator[Window]:
    """The windows of a run. `on_event` comes before the ledger's; `on_tick` gets the time and the items that arrived."""

    def both(event: Event) -> None:
        on_event(event)
        ledger.on_event(event)

    crowd = Crowd(world, pace, shelf, "dry", start_ms, both, ledger.on_look)
    for tick in range(1, round(minutes * 60 / TICK_S) + 1):
        on_tick(tick * TICK_S, world.advance(tick * TICK_S))
        crowd.advance(tick * TICK_S)
        if window := ledger.end_tick(tick * TICK_S):
            yield window


def with_bundles(
    world: World,
    pace: Pace,
    minutes: float,
    bundles: Mapping[float, Path],
    settings: Settings,
    start_ms: int,
    on_event: Callable[[Event], None],
) -> Iterator[Window]:
    """A dry run with real bundles, of which the first is also the frozen control. Raises `BundleError`."""
    states = ShopperStates(settings)
    loaded = {second: BundleLists(folder, settings, world) for second, folder in bundles.items()}
    shelf, control = SwappedBundles(states, loaded), loaded[min(loaded)]

    def on_tick(now_s: float, arrived: Rows) -> None:
        shelf.now_s = now_s
        for lists in loaded.values():
            lists.put_on_sale(arrived)

    ledger = Ledger(world, states, control)
    yield from dry_run(world, pace, minutes, shelf, ledger, on_event, on_tick, start_ms)


def with_trainer(
    world: World,
    pace: Pace,
    minutes: float,
    shelf: "FollowedBundles",
    control: BundleLists,
    start_ms: int,
    keep: Callable[[Event], None],
) -> Iterator[Window]:
    """A dry run of the trainer; `control` is the bundle that it began with, frozen. `keep` gets each event."""

    def on_event(event: Event) -> None:
        shelf.log.add(event)
        keep(event)

    def on_tick(now_s: float, arrived: Rows) -> None:
        control.put_on_sale(arrived)
        shelf.on_tick(now_s, arrived)

    ledger = Ledger(world, shelf.states, control)
    yield from dry_run(world, pace, minutes, shelf, ledger, on_event, on_tick, start_ms)


def with_learner(
    world: World,
    pace: Pace,
    minutes: float,
    start_ms: int,
    settings: Settings,
    keep: Callable[[Event], None] = lambda event: None,
    half_life_s: float = 60.0,
) -> Iterator[Window]:
    """A dry run of `CategoryCounts`; the control stops to learn at the drift."""
    learner = CategoryCounts(world, start_ms, half_life_s)
    frozen = CategoryCounts(world, start_ms, half_life_s, freeze_s=world.drift.at_s)

    def on_event(event: Event) -> None:
        for follower in (learner.on_event, frozen.on_event, keep):
            follower(event)

    ledger = Ledger(world, ShopperStates(settings), frozen)
    yield from dry_run(world, pace, minutes, learner, ledger, on_event, start_ms=start_ms)
