"""One alert, and how durations between @ become Prometheus'."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RUNBOOK = "docs/operate.md"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"@(\d+)([smhdw])@")

Lengths = Callable[[float], float]


def as_long(seconds: float) -> float:
    """Leaves durations unchanged; tests compress them, so that a week passes quickly."""
    return seconds


@dataclass(frozen=True)
class Alert:
    """`hold`: for how long it must be true; `severity`: page (wake somebody) or ticket; `do`: steps apart by
    "; ", each a command, what to look at, or both with ": " between."""

    name: str
    expression: str
    hold: str
    severity: str
    summary: str
    do: str
    kind: str = "cause"  # symptom: a shopper notices

    def rule(self, lengths: Lengths = as_long) -> dict[str, Any]:
        """As a Prometheus rule; `lengths` may compress every duration."""
        return {
            "alert": self.name,
            "expr": timed(self.expression, lengths),
            "for": timed(f"@{self.hold}@", lengths),
            "labels": {"severity": self.severity, "kind": self.kind},
            "annotations": {
                "summary": self.summary,
                "do": self.do,
                "runbook": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


def timed(expression: str, lengths: Lengths = as_long) -> str:
    """`@5m@` becomes `5m` or, compressed by `lengths` (seconds -> seconds), so many milliseconds."""

    def duration(match: re.Match[str]) -> str:
        seconds = int(match[1]) * _UNITS[match[2]]
        compressed = lengths(seconds)
        return match[1] + match[2] if compressed == seconds else f"{round(compressed * 1000)}ms"

    return _DURATION.sub(duration, expression)
