"""What the client asks of kafka-python: a producer whose records are kept, a consumer of a topic that a test appends to."""

import json
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from operators.kafka_io.partitioner import partition_of
from operators.records.contracts import EVENTS, ORDER_HEADER, RECOMMENDATIONS
from operators.settings import KafkaSettings
from operators.time_units import HOUR_MS
from tests.benchmarks.fakes import list_record

PARTITIONS = 4


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Broker:
    """What kafka-python's producer and consumer are asked; `failure` is what every call raises."""

    sent: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    log: list[Any] = field(default_factory=list)
    failure: Exception | None = None
    acknowledges: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)
    assigned: list[TopicPartition] = field(default_factory=list)
    closed: int = 0

    def append(self, user: str, version: int, valid_ms: int = HOUR_MS, **fields: Any) -> None:
        record = list_record(user, version, now_ms(), **({"expires_at": now_ms() + valid_ms} | fields))
        self.write(user, record.value)

    def erase(self, user: str, order: bytes | None = None) -> None:
        self.write(user, None, [] if order is None else [(ORDER_HEADER, order)])

    def write(self, user: str, value: bytes | None, headers: Any = ()) -> None:
        partition = partition_of(user.encode(), PARTITIONS)
        offset = sum(record.partition == partition for record in self.log)
        metadata = {"partition": partition, "offset": offset, "timestamp": now_ms(), "topic": RECOMMENDATIONS}
        self.log.append(SimpleNamespace(key=user.encode(), value=value, headers=list(headers), **metadata))

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def producer(self, settings: KafkaSettings, **options: Any) -> "Producer":
        return Producer(self)

    def consumer(self, settings: KafkaSettings, **options: Any) -> "Consumer":
        self.asked.append(options)
        return Consumer(self)


@dataclass
class Producer:
    broker: Broker

    def send(self, topic: str, key: bytes, value: bytes) -> "Producer":
        assert topic == EVENTS
        self.broker.check()
        self.broker.sent.append((key, json.loads(value)))
        return self

    def get(self, timeout: float) -> None:
        if not self.broker.acknowledges:
            raise KafkaTimeoutError("no answer")

    def close(self, timeout: float) -> None:
        self.broker.closed += 1


@dataclass
class Consumer:
    """Reads the broker's log from the places at which it stands."""

    broker: Broker
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == RECOMMENDATIONS
        return set(range(PARTITIONS))

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.broker.assigned, self.positions = partitions, dict.fromkeys(partitions, 0)

    def seek_to_beginning(self, *partitions: TopicPartition) -> None: ...

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        self.positions = self.end_offsets(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def beginning_offsets(self, partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: Any, timeout_ms: int = 0) -> dict[TopicPartition, int]:
        self.broker.check()
        numbers = [record.partition for record in self.broker.log]
        return {partition: numbers.count(partition.partition) for partition in partitions}

    def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        self.broker.check()
        batches: dict[TopicPartition, list[Any]] = {}
        for partition, position in self.positions.items():
            records = [
                record
                for record in self.broker.log
                if record.partition == partition.partition and record.offset >= position
            ]
            if records:
                batches[partition] = records
                self.positions[partition] += len(records)
        if not batches:
            time.sleep(0.005)
        return batches

    def close(self) -> None:
        self.broker.closed += 1
