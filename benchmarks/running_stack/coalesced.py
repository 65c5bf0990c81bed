"""Measures events/s with few users and many events: newer events of a user who waits for a list join that list's request.

So a backlog costs one step an event but few lists, and the newest list comes sooner than a list for every event would.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import publish
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import measured_unless, ratio, rounded
from benchmarks.running_stack.throughput import FROM, LIMIT_SECONDS, TO, RecordCount, backlog, drain
from operators.errors import StackError
from operators.settings import Settings
from pipelines.submission.operator_totals import operator_total


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    targets: Path,
    count: int,
    users: int,
) -> dict[str, Any]:
    """Drains a backlog of `count` events of few `users`, and one of half the length in which every event is scored.

    `targets`: as `operator_total` takes it. Raises `StackError` if too few events are applied in `LIMIT_SECONDS`.
    """
    every_event = drain(settings, items, parts, restart, count // 2)
    with RecordCount(settings) as list_count:
        restart(lambda: publish(backlog(settings, items, count, users)))
        few_users = watch(lambda: applied_by(targets), list_count, parts, count)
    return {
        "bench": "coalesced",
        "events": count,
        "users": users,
        **few_users,
        "every_event_scored_per_s": every_event["lists_per_s"],
        "ratios": {"events/s to every event scored": ratio(few_users["events_per_s"], every_event["lists_per_s"])},
        "machine": describe(),
    }


def watch(applied: Callable[[], int], list_count: Callable[[], int], parts: Parts, count: int) -> dict[str, Any]:
    """Follows the steady part of a drain: applied events and written lists a second."""
    started_s, readings, interval = time.monotonic(), list[tuple[float, int, int]](), None
    for share in (FROM, TO):
        while (events := applied()) < share * count:
            if time.monotonic() - started_s > LIMIT_SECONDS:
                raise StackError(
                    f"{share * count:.0f} events applied in {LIMIT_SECONDS:.0f} s", f"{events}", "liveshelf logs"
                )
            time.sleep(0.25)
        readings.append((time.monotonic(), events, list_count()))
        interval = interval or parts.from_now()
    assert interval is not None
    (since, events_0, lists_0), (until, events_1, lists_1) = readings
    cpu_s, reasons, seconds = interval.cpu_s(), interval.find_violations() + interval.find_fallbacks(), until - since
    events, lists = events_1 - events_0, lists_1 - lists_0
    if not events or not lists:
        reasons = [f"{events} events were applied and {lists} lists came between the two marks", *reasons]
    figures = {
        "events_per_s": rounded(events / seconds, 0),
        "lists_per_s": rounded(lists / seconds, 0),
        "events_a_list": ratio(events, lists, 1),
        "cpu_s_per_1000_events": {part: ratio(1000 * cpu, events, 4) for part, cpu in sorted(cpu_s.items())},
    }
    return measured_unless(reasons, figures)


def applied_by(targets: Path) -> int:
    """The events that the job has applied since its start."""
    return operator_total(targets, "liveshelf_events_total", outcome="applied")
