"""What state costs as shoppers come: lists/s, bytes a user, checkpoint and restart, at more and more users.

Each size is filled with one event a user, then measured with events that stride over all of them, so that RocksDB cannot
live on a few hot blocks.
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
from benchmarks.running_stack.throughput import Written, backlog, drain
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
    """`sizes` users one after the other, in one state that grows; `count` events are measured at each."""
    load = backlog(settings, items, 0, sizes[-1])
    before, rows = 0, []
    already = _of_state(settings, cluster)["savepoint_mb"]
    for users in sizes:
        _fill(settings, msgspec.structs.replace(load, first=before, count=users - before, users=users))
        events = msgspec.structs.replace(load, first=users * STRIDE, count=count, users=users, stride=STRIDE)
        drained = drain(settings, items, parts, restart, count, events)
        sizes_of_state = _of_state(settings, cluster)
        size = round((sizes_of_state["savepoint_mb"] - already) * 1e6 / users)  # without who was there before
        size_of_user = size if size > 0 else NotMeasured("the savepoint did not grow")
        row = {"users": users, "bytes_a_user": size_of_user, **sizes_of_state}
        rows.append(row | {name: drained[name] for name in ("lists_per_s", "cpu_s_per_1000")})
        before = users
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
    """One event of each new user while the job runs; returns when all have their list."""
    with Written(settings) as written:
        start = last = written()
        publish(load)
        moved = time.monotonic()
        while last - start < load.count:
            time.sleep(0.5)
            now = written()
            if now > last:
                last, moved = now, time.monotonic()
            elif time.monotonic() - moved > STUCK_S:
                raise StackError(f"{load.count} lists", f"{last - start}, then none", "liveshelf logs taskmanager-0")


def _of_state(settings: Settings, cluster: Cluster) -> dict[str, Any]:
    """Size of a savepoint (the state as it is) and of a checkpoint (RocksDB's files, compressed), and their times."""
    jobs = cluster.jobs(settings.job.name)
    if not jobs:
        raise ClusterError(f"a running job named {settings.job.name}", "none", "liveshelf logs taskmanager-0")
    job = jobs[0]["jid"]
    started_s = time.monotonic()
    path = Path(urlparse(cluster.savepoint(job, seconds=600)).path)
    savepoint_s = time.monotonic() - started_s
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    checkpoints = cluster.get(f"/jobs/{job}/checkpoints")
    latest, none = checkpoints["latest"]["completed"], NotMeasured("the job has completed no checkpoint")
    return {
        "savepoint_mb": round(size / 1e6, 1),
        "savepoint_s": round(savepoint_s, 1),
        "checkpoint_ms": checkpoints["summary"]["end_to_end_duration"]["p50"] if latest else none,
        "checkpoint_mb": round(latest["state_size"] / 1e6, 1) if latest else none,
    }
