"""Freshness: the time from an event's intended send time to its list at a consumer, with an open-loop load."""

import random
import time
from collections import Counter
from typing import Any, NamedTuple

from hdrh.histogram import HdrHistogram

from benchmarks.measuring.conditions import MeasuredInterval, Parts, too_many_fallbacks
from benchmarks.measuring.load import Load, in_the_background, rate_violations, report_of
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, measured_unless, percentiles_ms, ratio, rounded
from benchmarks.running_stack.floor import LONGEST_US, Floor
from operators.kafka_io.kafka_clients import consumer_at_end
from operators.kafka_io.list_rows import decode_any_list
from operators.kafka_io.read_to_end import records_left
from operators.records.contracts import RECOMMENDATIONS, RecommendationList
from operators.settings import Settings

DRAIN_SECONDS = 15.0
ASK_S = 1.0  # start of the checks before the measured time: they stop the reader


class Readings:
    """Reads the lists of one load's users as a consumer does."""

    def __init__(self, settings: Settings, tag: str, topic: str = RECOMMENDATIONS) -> None:
        self._consumer = consumer_at_end(settings.kafka, topic)
        self._tag = tag.encode()
        self.newest: dict[str, int] = {}
        self.freshness_us = HdrHistogram(1, LONGEST_US, 3)
        self.scoring_us = HdrHistogram(1, LONGEST_US, 3)
        self.sources: Counter[str] = Counter()
        self.version_falls = 0
        self._silence_s = 0.0
        self._last: float | None = None

    def poll(self, count_from_ms: int) -> None:
        """Reads new lists. Lists of events before `count_from_ms` (warm-up) count for versions but not for latencies."""
        for records in self._consumer.poll(timeout_ms=5).values():
            now_us = time.time_ns() // 1000
            self._silence_s, self._last = self._silence(), time.monotonic()
            for record in records:
                if not record.key.startswith(self._tag) or record.value is None:
                    continue
                slate = decode_any_list(record.value)
                newest = self.newest.get(slate.user_id, 0)
                self.version_falls += slate.version < newest
                self.newest[slate.user_id] = max(newest, slate.version)
                if slate.event_time >= count_from_ms:
                    self.count(slate, min(LONGEST_US, max(1, now_us - slate.event_time * 1000)))

    def count(self, slate: RecommendationList, freshness_us: int) -> None:
        """Adds a list to the figures."""
        self.sources[slate.source] += 1
        self.freshness_us.record_value(freshness_us)
        scoring_us = (slate.generated_at - slate.event_time) * 1000
        self.scoring_us.record_value(min(LONGEST_US, max(1, scoring_us)))

    def incomplete_reasons(self) -> list[str]:
        """The reasons why the reader has not read all lists; empty if it has."""
        end_offsets = self._consumer.end_offsets(self._consumer.assignment())
        lag = records_left(self._consumer, end_offsets)
        return [f"the reader did not reach the end of the lists: {lag} records before it"] if lag else []

    def empty_reasons(self) -> list[str]:
        """The reason why there is nothing to measure; empty if there is."""
        return [] if self.sources else ["no list came"]

    def silence_s(self) -> Figure:
        """The longest time without a list, from the first list until now."""
        return NotMeasured("no list came") if self._last is None else round(self._silence(), 1)

    def _silence(self) -> float:
        return 0.0 if self._last is None else max(self._silence_s, time.monotonic() - self._last)

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()


class _LoadRun(NamedTuple):
    """A load that has ended. Lists of events from `count_from_ms` on are measured."""

    report: dict[str, float]
    count_from_ms: int
    interval: MeasuredInterval
    cores_used: dict[str, Figure]


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    rate: float,
    seconds: float,
    warm_up: float,
    users: int,
    floor: Floor | None = None,
) -> dict[str, Any]:
    """Runs the load for `warm_up + seconds`; the job must run. Latencies in ms; those of the `floor` too if it runs.

    Nothing is measured where the load did not keep its rate, a user's newest list lacks an event, or the stack changed.
    Raises `BrokerError` where the load did not reach the broker.
    """
    tag = f"bench{random.randrange(10**9)}"
    count = int(rate * (seconds + warm_up))
    load = Load(client=settings.kafka.client_options(), items=items, count=count, rate=rate, users=users, tag=tag)
    readings, machine = Readings(settings, tag), describe()
    load_run, event_counts = _run_load(load, readings, parts, warm_up, floor), sent_per_user(load)
    missing_users = wait_for_lists(event_counts, readings, load_run.count_from_ms, DRAIN_SECONDS)
    reasons = [
        *rate_violations(load_run.report, rate),
        *load_run.interval.find_violations(),
        *readings.incomplete_reasons(),
        *missing_list_reasons(missing_users, event_counts),
    ]
    readings.close()
    reasons = readings.empty_reasons() + reasons + too_many_fallbacks(readings.sources)
    figures: dict[str, Any] = {
        "freshness_ms": percentiles_ms(readings.freshness_us),
        "event_to_list_made_ms": percentiles_ms(readings.scoring_us),
        "cores_used": load_run.cores_used,
    }
    if floor is not None:
        figures |= _floor_figures(floor, int(rate * seconds), figures["freshness_ms"])
    return {
        "bench": "freshness",
        "rate": rate,
        "seconds": seconds,
        "users": users,
        "generator": load_run.report,
        **measured_unless(reasons, figures),
        "lists": readings.sources.total(),
        "sources": dict(readings.sources),
        "users_unanswered": missing_users,
        "versions_fell": readings.version_falls,
        "machine": machine,
    }


def _run_load(load: Load, readings: Readings, parts: Parts, warm_up: float, floor: Floor | None) -> _LoadRun:
    """Publishes the load in another process and reads the lists until it has ended."""
    generator = in_the_background(load)
    count_from_ms = int((time.time() + warm_up) * 1000)
    if floor is not None:
        floor.count_from_ms = count_from_ms
    while time.time() < count_from_ms / 1000 - ASK_S:
        readings.poll(count_from_ms)
    interval, started_s = parts.from_now(), time.monotonic()
    while generator.poll() is None:
        readings.poll(count_from_ms)
    cpu_s, seconds = interval.cpu_s(), time.monotonic() - started_s
    cores_used = {part: rounded(value / seconds, 3) for part, value in cpu_s.items()}
    return _LoadRun(report_of(generator), count_from_ms, interval, cores_used)


def _floor_figures(floor: Floor, count: int, stack: dict[str, Figure]) -> dict[str, dict[str, Figure]]:
    """The floor's percentiles, and their ratios to the stack's. `count`: records that should have passed the floor."""
    floor_ms = measured_unless(floor.incomplete_reasons(count), percentiles_ms(floor.latency_us))
    # both scatter, most just after the JVMs' start: 0.14 to 0.76 of p99 (docs/notebook/freshness.md)
    return {
        "floor_ms": floor_ms,
        "ratios": {f"{p} of the floor to ours": ratio(floor_ms[p], stack[p]) for p in ("p50", "p99")},
    }


def wait_for_lists(event_counts: Counter[str], readings: Readings, count_from_ms: int, seconds: float) -> int:
    """Reads until every user's newest list contains all their events, or `seconds` pass; returns the number of users
    without such a list."""
    deadline = time.monotonic() + seconds
    while (missing_users := count_unanswered(event_counts, readings.newest)) and time.monotonic() < deadline:
        readings.poll(count_from_ms)
    return missing_users


def missing_list_reasons(missing_users: int, event_counts: Counter[str]) -> list[str]:
    """The reason why the sample of lists is invalid: the missing lists may be the slowest ones."""
    return (
        [f"{missing_users} of {len(event_counts)} users had no list of all their events when the wait ended"]
        if missing_users
        else []
    )


def sent_per_user(load: Load) -> Counter[str]:
    """User -> number of events, the version that the newest list must have. Repeats the generator's random draws."""
    rng = random.Random(load.seed)
    for _ in range(10_000):
        rng.random()
    return Counter(f"{load.tag}-{rng.randrange(load.users)}" for _ in range(load.count))


def count_unanswered(event_counts: Counter[str], newest: dict[str, int]) -> int:
    """The number of users whose newest list lacks an event."""
    return sum(newest.get(user, 0) < count for user, count in event_counts.items())
