"""The first minute of a job on new TaskManagers: freshness in spells of some seconds, from its first event on.

A JVM compiles its code while it runs, and Python and the scorer fill their caches: the first lists are the slowest.
"""

import random
import time
from typing import Any

from hdrh.histogram import HdrHistogram

from benchmarks.measuring.conditions import too_many_fallbacks
from benchmarks.measuring.load import Load, in_the_background, rate_violations, report_of
from benchmarks.measuring.machine import describe, thread_seconds
from benchmarks.measuring.measured import measured_unless, percentiles_ms
from benchmarks.measuring.stack_under_test import StackUnderTest
from benchmarks.running_stack.floor import LONGEST_US
from benchmarks.running_stack.freshness import (
    DRAIN_SECONDS,
    Readings,
    missing_list_reasons,
    sent_per_user,
    wait_for_lists,
)
from operators.errors import ClusterError
from operators.records.contracts import RecommendationList
from operators.settings import Settings
from operators.waiting import wait_while
from pipelines.submission.cluster import Cluster

MINUTE_S = 60
SLOTS_SECONDS = 60.0


class Spells:
    """Freshness of each spell of `spell_s`, by the time of the event, and of the first minute."""

    def __init__(self, spell_s: int) -> None:
        self._spell_s, self._started_ms = spell_s, 0
        self._spells: dict[int, HdrHistogram] = {}
        self.minute_us = HdrHistogram(1, LONGEST_US, 3)

    def record(self, event_ms: int, freshness_us: int) -> None:
        """A list of an event; the first one begins the first spell."""
        self._started_ms = self._started_ms or event_ms
        age_s = max(0, event_ms - self._started_ms) // 1000
        if age_s < MINUTE_S:
            self.minute_us.record_value(freshness_us)
        histogram = self._spells.setdefault(age_s // self._spell_s, HdrHistogram(1, LONGEST_US, 3))
        histogram.record_value(freshness_us)

    def rows(self) -> list[dict[str, Any]]:
        """One row a spell."""
        return [
            {"from_s": self._spell_s * number, "lists": histogram.get_total_count()} | percentiles_ms(histogram)
            for number, histogram in sorted(self._spells.items())
        ]


class SpellReadings(Readings):
    """Readings that also know the spells."""

    def __init__(self, settings: Settings, tag: str, spell_s: int) -> None:
        super().__init__(settings, tag)
        self.spells = Spells(spell_s)

    def count(self, slate: RecommendationList, freshness_us: int) -> None:
        """As the base."""
        super().count(slate, freshness_us)
        self.spells.record(slate.event_time, freshness_us)


def measure(bench: StackUnderTest, rate: float, seconds: float, spell_s: int, users: int) -> dict[str, Any]:
    """Restarts the TaskManagers, starts the job again, and publishes events at once. Latencies in ms; `spell_s`: of a row.

    Nothing is measured where the load did not keep its rate, a user's newest list lacks an event, or the stack changed.
    """
    submit_s, settings = _submit_to_new_taskmanagers(bench), bench.settings
    tag, machine, parts = f"first{random.randrange(10**9)}", describe(), bench.parts()
    load = Load(
        client=settings.kafka.client_options(),
        items=bench.items,
        count=int(rate * seconds),
        rate=rate,
        users=users,
        tag=tag,
    )
    readings, interval = SpellReadings(settings, tag, spell_s), parts.from_now()
    generator, threads_s = in_the_background(load), thread_seconds(interval.parts)
    while generator.poll() is None:
        readings.poll(0)
    threads_then_s = thread_seconds(interval.parts)
    counts, report = sent_per_user(load), report_of(generator)
    missing_users = wait_for_lists(counts, readings, 0, DRAIN_SECONDS)
    reasons = [
        *rate_violations(report, rate),
        *interval.find_violations(),
        *readings.incomplete_reasons(),
        *missing_list_reasons(missing_users, counts),
    ]
    readings.close()
    reasons = readings.empty_reasons() + reasons + too_many_fallbacks(readings.sources)
    return {
        "bench": "first_minute",
        "rate": rate,
        "seconds": seconds,
        "users": users,
        "submit_s": submit_s,
        "generator": report,
        **measured_unless(
            reasons, {"first_minute_ms": percentiles_ms(readings.spells.minute_us), "spells": readings.spells.rows()}
        ),
        "sources": dict(readings.sources),
        "cpu_s": _busiest(threads_s, threads_then_s),
        "machine": machine,
    }


def _submit_to_new_taskmanagers(bench: StackUnderTest) -> float:
    """Returns the seconds from the submission until the job runs."""
    ready_at, count = 0.0, bench.settings.stack.taskmanagers

    def renew() -> None:
        nonlocal ready_at
        for number in range(count):
            bench.supervisor.restart(f"taskmanager-{number}")
        _wait_for_slots(bench.cluster, count)
        ready_at = time.monotonic()

    bench.restart(renew)
    return round(time.monotonic() - ready_at, 1)


def _wait_for_slots(cluster: Cluster, count: int) -> None:
    def missing() -> bool:
        try:
            return int(cluster.get("/overview")["slots-available"]) < count
        except ClusterError:
            return True

    wait_while(missing, SLOTS_SECONDS)


def _busiest(before: dict[str, float], after: dict[str, float], count: int = 12) -> dict[str, float]:
    """CPU seconds of the threads that used most."""
    used = {name: round(seconds - before.get(name, 0.0), 1) for name, seconds in after.items()}
    return dict(sorted(used.items(), key=lambda entry: -entry[1])[:count])
