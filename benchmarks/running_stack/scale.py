"""Lists/s and CPU of a drain at one, two, three slots, and the cost of a slot fitted to it."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, ratio, total
from benchmarks.running_stack.throughput import drain
from operators.settings import Settings


class RestartWith(Protocol):
    """Stops the job with a savepoint, calls `between`, starts it again with so many slots."""

    def __call__(self, between: Callable[[], object] = ..., *, parallelism: int = ...) -> None:
        """Returns when all tasks run."""


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: RestartWith,
    slots: list[int],
    count: int,
) -> dict[str, Any]:
    """A drain of `count` events at each number of slots; at the end the job has its own number again."""
    rows = []
    try:
        for number in slots:

            def again(between: Callable[[], object], number: int = number) -> None:
                restart(between, parallelism=number)

            drained = drain(settings, items, parts, again, count)
            cpu = total(drained["cpu_s_per_1000"].values(), 4)
            rows.append({"slots": number, **drained, "cpu_s_per_1000_all": cpu})
    finally:
        restart()
    return {
        "bench": "scale",
        "events": count,
        "by_slots": rows,
        "cost": fitted([row["slots"] for row in rows], [row["cpu_s_per_1000_all"] for row in rows]),
        "ratios": {
            f"lists/s at {row['slots']} slots to {slots[0]}": ratio(row["lists_per_s"], rows[0]["lists_per_s"])
            for row in rows[1:]
        },
        "machine": describe(),
    }


def fitted(slots: list[int], cpu_s: list[Figure]) -> dict[str, Figure]:
    """CPU s per 1,000 lists = a + b * slots by least squares: b is what one more slot costs every list."""
    missing = next((cost for cost in cpu_s if isinstance(cost, NotMeasured)), None)
    if missing is None and len({*slots}) < 2:
        missing = NotMeasured("what another slot costs needs two numbers of slots", left_out=True)
    if missing is not None:
        return {"a": missing, "b": missing}
    b, a = np.polyfit(slots, cpu_s, 1)  # type: ignore[arg-type]
    return {"a": round(float(a), 4), "b": round(float(b), 4)}
