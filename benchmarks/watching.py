"""What all instrumentation costs: drains of the real stack, watched and not, in turns.

Watched: the operator's sensors count; monitor, Prometheus and Alertmanager run, so that Flink's reporter, the broker's agent
and the storefront are scraped. Not watched: none of that. The broker's agent and Flink's reporter stay loaded, unasked.
"""

import statistics
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.machine import describe
from benchmarks.throughput import drain
from deploy.local.supervisor import Supervisor
from operators.errors import StackError
from operators.settings import Settings

WATCHERS = ("monitor", "prometheus", "alertmanager")
WARM_UP = 2  # drains before the first that counts


class RestartWith(Protocol):
    """Stops the job, calls `between`, starts the job again with the operator's sensors on or off."""

    def __call__(self, between: Callable[[], object] = ..., *, sensors: bool = ...) -> None:
        """Returns when all tasks run."""


def measure(
    settings: Settings, items: list[str], supervisor: Supervisor, restart: RestartWith, count: int, rounds: int
) -> dict[str, Any]:
    """Lists/s and CPU seconds per 1,000 lists with and without, and the ratios of pairs: median and quartiles."""
    machine, parts = describe(), [name for name in WATCHERS if name in supervisor.pids()]
    drains: dict[bool, list[dict[str, Any]]] = {True: [], False: []}

    def one(watched: bool) -> dict[str, Any]:
        for part in parts:
            running = part in supervisor.pids()
            if watched and not running:
                supervisor.start_part(part)
            elif running and not watched:
                supervisor.stop_part(part)
        return drain(settings, items, supervisor.pids, lambda between: restart(between, sensors=watched), count)

    try:
        for _ in range(WARM_UP):
            one(watched=True)
        for number in range(rounds):
            for watched in (True, False) if number % 2 else (False, True):
                drains[watched].append(one(watched))
    finally:
        for part in set(parts) - set(supervisor.pids()):
            supervisor.start_part(part)
    # a drain that did not end (its `note` says so) has no rate: its pair is left out and counted
    pairs = [pair for pair in zip(drains[True], drains[False], strict=True) if not any("note" in one for one in pair)]
    if len(pairs) < 2:
        raise StackError("two pairs of drains that end", f"{len(pairs)} of {rounds}", "liveshelf logs taskmanager-0")
    drains = {True: [a for a, _ in pairs], False: [b for _, b in pairs]}
    return {
        "bench": "watching",
        "events": count,
        "rounds": rounds,
        "rounds_that_count": len(pairs),
        "lists_per_s_watched": [found["lists_per_s"] for found in drains[True]],
        "lists_per_s_unwatched": [found["lists_per_s"] for found in drains[False]],
        "throughput_ratio": _spread([a["lists_per_s"] / b["lists_per_s"] for a, b in pairs]),
        "cpu_s_per_1000_watched": _by_part(drains[True]),
        "cpu_s_per_1000_unwatched": _by_part(drains[False]),
        "cpu_ratio": _spread([_all_parts(a) / _all_parts(b) for a, b in pairs]),
        "machine": machine,
    }


def _all_parts(found: dict[str, Any]) -> float:
    return sum(found["cpu_s_per_1000"].values())


def _by_part(found: list[dict[str, Any]]) -> dict[str, float]:
    """The median of each part, and of all together."""
    parts = {part for one in found for part in one["cpu_s_per_1000"]}
    each = {part: statistics.median(one["cpu_s_per_1000"].get(part, 0.0) for one in found) for part in sorted(parts)}
    return {part: round(value, 4) for part, value in each.items()} | {
        "all": round(statistics.median(_all_parts(one) for one in found), 4)
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    """Median, quartiles, and the standard error of the mean: what the noise of so many pairs leaves open."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "median": round(middle, 4),
        "lower_quartile": round(low, 4),
        "upper_quartile": round(high, 4),
        "mean": round(statistics.mean(ratios), 4),
        "standard_error": round(statistics.stdev(ratios) / len(ratios) ** 0.5, 4),
    }
