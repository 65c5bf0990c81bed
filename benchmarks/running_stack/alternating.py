"""Two objects that take turns by the clock: what measures the cost of one of them within a single run.

`ship` puts this file in the place of `operators/telemetry/chosen_sensors.py` of a submission.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPELL_S = 5.0
REPLACED = Path("operators") / "telemetry" / "chosen_sensors.py"


def first_has_turn(now_s: float, spell_s: float) -> bool:
    """Whether it is the first one's spell: first, second, second, first, so that a steady trend favours neither."""
    return int(now_s / spell_s) % 4 in (0, 3)


class Alternating:
    """Stands for `first` in its spells and for `second` in the others; whoever knows the clock knows whose turn it is."""

    def __init__(self, first: object, second: object, spell_s: float, clock_s: Callable[[], float]) -> None:
        """`spell_s` in seconds; `clock_s` gives epoch s."""
        self._first, self._second = first, second
        self._spell_s, self._clock_s = spell_s, clock_s

    def __getattr__(self, name: str) -> Any:
        """An attribute of the one whose turn it is."""
        return getattr(self._first if first_has_turn(self._clock_s(), self._spell_s) else self._second, name)


def chosen(sensors: Any, null: Any) -> Any:
    """Both in turns by the wall clock, `SPELL_S` each."""
    return Alternating(sensors, null, SPELL_S, time.time)


def ship(folder: Path) -> None:
    """Puts this file into a submission's folder of code."""
    shutil.copy(__file__, folder / REPLACED)
