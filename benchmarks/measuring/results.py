"""Kept results, and the comparison of two runs.

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
    """A ratio in the kept runs and in the new run (None when the new run lacks it)."""

    bench: str
    name: str
    runs: tuple[float, ...]  # empty where no kept run has it
    now: float | None
    left_out: str = ""  # why the new run did without it
    not_measured: str = ""  # why the new run has no figure

    @property
    def kept(self) -> float | None:
        """The median of the kept runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def fell(self) -> bool:
        """Whether it is lower than the median by more than is tolerated, or gone without a reason."""
        if self.left_out or self.not_measured or self.kept is None:
            return False
        return self.now is None or self.now < self.kept * (1 - TOLERATED)

    @property
    def lost(self) -> bool:
        """Whether it fell, and lower than any of several kept runs did."""
        return self.fell and (self.now is None or len(self.runs) == 1 or self.now < min(self.runs))

    @property
    def failed(self) -> bool:
        """Whether it is lost, or nobody knows: the run should have measured it and did not."""
        return self.lost or bool(self.not_measured)

    @property
    def remark(self) -> str:
        """The remark for the table."""
        if reason := self.not_measured or self.left_out:
            return f"not measured: {reason}"
        if self.kept is None:
            return "new"
        return "lost" if self.lost else "lower, as a kept run was too" if self.fell else ""


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
    """One for each folder in it, or what `read` reads where there is none. Raises `LiveshelfError`."""
    runs = [path for path in sorted(folder.glob("*")) if path.is_dir()] if not [*folder.glob("*.json")] else []
    return [read(run) for run in runs] or [read(folder)]


def compare(kept: list[Results], now: Results) -> list[Change]:
    """All ratios of the benches that are in both, in the kept ones' order, new ones last."""
    changes = []
    for bench in sorted({bench for run in kept for bench in run} & now.keys()):
        before: dict[str, list[float]] = defaultdict(list)
        for run in kept:
            for name, value in run.get(bench, {}).get("ratios", {}).items():
                if value is not None:
                    before[name].append(value)
        result = now[bench]
        after = result.get("ratios", {})
        for name in [*before, *(after.keys() - before.keys())]:
            reasons = {kind: result.get(kind, {}).get(f"ratios.{name}", "") for kind in ("left_out", "not_measured")}
            changes.append(Change(bench, name, tuple(before.get(name, ())), after.get(name), **reasons))
    return changes


def figure(results: Results, bench: str, *path: str | int) -> Any:
    """A number of a kept result. Raises `LiveshelfError` where there is none."""
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
    """For a table: bench, ratio, the kept runs' median and range, now, and what is to be said of it."""
    return [
        (
            c.bench,
            c.name,
            _text(c.kept),
            f"{min(c.runs):.3g} to {max(c.runs):.3g}" if len(c.runs) > 1 else "",
            _text(c.now),
            c.remark,
        )
        for c in changes
    ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
