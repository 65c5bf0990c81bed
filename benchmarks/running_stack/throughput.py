"""Measures lists/s while a backlog drains with every event scored, and the same model in ONNX Runtime alone, in one run."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from benchmarks.measuring.conditions import MeasuredInterval, Parts
from benchmarks.measuring.load import Load, publish
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import NotMeasured, measured_unless, ratio, rounded
from benchmarks.models.onnx_alone import best_rate
from operators.kafka_io.kafka_clients import new_consumer
from operators.records.contracts import RECOMMENDATIONS
from operators.settings import Settings
from operators.shopper.features import WINDOW

FROM, TO = 0.4, 0.95  # of the backlog: before, the JVM warms up; after, batches shrink
LIMIT_SECONDS = 240.0
SCORED = 0.99  # minimum share of scored events: a few coalesce when one partition runs ahead
QUIET_SECONDS = 20.0  # without a new list the drain ends; a bundle of PyFlink's may delay lists by half of this


def measure(
    settings: Settings,
    items: list[str],
    graph: Path,
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    count: int,
    users: int,
) -> dict[str, Any]:
    """Drains one backlog. `restart(while_stopped)` stops the job, calls `while_stopped`, and starts the job again."""
    machine, steps = describe(), steps_of(count, users)
    onnx_before = best_rate(graph, steps)
    drain_figures = drain(settings, items, parts, restart, count, backlog(settings, items, count, users))
    onnx_best = max(onnx_before, best_rate(graph, steps), key=lambda result: float(result["lists_per_s"]))
    return {
        "bench": "throughput",
        "events": count,
        "users": users,
        "steps": steps,
        **drain_figures,
        "onnx_alone": onnx_best,
        # the ratio depends on the length of the histories, so its name contains it
        "ratios": {
            f"lists/s to ONNX Runtime alone, {steps} steps": ratio(
                drain_figures["lists_per_s"], onnx_best["lists_per_s"]
            )
        },
        "machine": machine,
    }


def steps_of(count: int, users: int) -> int:
    """The mean length of the histories in the measured part of a backlog of users in turn; at most `WINDOW`."""
    return min(max(round((FROM + TO) / 2 * count / users), 1), WINDOW)


def drain(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    count: int,
    load: Load | None = None,
) -> dict[str, Any]:
    """Drains a backlog that was published while the job was stopped: lists/s, and CPU seconds per 1,000 lists of each part.

    `load` None: `count` events of 20,000 users in turn. Raises `BrokerError` if it cannot be published.
    """
    with RecordCount(settings) as list_count:
        start = 0

        def publish_all() -> None:
            nonlocal start
            publish(load or backlog(settings, items, count))
            start = list_count()

        restart(publish_all)
        return watch(list_count, start, parts, count)


def backlog(settings: Settings, items: list[str], count: int, users: int = 20_000) -> Load:
    """A load of `count` events of new users in turn, as fast as the broker takes them."""
    return Load(
        client=settings.kafka.client_options(),
        items=items,
        count=count,
        rate=0,
        users=users,
        tag=f"drain{random.randrange(10**9)}",
        each_user_once=True,
    )


class RecordCount:
    """Counts the records of a topic by its end offsets: reading the records would use the cores."""

    def __init__(self, settings: Settings, topic: str = RECOMMENDATIONS) -> None:
        self._consumer = new_consumer(settings.kafka)
        numbers = self._consumer.partitions_for_topic(topic) or ()
        self._partitions = [TopicPartition(topic, number) for number in numbers]

    def __enter__(self) -> "RecordCount":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def __call__(self) -> int:
        """The number of records until now."""
        return sum(self._consumer.end_offsets(self._partitions).values())


def watch(
    list_count: Callable[[], int], start: int, parts: Parts, count: int, limit_s: float = LIMIT_SECONDS
) -> dict[str, Any]:
    """Follows a drain until all lists are written: rate and CPU of its steady part.

    Neither is measured if lists stop coming, `limit_s` passes, or the stack changed (`MeasuredInterval`).
    """
    steady, last = SteadyPart(parts, start, count), start
    started_s = progress_at = now = time.monotonic()
    while last - start < count:
        time.sleep(0.25)
        lists_written, now = list_count(), time.monotonic()
        steady.look(now, lists_written)
        if lists_written > last:
            last, progress_at = lists_written, now
        if now - started_s > limit_s or (last > start and now - progress_at > QUIET_SECONDS):
            break
    lists, reasons = last - start, list[str]()
    if not steady.is_over or lists < SCORED * count:
        reasons = [f"{lists} lists of {count} events came in {now - started_s:.0f} s"]
    return {"lists": lists, **measured_unless(reasons + steady.violations, steady.figures())}


class SteadyPart:
    """The part of a drain between `FROM` and `TO` of its lists."""

    def __init__(self, parts: Parts, start: int, count: int) -> None:
        self._parts, self._from_lists, self._to_lists = parts, start + FROM * count, start + TO * count
        self._readings: list[tuple[float, int]] = []  # moment, lists
        self._interval: MeasuredInterval | None = None
        self._cpu_s: dict[str, float] = {}
        self.violations: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether the drain has passed the steady part."""
        return len(self._readings) == 2

    def look(self, now: float, lists_written: int) -> None:
        """Takes the number of lists at the time `now`."""
        if self._interval is None:
            if lists_written >= self._from_lists:
                self._readings.append((now, lists_written))
                self._interval = self._parts.from_now()
        elif not self.is_over and lists_written >= self._to_lists:
            self._readings.append((now, lists_written))
            self._cpu_s, self.violations = (
                self._interval.cpu_s(),
                self._interval.find_violations() + self._interval.find_fallbacks(),
            )

    def figures(self) -> dict[str, Any]:
        """Lists/s and CPU s per 1,000 lists."""
        if not self.is_over:
            not_measured = NotMeasured("the drain did not pass its steady part")
            return {
                "lists_per_s": not_measured,
                "cpu_s_per_1000": dict.fromkeys(sorted(self._parts.pids()), not_measured),
            }
        (since, lists_before), (until, lists_after) = self._readings
        reason = "all lists came at once: the backlog is too small to be timed"
        lists, parts = lists_after - lists_before, sorted(self._cpu_s.items())
        return {
            "lists_per_s": rounded(lists / (until - since), 0) if lists else NotMeasured(reason),
            "cpu_s_per_1000": {part: ratio(1000 * cpu_s, lists, 4, zero_reason=reason) for part, cpu_s in parts},
        }
