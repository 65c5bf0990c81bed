"""What a training reported, epoch by epoch: JSON lines in the bundle, whether anything watches or not."""

import json
from collections.abc import Callable
from pathlib import Path

Log = Callable[[str], None]
Report = Callable[[str, float], None]  # a name of `train_metrics.METRICS` and its value


def unreported(_: str, __: float) -> None:
    """Reports nothing."""


class TrainingLog:
    """Passes on what is reported, and keeps it: a line an epoch."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lines: list[dict[str, float | str]] = []
        self._part = "final"

    def part(self, name: str) -> None:
        """What is trained from here on: a search with some settings, or what is kept."""
        self._part = name

    def report(self, name: str, value: float) -> None:
        """One of `train_metrics.METRICS`; an epoch begins a line."""
        if name == "epoch":
            self._lines.append({"part": self._part})
        if self._lines:
            self._lines[-1][name] = value
        self._report(name, value)

    def write(self, file: Path) -> None:
        """All lines."""
        file.write_text("".join(json.dumps(line) + "\n" for line in self._lines))
