"""The past of a shop, to train its first bundle from: events without lists of its shoppers' own.

The shop showed its popular items, as a shop without Liveshelf does: shoppers also clicked those.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.simulator.crowd import Crowd, Pace
from benchmarks.simulator.real_shops import THINK_S
from benchmarks.simulator.world import World
from operators.records.contracts import Event, encode_record
from operators.time_units import DAY_MS

DAY_S = 86_400.0
END_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, if no other end is named: the same past each time


class NoShelf:
    """Nobody has a list of their own."""

    def newest(self, user: str) -> None:
        """None."""


def past(world: World, days: float, sessions: float, end_ms: int = END_MS) -> Iterator[Event]:
    """The events of `days` before `end_ms`, by time; `sessions`: of a shopper in all these days, on average."""
    events: list[Event] = []
    pace = Pace(THINK_S, days * DAY_S / sessions)
    crowd = Crowd(world, pace, NoShelf(), "past", end_ms - round(days * DAY_MS), events.append)
    hours = round(24 * days)
    for hour in range(1, hours + 1):
        crowd.advance(days * DAY_S * hour / hours)
        yield from events
        events.clear()


def write(world: World, events: Path, catalogue: Path, days: float, sessions: float, end_ms: int = END_MS) -> int:
    """Writes the past and the catalogue as JSON lines, for `liveshelf train`; returns the number of events."""
    with catalogue.open("wb") as file:
        file.writelines(encode_record(item) + b"\n" for item in world.catalogue(world.present))
    count = 0
    with events.open("wb") as file:
        for event in past(world, days, sessions, end_ms):
            file.write(encode_record(event) + b"\n")
            count += 1
    return count
