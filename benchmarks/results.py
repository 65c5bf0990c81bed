"""Kept results: what two runs may be compared by.

Figures of two machines, or of two hours of one shared machine, say little; the ratios within a run say more. Each result
names its own under `ratios`, all of them better when higher. Where several runs are kept, they say how much a ratio
scatters by itself.
"""

import json
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.errors import LiveshelfError

TOLERATED = 0.15  # of a ratio: what is lost beyond it is said

Results = dict[str, dict[str, Any]]  # bench -> result


@dataclass(frozen=True)
class Change:
    """A ratio in the kept runs and in the new one; None where that has it not."""

    bench: str
    name: str
    runs: tuple[float, ...]  # empty where no kept run has it
    now: float | None
    left_out: str = ""  # why the new run does not have it, where it could not

    @property
    def kept(self) -> float | None:
        """The median of the kept runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def fell(self) -> bool:
        """Whether it is lower than the median by more than is tolerated, or gone."""
        return (
            not self.left_out and self.kept is not None and (self.now is None or self.now < self.kept * (1 - TOLERATED))
        )

    @property
    def lost(self) -> bool:
        """Whether it fell, and lower than any of several kept runs did."""
        return self.fell and (self.now is None or len(self.runs) == 1 or self.now < min(self.runs))

    @property
    def said(self) -> str:
        """In a word."""
        if self.left_out or self.kept is None:
            return self.left_out or "new"
        return "lost" if self.lost else "lower, as a kept run was too" if self.fell else ""


def read(file: Path) -> Results:
    """Bench -> result, from a file, or from all files of a folder. Raises `LiveshelfError`."""
    try:
        results = [json.loads(one.read_text()) for one in (sorted(file.glob("*.json")) if file.is_dir() else [file])]
        return {result["bench"]: result for result in results}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiveshelfError(
            "results as `liveshelf bench NAME --json` prints them", f"{file}: {error!r}", "run the benchmark again"
        ) from error


def read_runs(folder: Path) -> list[Results]:
    """One for each folder in it, or what `read` reads where there is none. Raises `LiveshelfError`."""
    runs = [one for one in sorted(folder.glob("*")) if one.is_dir()] if not [*folder.glob("*.json")] else []
    return [read(run) for run in runs] or [read(folder)]


def compare(kept: list[Results], now: Results) -> list[Change]:
    """All ratios of the benches that are in both, in the kept ones' order, new ones last."""
    changes = []
    for bench in sorted({bench for run in kept for bench in run} & now.keys()):
        before: dict[str, list[float]] = defaultdict(list)
        for run in kept:
            for name, value in run.get(bench, {}).get("ratios", {}).items():
                before[name].append(value)
        after = now[bench].get("ratios", {})
        for name in [*before, *(after.keys() - before.keys())]:
            left_out = now[bench].get("left_out", {}).get(name, "")
            changes.append(Change(bench, name, tuple(before.get(name, ())), after.get(name), left_out))
    return changes


def rows(changes: list[Change]) -> list[tuple[str, ...]]:
    """For a table: bench, ratio, the kept runs' median and range, now, and what is to be said of it."""
    return [
        (
            c.bench,
            c.name,
            _text(c.kept),
            f"{min(c.runs):.3g} to {max(c.runs):.3g}" if len(c.runs) > 1 else "",
            _text(c.now),
            c.said,
        )
        for c in changes
    ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
