"""Lists of a bundle, counted by when they went out, so that two bundles are compared by what they did at the same time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from operators.time_units import MINUTE_MS

SLOT_MS = 10_000
KEPT_MS = 30 * MINUTE_MS
MOST_DELAYS = 50  # of a slot


class ListFact(NamedTuple):
    """A list that went out. `at_ms`, `event_ms`: epoch ms, of the list's record and of the event that caused it."""

    at_ms: int
    event_ms: int
    is_fallback: bool
    is_empty: bool


@dataclass
class ListCounts:
    """Lists, and how many of them were fallback lists or empty. `delays_ms`: from event to list, of some of them."""

    lists: int = 0
    fallbacks: int = 0
    empty: int = 0
    delays_ms: list[int] = field(default_factory=list)

    def add(self, fact: ListFact) -> None:
        """Counts a list."""
        self.lists += 1
        self.fallbacks += fact.is_fallback
        self.empty += fact.is_empty
        if len(self.delays_ms) < MOST_DELAYS:
            self.delays_ms.append(fact.at_ms - fact.event_ms)

    def add_all(self, other: "ListCounts") -> None:
        """Counts the lists of `other` too."""
        self.lists += other.lists
        self.fallbacks += other.fallbacks
        self.empty += other.empty
        self.delays_ms += other.delays_ms

    @property
    def delay_ms(self) -> float:
        """The median. Without a list there is none."""
        return median(self.delays_ms)


class RecentLists:
    """The lists of one bundle, by slots of `SLOT_MS`."""

    def __init__(self) -> None:
        self._slots: dict[int, ListCounts] = {}
        self.last_ms = 0  # when the newest list went out, epoch ms

    def add(self, fact: ListFact) -> None:
        """Counts a list."""
        self._slots.setdefault(fact.at_ms // SLOT_MS, ListCounts()).add(fact)
        self.last_ms = max(self.last_ms, fact.at_ms)

    def count(self, from_ms: int, to_ms: int) -> int:
        """Lists of the slots that touch this span (epoch ms)."""
        return sum(self._slots[slot].lists for slot in self._slots_of(from_ms, to_ms))

    def keep(self, spans: Sequence[tuple[int, int]]) -> None:
        """Forgets the slots that touch none of the spans (epoch ms)."""
        kept = {slot for span in spans for slot in self._slots_of(*span)}
        self._slots = {slot: counts for slot, counts in self._slots.items() if slot in kept}

    def newest(
        self, from_ms: int, to_ms: int, enough: int, beside: "RecentLists | None" = None
    ) -> tuple[ListCounts, ListCounts]:
        """The newest lists of a span, and those of another bundle in the same time. It goes back until there are `enough` of each,
        at most to this bundle's first."""
        mine, other = ListCounts(), ListCounts()
        slots = self._slots_of(from_ms, to_ms)
        for slot in range(max(slots, default=-1), min(slots, default=0) - 1, -1):
            mine.add_all(self._slots.get(slot) or ListCounts())
            if beside is not None:
                other.add_all(beside._slots.get(slot) or ListCounts())
            if mine.lists >= enough and (beside is None or other.lists >= enough):
                break
        return mine, other

    def _slots_of(self, from_ms: int, to_ms: int) -> list[int]:
        return [slot for slot in self._slots if from_ms // SLOT_MS <= slot <= to_ms // SLOT_MS]
