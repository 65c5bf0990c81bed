"""Lists/s while a backlog drains with every event scored, and the same model in ONNX Runtime alone, in one run."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from benchmarks.load import Load
from benchmarks.load import run as run_load
from benchmarks.machine import cpu_seconds, describe
from benchmarks.onnx_alone import best
from operators.contracts import RECOMMENDATIONS
from operators.features import WINDOW
from operators.kafka_clients import new_consumer
from operators.settings import Settings

FROM, TO = 0.4, 0.95  # of the backlog: before it the JVM warms, after it the batches shrink
LIMIT_SECONDS = 240.0
QUIET_SECONDS = 20.0  # without a list: none will come; a bundle of PyFlink's may hold them back for half as long


def measure(
    settings: Settings,
    items: list[str],
    graph: Path,
    pids: Callable[[], dict[str, int]],
    restart: Callable[[Callable[[], object]], None],
    count: int,
    users: int,
) -> dict[str, Any]:
    """`restart(between)` stops the job, calls `between`, which publishes the backlog, and starts the job again."""
    machine, steps = describe(), steps_of(count, users)
    before_alone = best(graph, steps)
    drained = drain(settings, items, pids, restart, count, backlog(settings, items, count, users))
    alone = max(before_alone, best(graph, steps), key=lambda found: float(found["lists_per_s"]))
    return {
        "bench": "throughput",
        "events": count,
        "users": users,
        "steps": steps,
        **drained,
        "onnx_alone": alone,
        # histories of another length are another work, which must not be compared with this one
        "ratios": {
            f"lists/s to ONNX Runtime alone, {steps} steps": round(drained["lists_per_s"] / alone["lists_per_s"], 3)
        },
        "machine": machine,
    }


def steps_of(count: int, users: int) -> int:
    """Mean length of the histories in the backlog's measured part, of users in turn; not more than a model sees."""
    return min(max(round((FROM + TO) / 2 * count / users), 1), WINDOW)


def drain(
    settings: Settings,
    items: list[str],
    pids: Callable[[], dict[str, int]],
    restart: Callable[[Callable[[], object]], None],
    count: int,
    load: Load | None = None,
) -> dict[str, Any]:
    """One backlog, published while the job is stopped: lists/s, and CPU seconds per 1,000 lists of each part.

    `load` None: `count` events of 20,000 users in turn.
    """
    with Written(settings) as written:
        start = 0

        def publish() -> None:
            nonlocal start
            run_load(load or backlog(settings, items, count))
            start = written()

        restart(publish)
        return watch(written, start, pids, count)


def backlog(settings: Settings, items: list[str], count: int, users: int = 20_000) -> Load:
    """`count` events of new users in turn, as fast as the broker takes them."""
    return Load(
        client=settings.kafka.client_options(),
        items=items,
        count=count,
        rate=0,
        users=users,
        tag=f"drain{random.randrange(10**9)}",
        each_user_once=True,
    )


class Written:
    """How many lists there are, by the offsets of their topic: reading them would take a share of the cores."""

    def __init__(self, settings: Settings, topic: str = RECOMMENDATIONS) -> None:
        self._consumer = new_consumer(settings.kafka)
        numbers = self._consumer.partitions_for_topic(topic) or ()
        self._partitions = [TopicPartition(topic, number) for number in numbers]

    def __enter__(self) -> "Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def __call__(self) -> int:
        """Lists written until now."""
        return sum(self._consumer.end_offsets(self._partitions).values())


def watch(written: Callable[[], int], start: int, running: Callable[[], dict[str, int]], count: int) -> dict[str, Any]:
    """Follows a drain until all lists are there, or none comes any more: its rate and its CPU within the steady part."""
    marks: dict[float, tuple[float, int]] = {}
    used: dict[float, dict[str, float]] = {}
    parts, last = running(), start
    begun = moved = time.monotonic()
    while last - start < count:
        time.sleep(0.25)
        done, now = written(), time.monotonic()
        for share in (FROM, TO):
            if share not in marks and done - start >= share * count:
                marks[share], used[share] = (now, done), cpu_seconds(parts)
        if done > last:
            moved = now
        last = done
        if now - begun > LIMIT_SECONDS and FROM in marks:  # slow, but it works
            marks[TO], used[TO] = (now, done), cpu_seconds(parts)
        if now - begun > LIMIT_SECONDS or (last > start and now - moved > QUIET_SECONDS):
            break
    lists = last - start
    note = {"note": f"only {lists} lists of {count} events"} if lists < count else {}
    if TO not in marks:
        return {"lists": lists, "lists_per_s": 0.0, **note}
    seconds, made = marks[TO][0] - marks[FROM][0], marks[TO][1] - marks[FROM][1]
    cpu = {part: used[TO][part] - used[FROM][part] for part in parts}
    return {
        "lists": lists,
        "lists_per_s": round(made / seconds),
        "cpu_s_per_1000": {part: round(used / made * 1000, 4) for part, used in sorted(cpu.items())},
        **note,
    }
