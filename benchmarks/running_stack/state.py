"""Measures the cost of state: lists/s, bytes a user, checkpoint and restart at growing numbers of users.

Each size is filled with one event a user, then measured with events of users far apart, so that RocksDB cannot serve
them from a few hot blocks.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import msgspec

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import Load, publish
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import NotMeasured, ratio
from benchmarks.running_stack.throughput import RecordCount, backlog, drain
from operators.errors import ClusterError, StackError
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

STRIDE = 7919  # a prime
STUCK_S = 60.0


def measure(
    settings: Settings,
    items: list[str],
    cluster: Cluster,
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    sizes: list[int],
    count: int,
) -> dict[str, Any]:
    """Grows one state to each of `sizes` users; measures `count` events at each size."""
    load = backlog(settings, items, 0, sizes[-1])
    users_before, rows = 0, []
    base_mb = _state_sizes(settings, cluster)["savepoint_mb"]
    for users in sizes:
        _fill(settings, msgspec.structs.replace(load, first=users_before, count=users - users_before, users=users))
        events = msgspec.structs.replace(load, first=users * STRIDE, count=count, users=users, stride=STRIDE)
        figures = drain(settings, items, parts, restart, count, events)
        sizes_of_state = _state_sizes(settings, cluster)
        size = round((sizes_of_state["savepoint_mb"] - base_mb) * 1e6 / users)  # without the users of earlier loads
        size_of_user = size if size > 0 else NotMeasured("the savepoint did not grow")
        row = {"users": users, "bytes_a_user": size_of_user, **sizes_of_state}
        rows.append(row | {name: figures[name] for name in ("lists_per_s", "cpu_s_per_1000")})
        users_before = users
    return {
        "bench": "state",
        "events": count,
        "sizes": rows,
        "ratios": {
            f"lists/s at {row['users']} users to {sizes[0]}": ratio(row["lists_per_s"], rows[0]["lists_per_s"])
            for row in rows[1:]
        },
        "machine": describe(),
    }


def _fill(settings: Settings, load: Load) -> None:
    """Publishes one event of each new user while the job runs; returns when all users have a list."""
    with RecordCount(settings) as list_count:
        start = last = list_count()
        publish(load)
        progress_at = time.monotonic()
        while last - start < load.count:
            time.sleep(0.5)
            now = list_count()
            if now > last:
                last, progress_at = now, time.monotonic()
            elif time.monotonic() - progress_at > STUCK_S:
                raise StackError(f"{load.count} lists", f"{last - start}, then none", "liveshelf logs taskmanager-0")


def _state_sizes(settings: Settings, cluster: Cluster) -> dict[str, Any]:
    """Size and time of a savepoint (the plain state) and of a checkpoint (RocksDB's compressed files)."""
    jobs = cluster.jobs(settings.job.name)
    if not jobs:
        raise ClusterError(f"a running job named {settings.job.name}", "none", "liveshelf logs taskmanager-0")
    job = jobs[0]["jid"]
    started_s = time.monotonic()
    path = Path(urlparse(cluster.savepoint(job, seconds=600)).path)
    savepoint_s = time.monotonic() - started_s
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    checkpoints = cluster.get(f"/jobs/{job}/checkpoints")
    latest, not_measured = checkpoints["latest"]["completed"], NotMeasured("the job has completed no checkpoint")
    return {
        "savepoint_mb": round(size / 1e6, 1),
        "savepoint_s": round(savepoint_s, 1),
        "checkpoint_ms": checkpoints["summary"]["end_to_end_duration"]["p50"] if latest else not_measured,
        "checkpoint_mb": round(latest["state_size"] / 1e6, 1) if latest else not_measured,
    }
