"""Two objects that take turns by the clock, to measure the cost of one of them within a single run.

`ship` replaces `operators/telemetry/chosen_sensors.py` of a submission by this file.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPELL_S = 5.0
REPLACED = Path("operators") / "telemetry" / "chosen_sensors.py"


def first_has_turn(now_s: float, spell_s: float) -> bool:
    """Whether it is the turn of the first object. The order is first, second, second, first, so that a trend favours neither."""
    return int(now_s / spell_s) % 4 in (0, 3)


class Alternating:
    """A proxy for `first` in its spells and for `second` in the others."""

    def __init__(self, first: object, second: object, spell_s: float, clock_s: Callable[[], float]) -> None:
        """`spell_s` in seconds; `clock_s` gives epoch s."""
        self._first, self._second = first, second
        self._spell_s, self._clock_s = spell_s, clock_s

    def __getattr__(self, name: str) -> Any:
        """The attribute of the object that has the turn."""
        return getattr(self._first if first_has_turn(self._clock_s(), self._spell_s) else self._second, name)


def chosen(sensors: Any, null: Any) -> Any:
    """Both sensors in turns of `SPELL_S` by the wall clock."""
    return Alternating(sensors, null, SPELL_S, time.time)


def ship(folder: Path) -> None:
    """Copies this file into a submission's code folder."""
    shutil.copy(__file__, folder / REPLACED)
