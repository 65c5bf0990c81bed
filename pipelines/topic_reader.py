"""Stretches of topics, read from anywhere to their present end."""

from collections.abc import Iterator
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer.offsets import IsolationLevel

from operators.contracts import DEAD_LETTERS, RECOMMENDATIONS
from operators.kafka_clients import new_admin, new_consumer, partitions_of
from operators.settings import KafkaSettings
from pipelines.topic_stretch import Place, records_between


class TopicReader:
    """Reads stretches of topics, committed records only."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer = new_consumer(settings, auto_offset_reset="earliest")

    def ends(self, topic: str) -> Place:
        """Where each partition ends now."""
        return dict(self._consumer.end_offsets(self._partitions(topic)))

    def records(self, topic: str, start: Place) -> Iterator[Any]:
        """From `start` (where not named: the beginning) to the present end, each partition in order, one at a time.

        Raises `BrokerError` where the end cannot be read.
        """
        partitions = self._partitions(topic)
        self._consumer.assign(partitions)
        begins, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        starts = {place: max(start.get(place, 0), begins[place]) for place in partitions}
        return records_between(self._consumer, starts, ends)

    def read(self, topic: str, start: Place) -> list[Any]:
        """The same in memory, partition by partition: for short stretches."""
        return sorted(self.records(topic, start), key=lambda record: (record.partition, record.offset))

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
