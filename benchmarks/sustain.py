"""The highest rate at which no lag grows, by search: open loop, each user's events too far apart to coalesce."""

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.load import in_the_background
from benchmarks.machine import cpu_seconds, describe
from benchmarks.throughput import Written, backlog
from operators.settings import Settings

BEHIND_S = 1.0  # of events that may be unanswered when the load ends


def measure(
    settings: Settings,
    items: list[str],
    pids: Callable[[], dict[str, int]],
    low: float,
    high: float,
    seconds: float,
    *,
    steps: int = 6,
    warm_s: float = 5.0,
) -> dict[str, Any]:
    """Bisects between a rate that is sure to hold and one that is not; events/s. The job must run and be warm."""
    trials = []
    with Written(settings) as written:
        for _ in range(steps):
            rate = round((low + high) / 2)
            trials.append(_trial(settings, items, written, pids(), rate, warm_s + seconds))
            low, high = (rate, high) if trials[-1]["sustained"] else (low, rate)
    held = [trial for trial in trials if trial["sustained"]]
    best = max(held, key=lambda trial: trial["rate"]) if held else None
    return {
        "bench": "sustain",
        "sustained_per_s": best["rate"] if best else 0,
        "cores_used": best["cores_used"] if best else {},
        "seconds": seconds,
        "trials": trials,
        "machine": describe(),
    }


def _trial(
    settings: Settings, items: list[str], written: Callable[[], int], pids: dict[str, int], rate: float, seconds: float
) -> dict[str, Any]:
    count = int(rate * seconds)
    load = msgspec.structs.replace(backlog(settings, items, count), rate=rate)
    start, used, begun = written(), cpu_seconds(pids), time.monotonic()
    told = json.loads(in_the_background(load).communicate()[0])
    behind, took = count - (written() - start), time.monotonic() - begun
    cores = {part: round((value - used[part]) / took, 2) for part, value in cpu_seconds(pids).items()}
    _settle(written)
    return {
        "rate": rate,
        "behind": behind,
        "generator_late_ms": round(told["late_ms"]),
        "sustained": behind <= rate * BEHIND_S and told["late_ms"] < 1000 * BEHIND_S,
        "cores_used": cores,
    }


def _settle(written: Callable[[], int]) -> None:
    """What lags goes out before the next trial."""
    last = -1
    while (now := written()) != last:
        last = now
        time.sleep(1.0)
