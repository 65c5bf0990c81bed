"""Liveshelf in the contest: the running stack, measured as the others are."""

from collections.abc import Callable
from typing import Any

from benchmarks.faults.fault import Fault, Injector
from benchmarks.machine import rss_mb
from benchmarks.peers.contest import RATES, fresh, killed
from benchmarks.throughput import drain
from operators.contracts import EVENTS, RECOMMENDATIONS
from operators.settings import Settings

ENGINE = ("jobmanager", "zookeeper", "taskmanager")  # the parts that stand for the others' workers


def measure(
    settings: Settings,
    items: list[str],
    pids: Callable[[], dict[str, int]],
    restart: Callable[[Callable[[], object]], None],
    events: int,
) -> dict[str, Any]:
    """A backlog, freshness, and kill -9 of the TaskManager that works."""
    drained = drain(settings, items, pids, restart, events)
    engine = {part: pid for part, pid in pids().items() if part.startswith(ENGINE)}
    row: dict[str, Any] = {
        "name": "liveshelf",
        "how": "1 slot, spare TaskManager",
        "lists_per_s": drained["lists_per_s"],
        "cpu_s_per_1000": round(sum(drained["cpu_s_per_1000"][part] for part in engine), 3),
        "rss_mb": sum(rss_mb(engine).values()),
    }
    for rate in RATES:
        row |= fresh(settings, items, EVENTS, RECOMMENDATIONS, rate)
    kill = Fault("kill", "taskmanager")
    return row | killed(settings, items, EVENTS, RECOMMENDATIONS, lambda: Injector(settings).inject(kill))
