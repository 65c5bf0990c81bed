"""Measures cores and memory of each part of an idle stack."""

import time
from typing import Any

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.machine import describe, rss_mb
from benchmarks.measuring.measured import measured_unless, rounded, total
from benchmarks.running_stack.throughput import RecordCount
from operators.records.contracts import EVENTS, RECOMMENDATIONS
from operators.settings import Settings


def measure(settings: Settings, parts: Parts, seconds: float) -> dict[str, Any]:
    """Waits `seconds` without load; the job must run. RSS in MB, of a part with its children.

    Nothing is measured if events or lists flowed, or the stack changed.
    """
    with RecordCount(settings, EVENTS) as events, RecordCount(settings, RECOMMENDATIONS) as lists:
        counts = {"events": -events(), "lists": -lists()}
        interval, started_s = parts.from_now(), time.monotonic()
        time.sleep(seconds)
        cpu_s, seconds_taken = interval.cpu_s(), time.monotonic() - started_s
        counts = {"events": counts["events"] + events(), "lists": counts["lists"] + lists()}
    reasons = interval.find_violations() + [f"{count} {kind} came meanwhile" for kind, count in counts.items() if count]
    cores = {part: rounded(value / seconds_taken, 3) for part, value in cpu_s.items()}
    figures = {"cores_used": cores, "cores_used_all": total(cores.values(), 3), "rss_mb": rss_mb(interval.parts)}
    return {"bench": "idle", "seconds": seconds, **measured_unless(reasons, figures), "machine": describe()}
