"""Liveshelf in the contest: measures the running stack like the other engines."""

from collections.abc import Callable
from typing import Any

from benchmarks.faults.fault import Fault, Injector
from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.machine import rss_mb
from benchmarks.measuring.measured import total
from benchmarks.peers.contest import RATES, measure_freshness, measure_kill
from benchmarks.running_stack.throughput import drain
from operators.records.contracts import EVENTS, RECOMMENDATIONS
from operators.settings import Settings

ENGINE = ("jobmanager", "zookeeper", "taskmanager")  # the parts that count as the engine's workers


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    events: int,
) -> dict[str, Any]:
    """Measures a backlog, freshness, and kill -9 of the working TaskManager."""
    drain_figures = drain(settings, items, parts, restart, events)
    engine = {part: pid for part, pid in parts.pids().items() if part.startswith(ENGINE)}
    row: dict[str, Any] = {
        "name": "liveshelf",
        "how": "1 slot, spare TaskManager",
        "lists_per_s": drain_figures["lists_per_s"],
        "cpu_s_per_1000": total([drain_figures["cpu_s_per_1000"][part] for part in engine], 3),
        "rss_mb": total(rss_mb(engine).values(), 0),
    }
    for rate in RATES:
        row |= measure_freshness(settings, items, EVENTS, RECOMMENDATIONS, rate)
    kill = Fault("kill", "taskmanager")
    return row | measure_kill(settings, items, EVENTS, RECOMMENDATIONS, lambda: Injector(settings).inject(kill))
