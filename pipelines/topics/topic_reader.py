"""Topics read from given offsets to their present end, with one consumer for all of them."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer.offsets import IsolationLevel

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import broker_errors, new_admin, new_consumer, partitions_of
from operators.kafka_io.read_to_end import Offsets, read_between
from operators.records.topic_specs import JOB_OUTPUTS
from operators.settings import KafkaSettings
from operators.waiting import wait_while

COMMITTED_SECONDS = 120.0


class TopicReader:
    """Reads topics, committed records only."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer = new_consumer(settings, auto_offset_reset="earliest")

    def ends(self, topic: str) -> Offsets:
        """Where each partition ends now."""
        return dict(self._consumer.end_offsets(self._partitions(topic)))

    def records(self, topic: str, start: Offsets) -> Iterator[Any]:
        """From `start` (where not named: the beginning) to the present end, each partition in order, one at a time.

        Raises `BrokerError` where the end cannot be read.
        """
        partitions = self._partitions(topic)
        self._consumer.assign(partitions)
        begins, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        starts = {p: max(start.get(p, 0), begins[p]) for p in partitions}
        return read_between(self._consumer, starts, ends)

    def read(self, topic: str, start: Offsets) -> list[Any]:
        """The same in memory, partition by partition: for short stretches."""
        return sorted(self.records(topic, start), key=lambda record: (record.partition, record.offset))

    def open_transactions(self) -> int:
        """Partitions of the outputs whose last stable offset is below their end."""
        with closing(new_admin(self._settings)) as admin:
            ends, stable = (self._ends_of(admin, JOB_OUTPUTS, committed) for committed in (False, True))
            return sum(stable[place] < end for place, end in ends.items())

    def wait_until_committed(self, topics: Sequence[str]) -> None:
        """Returns when what `topics` hold now has been committed or given up; raises `BrokerError` after two minutes."""
        with broker_errors(self._settings), closing(new_admin(self._settings)) as admin:
            ends = self._ends_of(admin, topics, committed=False)

            def still_open() -> list[TopicPartition]:
                stable = self._ends_of(admin, topics, committed=True)
                return [partition for partition, end in stable.items() if end < ends[partition]]

            if waiting := wait_while(still_open, COMMITTED_SECONDS):
                raise BrokerError(
                    f"transactions on {waiting[0].topic}-{waiting[0].partition} that end",
                    f"one that is open for {COMMITTED_SECONDS:.0f} s",
                    "look whether the job makes checkpoints: liveshelf status",
                )

    def _ends_of(self, admin: Any, topics: Sequence[str], committed: bool) -> Offsets:
        asked = {place: OffsetSpec.LATEST for topic in topics for place in self._partitions(topic)}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        found = admin.list_partition_offsets(asked, isolation_level=level)
        return {place: found[place].offset for place in asked}

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return partitions_of(self._consumer, topic, self._settings)
