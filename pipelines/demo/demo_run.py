"""The demo's replay: publishes real orders, reads lists, keeps the figures."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from hdrh.histogram import HdrHistogram
from kafka.errors import KafkaError

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import new_producer
from operators.records.contracts import Event, RecommendationList, Source
from operators.settings import Settings
from pipelines.submission.operator_totals import operator_total
from pipelines.topics.list_follower import Erased, ListFollower
from pipelines.topics.replayer import Progress, ReplayRate, replay

COLD_SECONDS = 8  # until then the JVM compiles its code, and lists are slow


@dataclass
class Figures:
    """The demo's figures. Freshness: from the intended event time until this consumer has read the list."""

    lists: int = 0
    users: set[str] = field(default_factory=set)
    sources: Counter[str] = field(default_factory=Counter)
    freshness_us: HdrHistogram = field(default_factory=lambda: HdrHistogram(1, 600_000_000, 3))
    coalesced: int = 0
    dead: int = 0

    def add(self, recommended: RecommendationList) -> None:
        """Counts a list that was read now."""
        self.lists += 1
        self.users.add(recommended.user_id)
        self.sources[recommended.source] += 1
        self.freshness_us.record_value(max(1, time.time_ns() // 1000 - recommended.event_time * 1000))

    def freshness_ms(self, percentile: float) -> float:
        """A percentile of freshness in ms; NaN with too few lists (a p99 needs 100), which is below no limit."""
        if self.freshness_us.get_total_count() * (100 - percentile) < 100:
            return math.nan
        return float(self.freshness_us.get_value_at_percentile(percentile)) / 1000

    def rows(self, sent: int) -> list[tuple[str, str]]:
        """Name and value of each line of the table."""
        measured = [self.freshness_ms(p) for p in (50, 95, 99)]
        p50, p95, p99 = ("-" if math.isnan(value) else f"{value:.0f}" for value in measured)
        fallbacks = {source: self.sources[source] for source in get_args(Source) if source != "model"}
        by_source = ", ".join(f"{source} {count:,}" for source, count in fallbacks.items())
        return [
            ("events published", f"{sent:,}"),
            ("lists received", f"{self.lists:,} for {len(self.users):,} shoppers"),
            ("freshness p50 / p95 / p99", f"{p50} / {p95} / {p99} ms"),
            ("coalesced", f"{self.coalesced:,} events answered by a newer list"),
            ("fallback lists", f"{sum(fallbacks.values()):,} ({by_source})"),
            ("dead letters", f"{self.dead:,}"),
        ]


class DemoRun:
    """Publishes in one thread and reads lists in another until `stop`."""

    def __init__(self, settings: Settings, events: Iterable[Event], rate: float, targets: Path) -> None:
        """`targets`: as `operator_total` takes it."""
        self.figures = Figures()
        self.progress = Progress()
        self._settings = settings
        self._targets = targets
        self._events = _with_new_ids(events)
        self._rate = rate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._publish, self._read)]

    def start(self) -> None:
        """Starts both threads. Raises `BrokerError`."""
        self._lists = ListFollower(self._settings.kafka, None, "now")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops both threads."""
        self._stop.set()
        self._lists.close()
        for thread in self._threads:
            thread.join(15)

    @property
    def running(self) -> bool:
        """Whether there are events left."""
        return self._threads[0].is_alive()

    def watched(self, seconds: float) -> Iterator[list[tuple[str, str]]]:
        """The rows of `Figures` once a second, until the events are published or `seconds` have passed."""
        started, is_warm = time.monotonic(), False
        while self.running and (passed := time.monotonic() - started) < seconds:
            time.sleep(1)
            self._read_totals()
            if not is_warm and passed > COLD_SECONDS:
                self.figures.freshness_us.reset()
                is_warm = True
            yield self.figures.rows(self.progress.sent)

    def _read_totals(self) -> None:
        """Reads coalescing and dead letters from the operators' metrics."""
        self.figures.coalesced = operator_total(self._targets, "liveshelf_coalesced_total")
        self.figures.dead = operator_total(self._targets, "liveshelf_dead_letters_total")

    def _publish(self) -> None:
        producer = new_producer(self._settings.kafka)
        try:
            replay(self._events, ReplayRate(rate=self._rate), producer, progress=self.progress, stop=self._stop.is_set)
        except KafkaError as error:
            self.progress.failed += 1
            print(f"publishing stopped: {error!r}")
        finally:
            producer.close(timeout=5)

    def _read(self) -> None:
        try:
            for change in self._lists:
                if not isinstance(change, Erased):
                    self.figures.add(change)
        except BrokerError as error:
            print(f"reading stopped: {error}")


def _with_new_ids(events: Iterable[Event]) -> Iterator[Event]:
    """The events with ids of this run, so that a second demo publishes no duplicates."""
    run = f"demo{int(time.time())}"
    for event in events:
        event.event_id = f"{run}-{event.event_id}"
        yield event
