"""What the stack uses while nothing happens: cores and memory of each part."""

import time
from typing import Any

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.machine import describe, rss_mb
from benchmarks.measuring.measured import rounded, total, unless
from benchmarks.running_stack.throughput import Written
from operators.records.contracts import EVENTS, RECOMMENDATIONS
from operators.settings import Settings


def measure(settings: Settings, parts: Parts, seconds: float) -> dict[str, Any]:
    """Without any load for so long; the job must run. RSS in MB, of a part with its children.

    Nothing is measured where events or lists flowed, or the stack did not stay as it was.
    """
    with Written(settings, EVENTS) as events, Written(settings, RECOMMENDATIONS) as lists:
        flowed = {"events": -events(), "lists": -lists()}
        interval, started_s = parts.from_now(), time.monotonic()
        time.sleep(seconds)
        used, seconds_taken = interval.cpu_s(), time.monotonic() - started_s
        flowed = {"events": flowed["events"] + events(), "lists": flowed["lists"] + lists()}
    reasons = interval.broken() + [f"{count} {what} came meanwhile" for what, count in flowed.items() if count]
    cores = {part: rounded(value / seconds_taken, 3) for part, value in used.items()}
    figures = {"cores_used": cores, "cores_used_all": total(cores.values(), 3), "rss_mb": rss_mb(interval.parts)}
    return {"bench": "idle", "seconds": seconds, **unless(reasons, figures), "machine": describe()}
