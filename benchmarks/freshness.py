"""Freshness: from the intended time of an event to its list in a consumer's hands, open loop."""

import json
import random
import time
from collections import Counter
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram

from benchmarks.floor import Floor
from benchmarks.load import Load, in_the_background
from benchmarks.machine import cpu_seconds, describe
from operators.contracts import RECOMMENDATIONS, RecommendationList
from operators.settings import Settings
from pipelines.list_reader import consumer_at_end

DRAIN_SECONDS = 15.0
_decode = msgspec.json.Decoder(RecommendationList).decode


class Readings:
    """Lists of one load's users as a consumer sees them."""

    def __init__(self, settings: Settings, tag: str, topic: str = RECOMMENDATIONS) -> None:
        self._consumer = consumer_at_end(settings.kafka, topic)
        self._tag = tag.encode()
        self.newest: dict[str, int] = {}
        self.freshness_us = HdrHistogram(1, 120_000_000, 3)
        self.scoring_us = HdrHistogram(1, 120_000_000, 3)
        self.sources: Counter[str] = Counter()
        self.fell = 0
        self.silence_s = 0.0
        self._last = time.monotonic()

    def poll(self, count_from_ms: int) -> None:
        """Reads what is there; events before `count_from_ms` (warm-up) are followed but not measured."""
        for records in self._consumer.poll(timeout_ms=5).values():
            now_us = time.time_ns() // 1000
            self.silence_s = max(self.silence_s, time.monotonic() - self._last)
            self._last = time.monotonic()
            for record in records:
                if not record.key.startswith(self._tag) or record.value is None:
                    continue
                made = _decode(record.value)
                known = self.newest.get(made.user_id, 0)
                self.fell += made.version < known
                self.newest[made.user_id] = max(known, made.version)
                if made.event_time >= count_from_ms:
                    self.sources[made.source] += 1
                    self.freshness_us.record_value(max(1, now_us - made.event_time * 1000))
                    self.scoring_us.record_value(max(1, (made.generated_at - made.event_time) * 1000))

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()


def measure(
    settings: Settings,
    items: list[str],
    pids: dict[str, int],
    rate: float,
    seconds: float,
    warm_up: float,
    users: int,
    floor: Floor | None = None,
) -> dict[str, Any]:
    """Runs the load for `warm_up + seconds`; the job must run. Latencies in ms, of the floor's records beside if it runs."""
    tag = f"bench{random.randrange(10**9)}"
    count = int(rate * (seconds + warm_up))
    load = Load(client=settings.kafka.client_options(), items=items, count=count, rate=rate, users=users, tag=tag)
    readings, machine = Readings(settings, tag), describe()
    generator = in_the_background(load)
    count_from_ms = int((time.time() + warm_up) * 1000)
    if floor is not None:
        floor.count_from_ms = count_from_ms
    while time.time() * 1000 < count_from_ms:
        readings.poll(count_from_ms)
    before, begun = cpu_seconds(pids), time.monotonic()
    while generator.poll() is None:
        readings.poll(count_from_ms)
    used, took = {part: value - before[part] for part, value in cpu_seconds(pids).items()}, time.monotonic() - begun
    wanted = sent_per_user(load)
    deadline = time.monotonic() + DRAIN_SECONDS
    while unanswered(wanted, readings.newest) and time.monotonic() < deadline:
        readings.poll(count_from_ms)
    readings.close()
    assert generator.stdout is not None
    lists = readings.freshness_us.get_total_count()
    beside: dict[str, Any] = {}
    if floor is not None:
        least, ours = percentiles(floor.latency_us), percentiles(readings.freshness_us)
        beside = {
            "floor_ms": least,
            # both scatter, most where JVMs have just started: 0.14 to 0.76 of p99 (docs/decisions.md)
            "ratios": {f"{p} of the floor to ours": round(least[p] / ours[p], 3) for p in ("p50", "p99")},
        }
    return {
        "bench": "freshness",
        "rate": rate,
        "seconds": seconds,
        "users": users,
        "generator": json.loads(generator.stdout.read()),
        "freshness_ms": percentiles(readings.freshness_us),
        **beside,
        "event_to_list_made_ms": percentiles(readings.scoring_us),
        "lists": lists,
        "sources": dict(readings.sources),
        "users_unanswered": unanswered(wanted, readings.newest),
        "versions_fell": readings.fell,
        "cores_used": {part: round(value / took, 3) for part, value in used.items()},
        "machine": machine,
    }


def sent_per_user(load: Load) -> Counter[str]:
    """Events of each user: the version that the user's newest list must have. Repeats the generator's draws."""
    chance = random.Random(load.seed)
    for _ in range(10_000):
        chance.random()
    return Counter(f"{load.tag}-{chance.randrange(load.users)}" for _ in range(load.count))


def unanswered(wanted: Counter[str], newest: dict[str, int]) -> int:
    """Users whose newest list does not know all their events."""
    return sum(newest.get(user, 0) < count for user, count in wanted.items())


def percentiles(histogram: HdrHistogram) -> dict[str, float]:
    """p50, p95, p99 and max in ms."""
    named = {f"p{p}": histogram.get_value_at_percentile(p) / 1000 for p in (50, 95, 99)}
    return {name: round(value, 1) for name, value in (named | {"max": histogram.get_max_value() / 1000}).items()}
