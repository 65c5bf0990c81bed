"""The monitor: reads the topics as any consumer, and measures the freshness of lists and the quality of the data.

`python -m pipelines.monitor.stream_monitor`. The pipeline does not need it: it may die, lag or pause without harm. It
reads a few partitions, a sample of the shoppers, and polls only every 0.25 s: a consumer that wakes for each record
takes a third of a core at 500 events/s (docs/decisions/0020-cheap-metrics.md).
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from types import FrameType
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from operators.errors import BrokerError, LiveshelfError
from operators.kafka_io.broker_errors import REFUSED_SECONDS, RETRY_SECONDS, error_text, is_final
from operators.kafka_io.kafka_clients import new_consumer, partitions_of
from operators.kafka_io.partitioner import partition_of
from operators.kafka_io.read_to_end import Offsets, read_between
from operators.quality.expectations import Expectations, Verdict
from operators.quality.shopper_freshness import ShopperFreshness
from operators.records.contracts import CATALOGUE, EVENTS, RECOMMENDATIONS, items_named
from operators.settings import Settings, load_settings
from operators.telemetry.freed_memory import give_back_large_blocks
from operators.telemetry.logs import configure
from operators.telemetry.metrics_server import MetricsServer
from pipelines.monitor.catalogue_letters import CatalogueLetters
from pipelines.monitor.monitor_metrics import MonitorMetrics
from pipelines.monitor.rollout_guard import RolloutGuard

log = logging.getLogger(__name__)
POLL_SECONDS = 0.25
ROUND_SECONDS = 5.0  # of reading between two checks of the budget
USERS_CACHED = 20_000


class StreamMonitor:
    """Reads new events, lists and catalogue records in the calling thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shoppers = ShopperFreshness(settings.monitor.fresh_within_s, lambda: int(time.time() * 1000))
        self._expectations = Expectations(settings.events, list_size=settings.lists.size)
        self.metrics = MonitorMetrics(settings, self._shoppers, self._expectations)
        folder = settings.resolve(settings.stack.data_dir) / "tables" / "monitor"
        self._letters = CatalogueLetters(settings.kafka, folder, self.metrics.catalogue_refused)
        self._is_sampled: Callable[[str], bool] = lambda _: False
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Monitors the topics until `stop`; retries when the broker is away."""
        while not self._stop.is_set():
            try:
                self._monitor_topics()
            except (KafkaError, BrokerError) as error:
                log.warning("the broker does not answer the monitor: %s", error_text(error))
                self._stop.wait(REFUSED_SECONDS if is_final(error) else RETRY_SECONDS)

    def _monitor_topics(self) -> None:
        kafka = self._settings.kafka
        consumer = new_consumer(kafka)
        try:
            catalogue = self._read_catalogue(consumer)
            list_partitions = partitions_of(consumer, RECOMMENDATIONS, kafka)
            sampled_lists = list_partitions[: self._settings.monitor.partitions]
            sampled = [*partitions_of(consumer, EVENTS, kafka)[: self._settings.monitor.partitions], *sampled_lists]
            self._is_sampled = in_partitions(
                frozenset(partition.partition for partition in sampled_lists), len(list_partitions)
            )
            consumer.assign([*sampled, *catalogue])
            for partition, offset in catalogue.items():
                consumer.seek(partition, offset)
            consumer.seek_to_end(*sampled)
            while not self._stop.is_set():
                started = time.monotonic()
                count = self._read(consumer, started + ROUND_SECONDS)
                self._commit_catalogue({partition: consumer.position(partition) for partition in catalogue})
                self._shoppers.forget_idle()
                pause = count / self._settings.monitor.max_records_per_s - (time.monotonic() - started)
                if pause > 0:
                    self._pause(consumer, sampled, pause)
        finally:
            consumer.close()
            self._letters.close()

    def _read_catalogue(self, consumer: Any) -> Offsets:
        """Reads the existing catalogue without counting verdicts. Returns the next offsets."""
        partitions = partitions_of(consumer, CATALOGUE, self._settings.kafka)
        consumer.assign(partitions)
        starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        self._letters.begin({partition.partition: end for partition, end in ends.items()})
        for record in read_between(consumer, starts, ends, self._stop.is_set):
            self._read_item(_key(record), record)
        return self._commit_catalogue(
            {partition: min(consumer.position(partition), end) for partition, end in ends.items()}
        )

    def _commit_catalogue(self, offsets: Offsets) -> Offsets:
        """Notes the next offsets of the catalogue: the records before them have their dead letters. Returns them."""
        self._letters.commit({partition.partition: offset for partition, offset in offsets.items()})
        return offsets

    def _read(self, consumer: Any, deadline: float) -> int:
        """Polls until `deadline` (monotonic s); returns the number of records."""
        count = 0
        handlers = {EVENTS: self._event, RECOMMENDATIONS: self._list, CATALOGUE: self._catalogue}
        while time.monotonic() < deadline and not self._stop.wait(POLL_SECONDS):
            polled = consumer.poll(timeout_ms=50, max_records=5000)
            self.metrics.answered_at = time.time()
            for partition, records in polled.items():
                count += len(records)
                self.metrics.records[partition.topic] += len(records)
                for record in records:
                    handlers[partition.topic](_key(record), record)
        return count

    def _pause(self, consumer: Any, sampled: list[TopicPartition], seconds: float) -> None:
        """Reads nothing for `seconds`, then skips to the end of the topics."""
        self._shoppers.pause()
        positions = {partition: consumer.position(partition) for partition in sampled}
        self._stop.wait(seconds)
        for partition, end in consumer.end_offsets(sampled).items():
            self.metrics.skipped[partition.topic] += end - positions[partition]
            consumer.seek(partition, end)

    def _event(self, key: str, record: Any) -> None:
        event, verdicts = self._expectations.event(key, record.value, record.timestamp)
        self.metrics.count_verdicts(EVENTS, verdicts)
        if event is None or event.event_type == "impression":
            return
        for item in items_named(event):
            if (category := self._expectations.category(item)) is not None:
                self.metrics.categories[category] += 1
        # A producer with another partitioner writes events to a partition that the list does not go to.
        if ("unique", True) in verdicts and key == event.user_id and self._is_sampled(key):
            self._count_delay(self._shoppers.event(key, event.event_id, int(event.event_time), record.timestamp))

    def _list(self, key: str, record: Any) -> None:
        if record.value is None:
            self._shoppers.erased(key)
            return
        recommended, verdicts = self._expectations.recommended(record.key, record.value)
        self.metrics.count_verdicts(RECOMMENDATIONS, verdicts)
        if recommended is not None:
            self._count_delay(
                self._shoppers.listed(key, recommended.event_id, recommended.event_time, record.timestamp)
            )

    def _catalogue(self, key: str, record: Any) -> None:
        self.metrics.count_verdicts(CATALOGUE, self._read_item(key, record))

    def _read_item(self, key: str, record: Any) -> list[Verdict]:
        verdicts = self._expectations.catalogue(key, record.value)
        if self._expectations.refused is not None:
            self._letters.take(record, self._expectations.refused)
        return verdicts

    def _count_delay(self, delay_s: float | None) -> None:
        if delay_s is not None:
            self.metrics.delays.observe_value(delay_s)


def in_partitions(numbers: frozenset[int], count: int) -> Callable[[str], bool]:
    """Returns a test of a key: does Kafka's default partitioner send it to one of `numbers`, of `count` partitions?"""

    @lru_cache(maxsize=USERS_CACHED)
    def is_in_partitions(key: str) -> bool:
        return partition_of(key.encode(), count) in numbers

    return is_in_partitions


def _key(record: Any) -> str:
    return (record.key or b"").decode("utf-8", "replace")


def main() -> None:
    """Runs until SIGTERM."""
    configure("monitor")
    give_back_large_blocks()  # the newest event ids are a table of 5 MB, made anew every 125,000 events
    try:
        settings = load_settings()
        settings.kafka.client_options()  # fails at once if a file is missing
    except LiveshelfError as error:
        log.error("%s", error)
        sys.exit(1)
    monitor = StreamMonitor(settings)
    server = MetricsServer(monitor.metrics.registry, "127.0.0.1", settings.monitor.port)
    guard = RolloutGuard(settings)
    monitor.metrics.taken_back.set_function(lambda: guard.found)
    monitor.metrics.guard_failed.set_function(lambda: guard.failed)
    if settings.guard.enabled:
        threading.Thread(target=guard.run, name="guard", daemon=True).start()

    def end(_: int, __: FrameType | None) -> None:
        guard.stop()
        monitor.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    monitor.run()
    server.close()


if __name__ == "__main__":
    main()
