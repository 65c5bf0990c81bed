"""The monitor: reads the topics as anybody could, and says how fresh shoppers' lists are and how good the data is.

`python -m pipelines.monitor.stream_monitor`. It takes no part in the pipeline: it may die, lag or pause without harm. It reads some
partitions only, which is a sample of the shoppers, and it reads in gulps: a consumer that wakes for each record takes a
third of a core at 500 events/s (docs/decisions/0020-cheap-metrics.md).
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
from operators.telemetry.logs import configure
from operators.telemetry.metrics_server import MetricsServer
from pipelines.monitor.catalogue_letters import CatalogueLetters
from pipelines.monitor.monitor_metrics import MonitorMetrics

log = logging.getLogger(__name__)
GULP_SECONDS = 0.25
SPELL_SECONDS = 5.0  # of reading, after which the budget is looked at
USERS_CACHED = 20_000


class StreamMonitor:
    """Follows events, lists and catalogue from now on, in the calling thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shoppers = ShopperFreshness(settings.monitor.fresh_within_s, lambda: int(time.time() * 1000))
        self._expectations = Expectations(settings.events, list_size=settings.lists.size)
        self.metrics = MonitorMetrics(settings, self._shoppers, self._expectations)
        folder = settings.resolve(settings.stack.data_dir) / "tables" / "monitor"
        self._letters = CatalogueLetters(settings.kafka, folder, self.metrics.catalogue_refused)
        self._followed: Callable[[str], bool] = lambda _: False
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`; where the broker is away it goes on trying."""
        while not self._stop.is_set():
            try:
                self._follow()
            except (KafkaError, BrokerError) as error:
                log.warning("the broker does not answer the monitor: %s", error_text(error))
                self._stop.wait(REFUSED_SECONDS if is_final(error) else RETRY_SECONDS)

    def _follow(self) -> None:
        kafka = self._settings.kafka
        consumer = new_consumer(kafka)
        try:
            catalogue = self._read_catalogue(consumer)
            every = partitions_of(consumer, RECOMMENDATIONS, kafka)
            lists = every[: self._settings.monitor.partitions]
            sampled = [*partitions_of(consumer, EVENTS, kafka)[: self._settings.monitor.partitions], *lists]
            self._followed = in_partitions(frozenset(p.partition for p in lists), len(every))
            consumer.assign([*sampled, *catalogue])
            for partition, offset in catalogue.items():
                consumer.seek(partition, offset)
            consumer.seek_to_end(*sampled)
            while not self._stop.is_set():
                begun = time.monotonic()
                read = self._read(consumer, begun + SPELL_SECONDS)
                self._read_to({partition: consumer.position(partition) for partition in catalogue})
                self._shoppers.forget_idle()
                pause = read / self._settings.monitor.max_records_per_s - (time.monotonic() - begun)
                if pause > 0:
                    self._pause(consumer, sampled, pause)
        finally:
            consumer.close()
            self._letters.close()

    def _read_catalogue(self, consumer: Any) -> Offsets:
        """All of the catalogue once, unjudged: it was there before. Returns where to go on."""
        partitions = partitions_of(consumer, CATALOGUE, self._settings.kafka)
        consumer.assign(partitions)
        starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        self._letters.begin({partition.partition: end for partition, end in ends.items()})
        for record in read_between(consumer, starts, ends, self._stop.is_set):
            self._read_item(_key(record), record)
        return self._read_to({partition: min(consumer.position(partition), end) for partition, end in ends.items()})

    def _read_to(self, offsets: Offsets) -> Offsets:
        """Where the catalogue is read next; what came before has its dead letters."""
        self._letters.done({partition.partition: offset for partition, offset in offsets.items()})
        return offsets

    def _read(self, consumer: Any, until: float) -> int:
        """Reads in gulps until a moment (monotonic s); returns how many records."""
        read = 0
        take = {EVENTS: self._event, RECOMMENDATIONS: self._list, CATALOGUE: self._catalogue}
        while time.monotonic() < until and not self._stop.wait(GULP_SECONDS):
            polled = consumer.poll(timeout_ms=50, max_records=5000)
            self.metrics.reached_at = time.time()
            for partition, records in polled.items():
                read += len(records)
                self.metrics.records[partition.topic] += len(records)
                for record in records:
                    take[partition.topic](_key(record), record)
        return read

    def _pause(self, consumer: Any, sampled: list[TopicPartition], seconds: float) -> None:
        """Reads nothing for a while, and goes on at the end."""
        self._shoppers.pause()
        before = {partition: consumer.position(partition) for partition in sampled}
        self._stop.wait(seconds)
        for partition, end in consumer.end_offsets(sampled).items():
            self.metrics.skipped[partition.topic] += end - before[partition]
            consumer.seek(partition, end)

    def _event(self, key: str, record: Any) -> None:
        event, verdicts = self._expectations.event(key, record.value, record.timestamp)
        self.metrics.judged(EVENTS, verdicts)
        if event is None or event.event_type == "impression":
            return
        for item in items_named(event):
            if (category := self._expectations.category(item)) is not None:
                self.metrics.categories[category] += 1
        # a producer with another partitioner than Kafka's own puts events elsewhere than the job puts the list
        if ("unique", True) in verdicts and key == event.user_id and self._followed(key):
            self._told(self._shoppers.event(key, event.event_id, int(event.event_time), record.timestamp))

    def _list(self, key: str, record: Any) -> None:
        if record.value is None:
            self._shoppers.erased(key)
            return
        made, verdicts = self._expectations.recommended(record.key, record.value)
        self.metrics.judged(RECOMMENDATIONS, verdicts)
        if made is not None:
            self._told(self._shoppers.listed(key, made.event_id, made.event_time, record.timestamp))

    def _catalogue(self, key: str, record: Any) -> None:
        self.metrics.judged(CATALOGUE, self._read_item(key, record))

    def _read_item(self, key: str, record: Any) -> list[Verdict]:
        verdicts = self._expectations.catalogue(key, record.value)
        if self._expectations.refused is not None:
            self._letters.take(record, self._expectations.refused)
        return verdicts

    def _told(self, delay_s: float | None) -> None:
        if delay_s is not None:
            self.metrics.delays.observe_value(delay_s)


def in_partitions(numbers: frozenset[int], count: int) -> Callable[[str], bool]:
    """Whether Kafka's own partitioner puts a key into one of these of `count` partitions."""

    @lru_cache(maxsize=USERS_CACHED)
    def followed(key: str) -> bool:
        return partition_of(key.encode(), count) in numbers

    return followed


def _key(record: Any) -> str:
    return (record.key or b"").decode("utf-8", "replace")


def main() -> None:
    """Runs until SIGTERM."""
    configure("monitor")
    try:
        settings = load_settings()
        settings.kafka.client_options()  # where its files are missing, now
    except LiveshelfError as error:
        log.error("%s", error)
        sys.exit(1)
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
