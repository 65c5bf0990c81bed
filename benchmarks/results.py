"""Kept results: what two runs may be compared by.

Figures of two machines, or of two hours of one shared machine, say little; the ratios within a run say more. Each result
names its own under `ratios`, all of them better when higher.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.errors import LiveshelfError

TOLERATED = 0.15  # of a ratio: what is lost beyond it is said


@dataclass(frozen=True)
class Change:
    """A ratio in the kept and in the new result; None where one has it not."""

    bench: str
    name: str
    kept: float | None
    now: float | None

    @property
    def lost(self) -> bool:
        """Whether it fell by more than is tolerated, or is gone."""
        if self.kept is None:
            return False
        return self.now is None or self.now < self.kept * (1 - TOLERATED)


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Bench -> result, from a file, or from all files of a folder. Raises `LiveshelfError`."""
    try:
        results = [json.loads(one.read_text()) for one in (sorted(file.glob("*.json")) if file.is_dir() else [file])]
        return {result["bench"]: result for result in results}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiveshelfError(
            "results as `liveshelf bench NAME --json` prints them", f"{file}: {error!r}", "run the benchmark again"
        ) from error


def compare(kept: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[Change]:
    """All ratios of the benches that are in both, in the kept one's order, new ones last."""
    changes = []
    for bench in kept.keys() & now.keys():
        before, after = kept[bench].get("ratios", {}), now[bench].get("ratios", {})
        for name in [*before, *(after.keys() - before.keys())]:
            changes.append(Change(bench, name, before.get(name), after.get(name)))
    return sorted(changes, key=lambda change: change.bench)


def rows(changes: list[Change]) -> list[tuple[str, str, str, str, str]]:
    """For a table: bench, ratio, kept, now, and what is to be said of it."""
    return [
        (c.bench, c.name, _text(c.kept), _text(c.now), "lost" if c.lost else "new" if c.kept is None else "")
        for c in changes
    ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
