"""What the stack uses while nothing happens: cores and memory of each part."""

import time
from typing import Any

from benchmarks.machine import cpu_seconds, describe, rss_mb


def measure(pids: dict[str, int], seconds: float) -> dict[str, Any]:
    """Without any load for so long; the job must run. RSS in MB, of a part with its children."""
    before, begun = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    after = cpu_seconds(pids)
    cores = {part: round((after[part] - before[part]) / took, 3) for part in pids}
    return {
        "bench": "idle",
        "seconds": seconds,
        "cores_used": cores,
        "cores_used_all": round(sum(cores.values()), 3),
        "rss_mb": rss_mb(pids),
        "machine": describe(),
    }
