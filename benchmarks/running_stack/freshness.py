"""Freshness: the time from an event's intended send time to its list at a consumer, with an open-loop load."""

import random
import time
from collections import Counter
from typing import Any

from hdrh.histogram import HdrHistogram

from benchmarks.measuring.conditions import Parts, too_many_fallbacks
from benchmarks.measuring.load import Load, behind_its_rate, in_the_background, report_of
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, percentiles_ms, ratio, rounded, unless
from benchmarks.running_stack.floor import LONGEST_US, Floor
from operators.kafka_io.kafka_clients import consumer_at_end
from operators.kafka_io.list_rows import decode_any_list
from operators.kafka_io.read_to_end import records_left
from operators.records.contracts import RECOMMENDATIONS
from operators.settings import Settings

DRAIN_SECONDS = 15.0
ASK_S = 1.0  # before the measured time: while the stack is asked, nothing is read


class Readings:
    """The lists of one load's users, as a consumer reads them."""

    def __init__(self, settings: Settings, tag: str, topic: str = RECOMMENDATIONS) -> None:
        self._consumer = consumer_at_end(settings.kafka, topic)
        self._tag = tag.encode()
        self.newest: dict[str, int] = {}
        self.freshness_us = HdrHistogram(1, LONGEST_US, 3)
        self.scoring_us = HdrHistogram(1, LONGEST_US, 3)
        self.sources: Counter[str] = Counter()
        self.fell = 0
        self._silence_s = 0.0
        self._last: float | None = None

    def poll(self, count_from_ms: int) -> None:
        """Reads what is there; events before `count_from_ms` (warm-up) are followed but not measured."""
        for records in self._consumer.poll(timeout_ms=5).values():
            now_us = time.time_ns() // 1000
            self._silence_s, self._last = self._silence(), time.monotonic()
            for record in records:
                if not record.key.startswith(self._tag) or record.value is None:
                    continue
                slate = decode_any_list(record.value)
                newest = self.newest.get(slate.user_id, 0)
                self.fell += slate.version < newest
                self.newest[slate.user_id] = max(newest, slate.version)
                if slate.event_time >= count_from_ms:
                    self.sources[slate.source] += 1
                    self.freshness_us.record_value(min(LONGEST_US, max(1, now_us - slate.event_time * 1000)))
                    scoring_us = (slate.generated_at - slate.event_time) * 1000
                    self.scoring_us.record_value(min(LONGEST_US, max(1, scoring_us)))

    def missed(self) -> list[str]:
        """Why the reader does not know all lists that there are now; empty where it does."""
        ends = self._consumer.end_offsets(self._consumer.assignment())
        behind = records_left(self._consumer, ends)
        return [f"the reader did not reach the end of the lists: {behind} records before it"] if behind else []

    def empty(self) -> list[str]:
        """Why there is nothing to measure; empty where there is."""
        return [] if self.sources else ["no list came"]

    def silence_s(self) -> Figure:
        """The longest time without a list, from the first one until now."""
        return NotMeasured("no list came") if self._last is None else round(self._silence(), 1)

    def _silence(self) -> float:
        return 0.0 if self._last is None else max(self._silence_s, time.monotonic() - self._last)

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()


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
    """Runs the load for `warm_up + seconds`; the job must run. Latencies in ms, of the floor's records beside if it runs.

    They are not measured where the load did not keep its rate, a user's newest list does not know all events, or the stack
    did not stay as it was. Raises `BrokerError` where the load did not reach the broker.
    """
    tag = f"bench{random.randrange(10**9)}"
    count = int(rate * (seconds + warm_up))
    load = Load(client=settings.kafka.client_options(), items=items, count=count, rate=rate, users=users, tag=tag)
    readings, machine = Readings(settings, tag), describe()
    generator = in_the_background(load)
    count_from_ms = int((time.time() + warm_up) * 1000)
    if floor is not None:
        floor.count_from_ms = count_from_ms
    while time.time() < count_from_ms / 1000 - ASK_S:
        readings.poll(count_from_ms)
    interval, started_s = parts.from_now(), time.monotonic()
    while generator.poll() is None:
        readings.poll(count_from_ms)
    used, seconds_taken = interval.cpu_s(), time.monotonic() - started_s
    report, sent = report_of(generator), sent_per_user(load)
    missing = answered(sent, readings, count_from_ms, DRAIN_SECONDS)
    reasons = [*behind_its_rate(report, rate), *interval.broken(), *readings.missed(), *without_list(missing, sent)]
    readings.close()
    figures = {
        "freshness_ms": percentiles_ms(readings.freshness_us),
        "event_to_list_made_ms": percentiles_ms(readings.scoring_us),
        "cores_used": {part: rounded(value / seconds_taken, 3) for part, value in used.items()},
    }
    beside = _beside(floor, int(rate * seconds), figures["freshness_ms"]) if floor is not None else {}
    return {
        "bench": "freshness",
        "rate": rate,
        "seconds": seconds,
        "users": users,
        "generator": report,
        **unless(readings.empty() + reasons + too_many_fallbacks(readings.sources), figures | beside),
        "lists": readings.sources.total(),
        "sources": dict(readings.sources),
        "users_unanswered": missing,
        "versions_fell": readings.fell,
        "machine": machine,
    }


def _beside(floor: Floor, count: int, stack: dict[str, Figure]) -> dict[str, dict[str, Figure]]:
    """The floor's percentiles, and their ratios to ours; `count` records should have passed it."""
    least = unless(floor.missed(count), percentiles_ms(floor.latency_us))
    # both scatter, most where JVMs have just started: 0.14 to 0.76 of p99 (docs/notebook/freshness.md)
    return {
        "floor_ms": least,
        "ratios": {f"{p} of the floor to ours": ratio(least[p], stack[p]) for p in ("p50", "p99")},
    }


def answered(sent: Counter[str], readings: Readings, count_from_ms: int, seconds: float) -> int:
    """Reads until every user's newest list knows all their events, or `seconds` pass; the number of users without."""
    deadline = time.monotonic() + seconds
    while (missing := unanswered(sent, readings.newest)) and time.monotonic() < deadline:
        readings.poll(count_from_ms)
    return missing


def without_list(missing: int, sent: Counter[str]) -> list[str]:
    """Why the sample of lists is invalid: the missing lists may be the slowest."""
    return [f"{missing} of {len(sent)} users had no list of all their events when the wait ended"] if missing else []


def sent_per_user(load: Load) -> Counter[str]:
    """Events of each user: the version that the user's newest list must have. Repeats the generator's draws."""
    chance = random.Random(load.seed)
    for _ in range(10_000):
        chance.random()
    return Counter(f"{load.tag}-{chance.randrange(load.users)}" for _ in range(load.count))


def unanswered(sent: Counter[str], newest: dict[str, int]) -> int:
    """Users whose newest list does not know all their events."""
    return sum(newest.get(user, 0) < count for user, count in sent.items())
