"""Reads topics from given offsets to their present end, with one consumer."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer.offsets import IsolationLevel

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import broker_errors, new_admin, new_consumer, partitions_of
from operators.kafka_io.read_to_end import Offsets, read_between
from operators.settings import KafkaSettings
from operators.waiting import wait_while

COMMITTED_SECONDS = 120.0


class TopicReader:
    """Reads topics, committed records only."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer = new_consumer(settings, auto_offset_reset="earliest")

    def ends(self, topic: str) -> Offsets:
        """The present end offset of each partition."""
        return dict(self._consumer.end_offsets(self._partitions(topic)))

    def records(self, topic: str, start: Offsets) -> Iterator[Any]:
        """The records from `start` (a partition without an offset: from its beginning) to the present end, one at a time,
        each partition in order. Raises `BrokerError`.
        """
        partitions = self._partitions(topic)
        self._consumer.assign(partitions)
        beginnings, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        starts = {partition: max(start.get(partition, 0), beginnings[partition]) for partition in partitions}
        return read_between(self._consumer, starts, ends)

    def read(self, topic: str, start: Offsets) -> list[Any]:
        """As `records`, but in memory and sorted by partition: for short ranges."""
        return sorted(self.records(topic, start), key=lambda record: (record.partition, record.offset))

    def open_transactions(self, topics: Sequence[str]) -> int:
        """Number of partitions of topics whose last stable offset is below their end."""
        with closing(new_admin(self._settings)) as admin:
            ends, stable = (self._ends_of(admin, topics, committed) for committed in (False, True))
            return sum(stable[partition] < end for partition, end in ends.items())

    def wait_until_committed(self, topics: Sequence[str]) -> None:
        """Waits until the transactions now open on `topics` are committed or aborted. Raises `BrokerError` after 120 s."""
        with broker_errors(self._settings), closing(new_admin(self._settings)) as admin:
            ends = self._ends_of(admin, topics, committed=False)

            def uncommitted() -> list[TopicPartition]:
                stable = self._ends_of(admin, topics, committed=True)
                return [partition for partition, end in stable.items() if end < ends[partition]]

            if open_partitions := wait_while(uncommitted, COMMITTED_SECONDS):
                raise BrokerError(
                    f"transactions on {open_partitions[0].topic}-{open_partitions[0].partition} that end",
                    f"one that is open for {COMMITTED_SECONDS:.0f} s",
                    "look whether the job makes checkpoints: liveshelf status",
                )

    def _ends_of(self, admin: Any, topics: Sequence[str], committed: bool) -> Offsets:
        specs = {partition: OffsetSpec.LATEST for topic in topics for partition in self._partitions(topic)}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        offsets = admin.list_partition_offsets(specs, isolation_level=level)
        return {partition: offsets[partition].offset for partition in specs}

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return partitions_of(self._consumer, topic, self._settings)
