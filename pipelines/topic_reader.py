"""Stretches of topics, read from anywhere to their present end."""

from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer.offsets import IsolationLevel

from operators.contracts import DEAD_LETTERS, RECOMMENDATIONS
from operators.kafka_clients import new_admin, new_consumer, partitions_of
from operators.settings import KafkaSettings

Place = dict[TopicPartition, int]


class TopicReader:
    """Reads stretches of topics, committed records only."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer = new_consumer(settings)

    def ends(self, topic: str) -> Place:
        """Where each partition ends now."""
        return dict(self._consumer.end_offsets(self._partitions(topic)))

    def read(self, topic: str, start: Place) -> list[Any]:
        """All records from `start` (where not named: the beginning) to the present end, in the order of each partition."""
        partitions = self._partitions(topic)
        self._consumer.assign(partitions)
        begins, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        for partition in partitions:
            self._consumer.seek(partition, max(start.get(partition, 0), begins[partition]))
        found: list[Any] = []
        while any(self._consumer.position(partition) < ends[partition] for partition in partitions):
            for records in self._consumer.poll(timeout_ms=500).values():
                found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def open_transactions(self) -> int:
        """Partitions of the outputs whose last stable offset is below their end."""
        admin = new_admin(self._settings)
        try:
            asked = {p: OffsetSpec.LATEST for t in (RECOMMENDATIONS, DEAD_LETTERS) for p in self._partitions(t)}
            high = admin.list_partition_offsets(asked)
            stable = admin.list_partition_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
            return sum(stable[p].offset < high[p].offset for p in asked)
        finally:
            admin.close()

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return partitions_of(self._consumer, topic, self._settings)
