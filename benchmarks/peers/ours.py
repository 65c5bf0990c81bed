"""Liveshelf in the contest: the running stack, measured as the others are."""

from collections.abc import Callable
from typing import Any

from benchmarks.faults.fault import Fault, Injector
from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.machine import rss_mb
from benchmarks.measuring.measured import total
from benchmarks.peers.contest import RATES, fresh, killed
from benchmarks.running_stack.throughput import drain
from operators.records.contracts import EVENTS, RECOMMENDATIONS
from operators.settings import Settings

ENGINE = ("jobmanager", "zookeeper", "taskmanager")  # the parts that stand for the others' workers


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    events: int,
) -> dict[str, Any]:
    """A backlog, freshness, and kill -9 of the TaskManager that works."""
    drained = drain(settings, items, parts, restart, events)
    engine = {part: pid for part, pid in parts.pids().items() if part.startswith(ENGINE)}
    row: dict[str, Any] = {
        "name": "liveshelf",
        "how": "1 slot, spare TaskManager",
        "lists_per_s": drained["lists_per_s"],
        "cpu_s_per_1000": total([drained["cpu_s_per_1000"][part] for part in engine], 3),
        "rss_mb": total(rss_mb(engine).values(), 0),
    }
    for rate in RATES:
        row |= fresh(settings, items, EVENTS, RECOMMENDATIONS, rate)
    kill = Fault("kill", "taskmanager")
    return row | killed(settings, items, EVENTS, RECOMMENDATIONS, lambda: Injector(settings).inject(kill))
