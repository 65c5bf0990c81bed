"""One alert, and how durations between @ become Prometheus'."""

import re
from dataclasses import dataclass
from typing import Any

RUNBOOK = "docs/operate.md"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"@(\d+)([smhdw])@")


@dataclass(frozen=True)
class Alert:
    """`hold`: for how long it must be true; `severity`: page (wake somebody) or ticket; `do`: what to type or look at."""

    name: str
    expression: str
    hold: str
    severity: str
    summary: str
    do: str
    kind: str = "cause"  # symptom: a shopper notices

    def rule(self, scale: float = 1.0) -> dict[str, Any]:
        """As a Prometheus rule; `scale` below 1 compresses every duration."""
        return {
            "alert": self.name,
            "expr": scaled(self.expression, scale),
            "for": scaled(f"@{self.hold}@", scale),
            "labels": {"severity": self.severity, "kind": self.kind},
            "annotations": {
                "summary": self.summary,
                "do": self.do,
                "runbook": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


def scaled(expression: str, scale: float) -> str:
    """`@5m@` becomes `5m`, or, compressed, so many milliseconds (never less than a second)."""

    def duration(found: re.Match[str]) -> str:
        if scale == 1.0:
            return found[1] + found[2]
        return f"{max(1000, round(int(found[1]) * _UNITS[found[2]] * scale * 1000))}ms"

    return _DURATION.sub(duration, expression)
