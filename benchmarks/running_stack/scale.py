"""Measures lists/s and CPU of a drain at several numbers of slots, and fits the cost of a slot."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, ratio, total
from benchmarks.running_stack.throughput import drain
from operators.settings import Settings


class RestartWith(Protocol):
    """Stops the job with a savepoint, calls `while_stopped`, starts the job with `parallelism` slots."""

    def __call__(self, while_stopped: Callable[[], object] = ..., *, parallelism: int = ...) -> None:
        """Returns when all tasks run."""


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: RestartWith,
    slots: list[int],
    count: int,
) -> dict[str, Any]:
    """Drains `count` events at each number of slots; restores the job's own number at the end."""
    rows = []
    try:
        for number in slots:

            def restart_with_slots(while_stopped: Callable[[], object], number: int = number) -> None:
                restart(while_stopped, parallelism=number)

            figures = drain(settings, items, parts, restart_with_slots, count)
            cpu = total(figures["cpu_s_per_1000"].values(), 4)
            rows.append({"slots": number, **figures, "cpu_s_per_1000_all": cpu})
    finally:
        restart()
    return {
        "bench": "scale",
        "events": count,
        "by_slots": rows,
        "cost": fit_cost([row["slots"] for row in rows], [row["cpu_s_per_1000_all"] for row in rows]),
        "ratios": {
            f"lists/s at {row['slots']} slots to {slots[0]}": ratio(row["lists_per_s"], rows[0]["lists_per_s"])
            for row in rows[1:]
        },
        "machine": describe(),
    }


def fit_cost(slots: list[int], cpu_s: list[Figure]) -> dict[str, Figure]:
    """CPU s per 1,000 lists = a + b * slots by least squares: b is the cost of one more slot."""
    not_measured = next((cost for cost in cpu_s if isinstance(cost, NotMeasured)), None)
    if not_measured is None and len({*slots}) < 2:
        not_measured = NotMeasured("what another slot costs needs two numbers of slots", left_out=True)
    if not_measured is not None:
        return {"a": not_measured, "b": not_measured}
    b, a = np.polyfit(slots, cpu_s, 1)  # type: ignore[arg-type]
    return {"a": round(float(a), 4), "b": round(float(b), 4)}
