"""The monitor: reads the topics as anybody could, and says how fresh shoppers' lists are and how good the data is.

`python -m pipelines.stream_monitor`. It takes no part in the pipeline: it may die, lag or skip without harm. Above
`monitor.max_records_per_s` it skips records, and says how many.
"""

import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Gauge

from operators.contracts import CATALOGUE, EVENTS, RECOMMENDATIONS
from operators.expectations import EXPECTATIONS, Expectations, Verdict
from operators.logs import configure
from operators.metric_families import BatchHistogram, Tally
from operators.metrics_server import MetricsServer
from operators.settings import Settings, load_settings
from operators.shopper_freshness import ShopperFreshness

log = logging.getLogger(__name__)
TOPICS = (EVENTS, RECOMMENDATIONS)
READ_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LAG_SECONDS = 2  # more than what may be read in that time is skipped
RETRY_SECONDS = 1.0


class MonitorMetrics:
    """What the monitor reports."""

    def __init__(self, settings: Settings, shoppers: ShopperFreshness, expectations: Expectations) -> None:
        self.registry = registry = CollectorRegistry()
        self.records = Tally("liveshelf_monitor_records", "Records read, by topic", ["topic"], registry, TOPICS).counts
        self.skipped = Tally(
            "liveshelf_monitor_skipped_records",
            "Records not read: more came than are checked",
            ["topic"],
            registry,
            TOPICS,
        ).counts
        every = [(topic, name) for topic, names in EXPECTATIONS.items() for name in names]
        self.checked = Tally(
            "liveshelf_data_checked",
            "Records that an expectation was checked on",
            ["topic", "expectation"],
            registry,
            every,
        ).counts
        self.failed = Tally(
            "liveshelf_data_failed", "Records that miss an expectation", ["topic", "expectation"], registry, every
        ).counts
        self.categories = Tally(
            "liveshelf_data_category_events", "Events by first level of the item's category", ["category"], registry
        ).counts
        self.delays = BatchHistogram(
            "liveshelf_shopper_delay_seconds",
            "From reading a shopper's event to reading the list that answers it, of a sample of users",
            READ_BUCKETS,
            registry,
        )
        self.reached_at = 0.0
        self._gauge(
            "fresh_users_ratio",
            "Share of the active sampled users whose newest event has a list in time",
            shoppers.share,
        )
        self._gauge("catalogue_items", "Items in the catalogue topic", lambda: expectations.items)
        self._gauge(
            "monitor_age_seconds", "Since the broker answered the monitor", lambda: time.time() - self.reached_at
        )
        disk = Gauge("liveshelf_disk_free_ratio", "Free share of the disk below a folder", ["path"], registry=registry)
        folder = settings.resolve(settings.stack.data_dir)
        disk.labels(folder.name).set_function(lambda: _free(folder))

    def _gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        Gauge(f"liveshelf_{name}", help_text, registry=self.registry).set_function(value)

    def judged(self, topic: str, verdicts: list[Verdict]) -> None:
        """Counts what was checked."""
        for expectation, holds in verdicts:
            self.checked[topic, expectation] += 1
            self.failed[topic, expectation] += not holds


class StreamMonitor:
    """Follows events, lists and catalogue from now on, in the calling thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shoppers = ShopperFreshness(settings.monitor.users_share, settings.monitor.fresh_within_s, time.monotonic)
        self._expectations = Expectations(settings.events)
        self.metrics = MonitorMetrics(settings, self._shoppers, self._expectations)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`; where the broker is away it goes on trying."""
        while not self._stop.is_set():
            try:
                self._follow()
            except KafkaError as error:
                log.warning("the broker does not answer the monitor: %r", error)
                self._stop.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        consumer = KafkaConsumer(**self._settings.kafka.consumer_options(), fetch_max_wait_ms=50)
        try:
            self._read_catalogue(consumer)
            partitions = [p for topic in TOPICS for p in _partitions(consumer, topic)]
            catalogue = _partitions(consumer, CATALOGUE)
            placed = {p: consumer.position(p) for p in catalogue}
            consumer.assign(partitions + catalogue)
            consumer.seek_to_end(*partitions)
            for partition, offset in placed.items():
                consumer.seek(partition, offset)
            self._shoppers.forget()
            while not self._stop.is_set():
                begun = time.monotonic()
                polled = consumer.poll(timeout_ms=100, max_records=self._settings.monitor.max_records_per_s)
                self.metrics.reached_at = time.time()
                for partition, records in polled.items():
                    self._take(partition.topic, records)
                self._keep_up(consumer, partitions, sum(map(len, polled.values())), time.monotonic() - begun)
        finally:
            consumer.close()

    def _read_catalogue(self, consumer: Any) -> None:
        """All of the catalogue once, unjudged: it was there before."""
        partitions = _partitions(consumer, CATALOGUE)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(p) < ends[p] for p in partitions) and not self._stop.is_set():
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    self._expectations.catalogue((record.key or b"").decode("utf-8", "replace"), record.value)

    def _take(self, topic: str, records: list[Any]) -> None:
        take = {EVENTS: self._event, RECOMMENDATIONS: self._list, CATALOGUE: self._catalogue}[topic]
        self.metrics.records[topic] += len(records)
        for record in records:
            take((record.key or b"").decode("utf-8", "replace"), record)

    def _event(self, key: str, record: Any) -> None:
        event, verdicts = self._expectations.event(key, record.value, record.timestamp)
        self.metrics.judged(EVENTS, verdicts)
        if event is None:
            return
        for item in self._expectations.items_of(event) if event.event_type != "impression" else ():
            if (category := self._expectations.category(item)) is not None:
                self.metrics.categories[category] += 1
        repeated = ("unique", False) in verdicts
        if event.event_type != "impression" and not repeated and self._shoppers.followed(event.user_id):
            self._shoppers.event(event.user_id, event.event_id, int(event.event_time))

    def _list(self, key: str, record: Any) -> None:
        if record.value is None:
            self._shoppers.erased(key)
        elif self._shoppers.followed(key):
            made, verdicts = self._expectations.recommended(record.value)
            self.metrics.judged(RECOMMENDATIONS, verdicts)
            if made is not None and (delay := self._shoppers.listed(key, made.event_id, made.event_time)) is not None:
                self.metrics.delays.observe_one(delay)

    def _catalogue(self, key: str, record: Any) -> None:
        self.metrics.judged(CATALOGUE, self._expectations.catalogue(key, record.value))

    def _keep_up(self, consumer: Any, partitions: list[TopicPartition], read: int, seconds: float) -> None:
        """Not more than the budget a second; what has piled up beyond a few seconds of it is skipped."""
        budget = self._settings.monitor.max_records_per_s
        if read < budget:
            return
        self._stop.wait(max(0.0, read / budget - seconds))
        ends = consumer.end_offsets(partitions)
        behind = {p: ends[p] - consumer.position(p) for p in partitions}
        if sum(behind.values()) > LAG_SECONDS * budget:
            for partition, count in behind.items():
                consumer.seek(partition, ends[partition])
                self.metrics.skipped[partition.topic] += count
            self._shoppers.forget()


def _partitions(consumer: Any, topic: str) -> list[TopicPartition]:
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise KafkaError(f"no topic {topic} yet: liveshelf topics create")
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def _free(folder: Path) -> float:
    usage = shutil.disk_usage(folder)
    return usage.free / usage.total


def main() -> None:
    """Runs until SIGTERM."""
    configure("monitor")
    settings = load_settings()
    monitor = StreamMonitor(settings)
    server = MetricsServer(monitor.metrics.registry, "127.0.0.1", settings.monitor.port)

    def end(_: int, __: FrameType | None) -> None:
        monitor.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    monitor.run()
    server.close()


if __name__ == "__main__":
    main()
