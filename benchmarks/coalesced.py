"""Events/s where few shoppers do much: while one waits for a list, newer events change only what it will be made of.

So a backlog costs a step an event and a list now and then, and the newest list is there sooner than all would be.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.load import run as run_load
from benchmarks.machine import cpu_seconds, describe
from benchmarks.throughput import FROM, LIMIT_SECONDS, TO, Written, backlog, drain
from operators.errors import StackError
from operators.settings import Settings
from pipelines.operator_totals import operator_total


def measure(
    settings: Settings,
    items: list[str],
    pids: Callable[[], dict[str, int]],
    restart: Callable[[Callable[[], object]], None],
    targets: Path,
    count: int,
    users: int,
) -> dict[str, Any]:
    """A backlog of `count` events of so few `users`, and one of as many users as are all scored, half as long.

    `targets`: as `operator_total` takes it. Raises `StackError` where too few events are applied in `LIMIT_SECONDS`.
    """
    every = drain(settings, items, pids, restart, count // 2)
    with Written(settings) as written:
        restart(lambda: run_load(backlog(settings, items, count, users)))
        few = _watch(targets, written, pids(), count)
    return {
        "bench": "coalesced",
        "events": count,
        "users": users,
        **few,
        "every_event_scored_per_s": every["lists_per_s"],
        "ratios": {"events/s to every event scored": round(few["events_per_s"] / every["lists_per_s"], 3)},
        "machine": describe(),
    }


def _watch(targets: Path, written: Callable[[], int], parts: dict[str, int], count: int) -> dict[str, Any]:
    """The steady part of it."""
    begun, marks = time.monotonic(), list[tuple[float, int, int, dict[str, float]]]()
    for share in (FROM, TO):
        while (applied := applied_by(targets)) < share * count:
            if time.monotonic() - begun > LIMIT_SECONDS:
                raise StackError(
                    f"{share * count:.0f} events applied in {LIMIT_SECONDS:.0f} s", f"{applied}", "liveshelf logs"
                )
            time.sleep(0.25)
        marks.append((time.monotonic(), applied, written(), cpu_seconds(parts)))
    (since, events_0, lists_0, used_0), (until, events_1, lists_1, used_1) = marks
    events, lists = events_1 - events_0, lists_1 - lists_0
    return {
        "events_per_s": round(events / (until - since)),
        "lists_per_s": round(lists / (until - since)),
        "events_a_list": round(events / max(lists, 1), 1),
        "cpu_s_per_1000_events": {
            part: round(1000 * (used_1[part] - used_0[part]) / events, 4) for part in sorted(parts)
        },
    }


def applied_by(targets: Path) -> int:
    """Events applied since the job was started."""
    return operator_total(targets, "liveshelf_events_total", outcome="applied")
