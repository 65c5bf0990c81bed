"""The reports of a training by epoch, as JSON lines in the bundle."""

import json
from collections.abc import Callable
from pathlib import Path

Log = Callable[[str], None]
Report = Callable[[str, float], None]  # a name of `train_metrics.METRICS` and its value


def unreported(_: str, __: float) -> None:
    """Reports nothing."""


class TrainingLog:
    """Passes reports on and keeps them, one line an epoch."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lines: list[dict[str, float | str]] = []
        self._part = "final"

    def part(self, name: str) -> None:
        """Names the training that starts now: a search with some settings, or the final one."""
        self._part = name

    def report(self, name: str, value: float) -> None:
        """Takes one of `train_metrics.METRICS`; the metric `epoch` starts a line."""
        if name == "epoch":
            self._lines.append({"part": self._part})
        if self._lines:
            self._lines[-1][name] = value
        self._report(name, value)

    def write(self, file: Path) -> None:
        """Writes all lines."""
        file.write_text("".join(json.dumps(line) + "\n" for line in self._lines))
