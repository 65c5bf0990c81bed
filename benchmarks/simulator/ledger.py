"""What a run has seen, by 10 s: clicks that lists had, clicks that they could expect, and what other lists could."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np

from benchmarks.simulator.bundle_lists import ShopperStates
from benchmarks.simulator.crowd import Look, Slate
from benchmarks.simulator.truth import best_rows, expected_clicks
from benchmarks.simulator.world import World
from operators.lists.request import Request
from operators.records.contracts import Event

WINDOW_S = 10.0


class Tally(msgspec.Struct):
    """`looks` at lists, the clicks that the truth expects of them, and those that came (0 for lists nobody saw)."""

    looks: int = 0
    expected: float = 0.0
    clicks: int = 0

    def add(self, expected: float, clicks: int = 0) -> None:
        """One look."""
        self.looks, self.expected, self.clicks = self.looks + 1, self.expected + expected, self.clicks + clicks


class Window(msgspec.Struct, kw_only=True):
    """The looks of `WINDOW_S` seconds that end at `end_s` of the run. All tallies are of the same shoppers and moments.

    `shown`: the lists that the shoppers saw; `frozen`: those of the bundle that never learns; `oracle`: the best that
    there are; `popular`: the most wanted items of the whole shop. `models` and `sources` divide `shown`.
    `without_list`: looks of shoppers who had no list yet. `behind_s`: by how much the driver was late, at most.
    """

    end_s: float
    shown: Tally = msgspec.field(default_factory=Tally)
    frozen: Tally | None = None
    oracle: Tally = msgspec.field(default_factory=Tally)
    popular: Tally = msgspec.field(default_factory=Tally)
    models: dict[str, Tally] = msgspec.field(default_factory=dict)
    sources: dict[str, int] = msgspec.field(default_factory=dict)
    without_list: int = 0
    events: int = 0
    behind_s: float = 0.0


class Control(Protocol):
    """The lists of a model that never learns, from the shoppers' states."""

    def slates(self, requests: Sequence[Request]) -> list[Slate]:
        """A list for each request."""


class Ledger:
    """Gathers looks. `end_tick` scores the control's lists of all looks since the last one together."""

    def __init__(self, world: World, states: ShopperStates | None = None, control: Control | None = None) -> None:
        self._world, self._states, self._control = world, states, control
        self._waiting: list[tuple[Look, Request]] = []
        self._window = self._new(WINDOW_S)

    def on_event(self, event: Event) -> None:
        """Counts an event and keeps the shopper's state."""
        self._window.events += 1
        if self._states is not None:
            self._states.apply(event)

    def on_look(self, look: Look) -> None:
        """Takes a look. The state is that of before its clicks, as the shown list's is."""
        window, slate = self._window, look.slate
        if slate.recommendation_id is None:
            window.without_list += 1
            return
        expected, clicks = expected_clicks(look.relevant, look.rows), len(look.clicks)
        window.shown.add(expected, clicks)
        window.models.setdefault(slate.model, Tally()).add(expected, clicks)
        window.sources[slate.source] = window.sources.get(slate.source, 0) + 1
        window.oracle.add(expected_clicks(look.relevant, best_rows(look.relevant, len(look.rows))))
        window.popular.add(expected_clicks(look.relevant, self._world.popular(look.at_s)))
        if self._states is not None and (request := self._states.request(look.user)):
            self._waiting.append((look, request))

    def end_tick(self, now_s: float, behind_s: float = 0.0) -> Window | None:
        """Ends a tick; returns the window that has ended with it, if one has."""
        if self._control is not None and self._window.frozen is not None:
            slates = self._control.slates([request for _, request in self._waiting])
            for (look, _), slate in zip(self._waiting, slates, strict=True):
                self._window.frozen.add(expected_clicks(look.relevant, self._world.rows(slate.items)))
        self._waiting.clear()
        self._window.behind_s = round(max(self._window.behind_s, behind_s), 3)
        if now_s < self._window.end_s:
            return None
        ended, self._window = self._window, self._new(WINDOW_S * (np.floor(now_s / WINDOW_S) + 1))
        return ended

    def _new(self, end_s: float) -> Window:
        return Window(end_s=float(end_s), frozen=None if self._control is None else Tally())
