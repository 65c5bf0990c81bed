"""Kept results, and the comparison of two runs.

Figures of different machines, or of different hours of a shared machine, are not comparable; ratios within one run are.
Each result lists its ratios under `ratios`; higher is better. Several kept runs show how much a ratio scatters.
"""

import json
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.errors import LiveshelfError

TOLERATED = 0.15  # a ratio may fall by this share

Results = dict[str, dict[str, Any]]  # bench -> result


@dataclass(frozen=True)
class Change:
    """A ratio in the kept runs and in the new run (None when the new run lacks it)."""

    bench: str
    name: str
    runs: tuple[float, ...]  # empty where no kept run has it
    current: float | None
    left_out: str = ""  # the reason why the new run skipped it
    not_measured: str = ""  # the reason why the new run has no figure

    @property
    def kept_median(self) -> float | None:
        """The median of the kept runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def is_lower(self) -> bool:
        """Whether it is below the median by more than `TOLERATED`, or missing without a reason."""
        if self.left_out or self.not_measured or self.kept_median is None:
            return False
        return self.current is None or self.current < self.kept_median * (1 - TOLERATED)

    @property
    def is_lost(self) -> bool:
        """Whether it is lower, and below every kept run."""
        return self.is_lower and (self.current is None or len(self.runs) == 1 or self.current < min(self.runs))

    @property
    def is_failure(self) -> bool:
        """Whether it is lost, or the run failed to measure it."""
        return self.is_lost or bool(self.not_measured)

    @property
    def remark(self) -> str:
        """The remark for the table."""
        if reason := self.not_measured or self.left_out:
            return f"not measured: {reason}"
        if self.kept_median is None:
            return "new"
        return "lost" if self.is_lost else "lower, as a kept run was too" if self.is_lower else ""


def read(file: Path) -> Results:
    """Bench -> result, from a file, or from all files of a folder. Raises `LiveshelfError`."""
    try:
        results = [json.loads(path.read_text()) for path in (sorted(file.glob("*.json")) if file.is_dir() else [file])]
        return {result["bench"]: result for result in results}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiveshelfError(
            "results as `liveshelf bench NAME --json` prints them", f"{file}: {error!r}", "run the benchmark again"
        ) from error


def read_runs(folder: Path) -> list[Results]:
    """A result for each folder in `folder`; without folders, the one result that `read` reads. Raises `LiveshelfError`."""
    runs = [path for path in sorted(folder.glob("*")) if path.is_dir()] if not [*folder.glob("*.json")] else []
    return [read(run) for run in runs] or [read(folder)]


def compare(kept_runs: list[Results], current: Results) -> list[Change]:
    """All ratios of the benches that both sides have, in the order of the kept runs, new ones last."""
    changes = []
    for bench in sorted({bench for run in kept_runs for bench in run} & current.keys()):
        kept_ratios: dict[str, list[float]] = defaultdict(list)
        for run in kept_runs:
            for name, value in run.get(bench, {}).get("ratios", {}).items():
                if value is not None:
                    kept_ratios[name].append(value)
        result = current[bench]
        current_ratios = result.get("ratios", {})
        for name in [*kept_ratios, *(current_ratios.keys() - kept_ratios.keys())]:
            reasons = {kind: result.get(kind, {}).get(f"ratios.{name}", "") for kind in ("left_out", "not_measured")}
            changes.append(Change(bench, name, tuple(kept_ratios.get(name, ())), current_ratios.get(name), **reasons))
    return changes


def figure(results: Results, bench: str, *path: str | int) -> Any:
    """A number of a kept result. Raises `LiveshelfError` if it is missing."""
    value: Any = results.get(bench)
    for step in path:
        try:
            value = value[step]
        except (TypeError, LookupError):
            value = None
            break
    if value is None:
        key = f"{bench}: {'.'.join(map(str, path))}"
        reasons = results.get(bench, {}).get("not_measured", {})
        reason = "; ".join(sorted({*reasons.values()})) or "none"
        raise LiveshelfError(f"a figure in a kept result ({key})", reason, f"liveshelf bench {bench} --keep FILE")
    return value


def rows(changes: list[Change]) -> list[tuple[str, ...]]:
    """Rows of a table: bench, ratio, median and range of the kept runs, current value, remark."""
    return [
        (
            change.bench,
            change.name,
            _text(change.kept_median),
            f"{min(change.runs):.3g} to {max(change.runs):.3g}" if len(change.runs) > 1 else "",
            _text(change.current),
            change.remark,
        )
        for change in changes
    ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
