"""Events/s where few shoppers do much: while one waits for a list, newer events change only what it will be made of.

So a backlog costs a step an event and a list now and then, and the newest list is there sooner than all would be.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import publish
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import ratio, rounded, unless
from benchmarks.running_stack.throughput import FROM, LIMIT_SECONDS, TO, Written, backlog, drain
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
    """A backlog of `count` events of so few `users`, and one of as many users as are all scored, half as long.

    `targets`: as `operator_total` takes it. Raises `StackError` where too few events are applied in `LIMIT_SECONDS`.
    """
    every = drain(settings, items, parts, restart, count // 2)
    with Written(settings) as written:
        restart(lambda: publish(backlog(settings, items, count, users)))
        few = watch(lambda: applied_by(targets), written, parts, count)
    return {
        "bench": "coalesced",
        "events": count,
        "users": users,
        **few,
        "every_event_scored_per_s": every["lists_per_s"],
        "ratios": {"events/s to every event scored": ratio(few["events_per_s"], every["lists_per_s"])},
        "machine": describe(),
    }


def watch(applied: Callable[[], int], written: Callable[[], int], parts: Parts, count: int) -> dict[str, Any]:
    """The steady part of it: events and lists a second, by the events that are applied and the lists that are written."""
    started_s, marks, interval = time.monotonic(), list[tuple[float, int, int]](), None
    for share in (FROM, TO):
        while (events := applied()) < share * count:
            if time.monotonic() - started_s > LIMIT_SECONDS:
                raise StackError(
                    f"{share * count:.0f} events applied in {LIMIT_SECONDS:.0f} s", f"{events}", "liveshelf logs"
                )
            time.sleep(0.25)
        marks.append((time.monotonic(), events, written()))
        interval = interval or parts.from_now()
    assert interval is not None
    (since, events_0, lists_0), (until, events_1, lists_1) = marks
    used, reasons, seconds = interval.cpu_s(), interval.broken() + interval.fell_back(), until - since
    events, lists = events_1 - events_0, lists_1 - lists_0
    if not events or not lists:
        reasons = [f"{events} events were applied and {lists} lists came between the two marks", *reasons]
    figures = {
        "events_per_s": rounded(events / seconds, 0),
        "lists_per_s": rounded(lists / seconds, 0),
        "events_a_list": ratio(events, lists, 1),
        "cpu_s_per_1000_events": {part: ratio(1000 * cpu, events, 4) for part, cpu in sorted(used.items())},
    }
    return unless(reasons, figures)


def applied_by(targets: Path) -> int:
    """Events applied since the job was started."""
    return operator_total(targets, "liveshelf_events_total", outcome="applied")
