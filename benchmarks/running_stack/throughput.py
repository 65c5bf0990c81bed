"""Lists/s while a backlog drains with every event scored, and the same model in ONNX Runtime alone, in one run."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from benchmarks.measuring.conditions import MeasuredInterval, Parts
from benchmarks.measuring.load import Load, publish
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import NotMeasured, ratio, rounded, unless
from benchmarks.models.onnx_alone import best
from operators.kafka_io.kafka_clients import new_consumer
from operators.records.contracts import RECOMMENDATIONS
from operators.settings import Settings
from operators.shopper.features import WINDOW

FROM, TO = 0.4, 0.95  # of the backlog: before it the JVM warms, after it the batches shrink
LIMIT_SECONDS = 240.0
SCORED = 0.99  # of the events: a few may wait for one list, where one partition runs ahead
QUIET_SECONDS = 20.0  # without a list: none will come; a bundle of PyFlink's may hold them back for half as long


def measure(
    settings: Settings,
    items: list[str],
    graph: Path,
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    count: int,
    users: int,
) -> dict[str, Any]:
    """`restart(between)` stops the job, calls `between`, which publishes the backlog, and starts the job again."""
    machine, steps = describe(), steps_of(count, users)
    before_alone = best(graph, steps)
    drained = drain(settings, items, parts, restart, count, backlog(settings, items, count, users))
    alone = max(before_alone, best(graph, steps), key=lambda result: float(result["lists_per_s"]))
    return {
        "bench": "throughput",
        "events": count,
        "users": users,
        "steps": steps,
        **drained,
        "onnx_alone": alone,
        # histories of another length are another work, which must not be compared with this one
        "ratios": {
            f"lists/s to ONNX Runtime alone, {steps} steps": ratio(drained["lists_per_s"], alone["lists_per_s"])
        },
        "machine": machine,
    }


def steps_of(count: int, users: int) -> int:
    """Mean length of the histories in the backlog's measured part, of users in turn; not more than a model sees."""
    return min(max(round((FROM + TO) / 2 * count / users), 1), WINDOW)


def drain(
    settings: Settings,
    items: list[str],
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    count: int,
    load: Load | None = None,
) -> dict[str, Any]:
    """One backlog, published while the job is stopped: lists/s, and CPU seconds per 1,000 lists of each part.

    `load` None: `count` events of 20,000 users in turn. Raises `BrokerError` where it cannot be published.
    """
    with Written(settings) as written:
        start = 0

        def publish_all() -> None:
            nonlocal start
            publish(load or backlog(settings, items, count))
            start = written()

        restart(publish_all)
        return watch(written, start, parts, count)


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


def watch(
    written: Callable[[], int], start: int, parts: Parts, count: int, limit_s: float = LIMIT_SECONDS
) -> dict[str, Any]:
    """Follows a drain until all lists are there: its rate and its CPU within the steady part.

    Neither is measured where no list comes any more, `limit_s` passes, or the stack did not stay as it was (`MeasuredInterval`).
    """
    steady, last = Steady(parts, start, count), start
    started_s = moved = now = time.monotonic()
    while last - start < count:
        time.sleep(0.25)
        lists_written, now = written(), time.monotonic()
        steady.look(now, lists_written)
        if lists_written > last:
            last, moved = lists_written, now
        if now - started_s > limit_s or (last > start and now - moved > QUIET_SECONDS):
            break
    lists, reasons = last - start, list[str]()
    if not steady.over or lists < SCORED * count:
        reasons = [f"{lists} lists of {count} events came in {now - started_s:.0f} s"]
    return {"lists": lists, **unless(reasons + steady.broken, steady.figures())}


class Steady:
    """The part of a drain between `FROM` and `TO` of its lists."""

    def __init__(self, parts: Parts, start: int, count: int) -> None:
        self._parts, self._from, self._to = parts, start + FROM * count, start + TO * count
        self._marks: list[tuple[float, int]] = []  # moment, lists
        self._interval: MeasuredInterval | None = None
        self._cpu_s: dict[str, float] = {}
        self.broken: list[str] = []

    @property
    def over(self) -> bool:
        """Whether the drain has passed it."""
        return len(self._marks) == 2

    def look(self, now: float, lists_written: int) -> None:
        """`done` lists are written at the moment `now`."""
        if self._interval is None:
            if lists_written >= self._from:
                self._marks.append((now, lists_written))
                self._interval = self._parts.from_now()
        elif not self.over and lists_written >= self._to:
            self._marks.append((now, lists_written))
            self._cpu_s, self.broken = self._interval.cpu_s(), self._interval.broken() + self._interval.fell_back()

    def figures(self) -> dict[str, Any]:
        """Lists/s and CPU s per 1,000 lists."""
        if not self.over:
            missing = NotMeasured("the drain did not pass its steady part")
            return {"lists_per_s": missing, "cpu_s_per_1000": dict.fromkeys(sorted(self._parts.pids()), missing)}
        (since, before), (until, after) = self._marks
        nothing = "all lists came at once: the backlog is too small to be timed"
        lists, parts = after - before, sorted(self._cpu_s.items())
        return {
            "lists_per_s": rounded(lists / (until - since), 0) if lists else NotMeasured(nothing),
            "cpu_s_per_1000": {part: ratio(1000 * used, lists, 4, nothing=nothing) for part, used in parts},
        }
