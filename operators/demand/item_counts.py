"""How much shoppers ask for one item, as one value of bytes: sums that decay, and the counts of two hours.

A sum S with half-life H is the sum of each event's amount times 2 ** -(age / H). Between two events it needs no update: it
is kept as of the newest event, and multiplied by 2 ** -(gap / H) when the next one comes. An event that comes late is
added with its age.
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from operators.configuration.shop_settings import DemandSettings
from operators.errors import LiveshelfError
from operators.time_units import HOUR_MS

LAYOUT = 2
LARGEST = 1e15  # of a sum: JSON and a double hold its cents
KEPT_HALF_LIVES = 20  # of a silent item: then a millionth is left
SHORTEST_KEPT_MS = 3 * HOUR_MS  # the counts of two hours, and a record that waits
_PACKED = struct.Struct("<Bqqq4dddd" + "q4d4d" + "dd")
_FORMER, _LACKING = b"\x01", bytes(16)  # the layout before impressions and clicks, and what it lacks


class Asked(NamedTuple):
    """What events add. `acts`: shoppers who viewed, put into the basket or bought, each act once; `interest`: those acts by
    their weight in the order of popular items. `impressions`: times that a list showed it; `clicks`: shoppers who then clicked."""

    views: float = 0.0
    carts: float = 0.0
    purchases: float = 0.0
    revenue: float = 0.0
    acts: float = 0.0
    interest: float = 0.0
    impressions: float = 0.0
    clicks: float = 0.0


class HalfLives(NamedTuple):
    """After how long, ms, an event counts half: in all sums, and in `recent`."""

    long_ms: float
    recent_ms: float

    @classmethod
    def of(cls, settings: DemandSettings) -> "HalfLives":
        """Of the settings."""
        return cls(settings.half_life_hours * HOUR_MS, settings.recent_half_life_minutes * 60_000)

    @property
    def time_to_live_ms(self) -> int:
        """How long the counts of an item must stay after its last event."""
        return max(round(KEPT_HALF_LIVES * self.long_ms), SHORTEST_KEPT_MS)


@dataclass(slots=True)
class ItemCounts:
    """The counts of an item as of `at_ms` (epoch ms). `sums`: views, carts, purchases, revenue. `recent`: acts, with the short
    half-life.

    `hour` holds the same four of the clock hour from `hour_ms` on, `previous` those of the hour before, none of them
    decayed. `emitted_ms`: processing time of its newest record; `wake_ms`: of its timer, 0 where no change waits for one.
    """

    at_ms: int = 0
    emitted_ms: int = 0
    wake_ms: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)
    acts: float = 0.0
    interest: float = 0.0
    recent: float = 0.0
    hour_ms: int = 0
    hour: list[float] = field(default_factory=lambda: [0.0] * 4)
    previous: list[float] = field(default_factory=lambda: [0.0] * 4)
    impressions: float = 0.0
    clicks: float = 0.0

    @classmethod
    def read(cls, packed: bytes | None) -> "ItemCounts":
        """The counts of bytes of `pack`; None is an item without an event. Raises `LiveshelfError` for other bytes."""
        if packed is None:
            return cls()
        if packed[:1] == _FORMER:
            packed = bytes([LAYOUT]) + packed[1:] + _LACKING
        if len(packed) != _PACKED.size or packed[0] != LAYOUT:
            raise LiveshelfError(
                f"the counts of an item: {_PACKED.size} bytes of layout {LAYOUT}",
                f"{len(packed)} bytes of layout {packed[0] if packed else 'none'}",
                "start the job with the Liveshelf version that wrote this state, or newer",
            )
        _, at_ms, emitted_ms, wake_ms, *numbers = _PACKED.unpack(packed)
        sums, (acts, interest, recent, hour_ms), hours, shown = numbers[:4], numbers[4:8], numbers[8:16], numbers[16:]
        return cls(at_ms, emitted_ms, wake_ms, sums, acts, interest, recent, hour_ms, hours[:4], hours[4:], *shown)

    def pack(self) -> bytes:
        """The counts as bytes."""
        moments = self.at_ms, self.emitted_ms, self.wake_ms
        floats = *self.sums, self.acts, self.interest, self.recent
        shown = self.impressions, self.clicks
        return _PACKED.pack(LAYOUT, *moments, *floats, self.hour_ms, *self.hour, *self.previous, *shown)

    def forget_later(self, latest_ms: int) -> None:
        """Nothing of a time after this one stays: the clock ran ahead and was set back. Sums count as of this time, and hours
        after it begin anew."""
        self.at_ms = min(self.at_ms, latest_ms)
        if self.hour_ms > latest_ms:
            self.hour_ms, self.hour, self.previous = 0, [0.0] * 4, [0.0] * 4

    def begins_hour(self, moment_ms: int) -> bool:
        """Whether an event of this time is of a later hour than all before; false where none is counted."""
        return 0 < self.hour_ms < moment_ms // HOUR_MS * HOUR_MS

    def add(self, moment_ms: int, asked: Asked, half_lives: HalfLives) -> None:
        """Counts events of one time (epoch ms)."""
        age_ms = self.at_ms - moment_ms  # below 0: the counts are older than the event
        kept, kept_recent = 1.0, 1.0
        weight, weight_recent = _weights(abs(age_ms), half_lives)
        if age_ms < 0:
            kept, kept_recent, weight, weight_recent, self.at_ms = weight, weight_recent, 1.0, 1.0, moment_ms
        self.sums = _added(self.sums, asked, kept, weight)
        self.acts = _bounded(self.acts * kept + asked.acts * weight)
        self.interest = _bounded(self.interest * kept + asked.interest * weight)
        self.recent = _bounded(self.recent * kept_recent + asked.acts * weight_recent)
        self.impressions = _bounded(self.impressions * kept + asked.impressions * weight)
        self.clicks = _bounded(self.clicks * kept + asked.clicks * weight)
        self._count_in_hour(moment_ms // HOUR_MS * HOUR_MS, asked)

    def take_back(self, moment_ms: int, bought_ms: int, asked: Asked, half_lives: HalfLives) -> None:
        """Counts returns of one time (epoch ms) of purchases of another one, 0 where it is not known. `asked`: amounts below 0.

        The hour of the return has them in full. The sums lose what they still hold of the purchases: all of it just after
        them, next to nothing a week later, nothing of purchases that are not known. None of them falls below 0 by it.
        """
        self._count_in_hour(moment_ms // HOUR_MS * HOUR_MS, asked)
        self.at_ms = self.at_ms or moment_ms
        if not bought_ms:
            return
        weight, weight_recent = _weights(max(0, self.at_ms - bought_ms), half_lives)
        self.sums = [_less(held, amount * weight) for held, amount in zip(self.sums, asked[:4], strict=True)]
        self.acts = _less(self.acts, asked.acts * weight)
        self.interest = _less(self.interest, asked.interest * weight)
        self.recent = _less(self.recent, asked.acts * weight_recent)

    def _count_in_hour(self, hour_ms: int, asked: Asked) -> None:
        """An event of an hour before the last two is in no hour's counts."""
        if hour_ms > self.hour_ms:
            self.previous = self.hour if hour_ms - self.hour_ms == HOUR_MS else [0.0] * 4
            self.hour_ms, self.hour = hour_ms, [0.0] * 4
        if hour_ms == self.hour_ms:
            self.hour = _added(self.hour, asked)
        elif hour_ms == self.hour_ms - HOUR_MS:
            self.previous = _added(self.previous, asked)


def _added(sums: list[float], asked: Asked, kept: float = 1.0, weight: float = 1.0) -> list[float]:
    return [_bounded(held * kept + amount * weight) for held, amount in zip(sums, asked[:4], strict=True)]


def _weights(age_ms: int, half_lives: HalfLives) -> tuple[float, float]:
    """What is left of an event of this age in all sums, and in `recent`."""
    long, recent = (2.0 ** -(age_ms / half_life) for half_life in half_lives)
    return long, recent


def _less(held: float, amount: float) -> float:
    """`amount` is 0 or below; a sum that it would bring below 0 becomes 0."""
    return held if amount == 0 else max(held + amount, min(held, 0.0))


def _bounded(number: float) -> float:
    return min(max(-LARGEST, number), LARGEST)
