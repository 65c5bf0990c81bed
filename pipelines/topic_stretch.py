"""A topic from a time to its present end, record by record: without holding it in memory."""

import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from operators.errors import BrokerError
from operators.settings import KafkaSettings

SILENT_S = 30.0  # no record for so long before the end: the broker is gone


class Stretch:
    """`starts` and `ends`: partition -> offset; iterating reads what lies between, each partition in order, and raises
    `BrokerError` where the broker stops to answer."""

    def __init__(self, settings: KafkaSettings, topic: str, since_ms: int | None) -> None:
        """`since_ms`: epoch ms, None: all that the topic holds. Raises `BrokerError` without the topic or the broker."""
        try:
            self._consumer = KafkaConsumer(**settings.consumer_options())
        except KafkaError as error:
            raise BrokerError(
                f"a broker at {settings.bootstrap}", repr(error), "liveshelf status", retriable=True
            ) from error
        numbers = sorted(self._consumer.partitions_for_topic(topic) or ())
        if not numbers:
            self._consumer.close()
            raise BrokerError(f"the topic {topic} at {settings.bootstrap}", "none", "liveshelf topics create")
        partitions = [TopicPartition(topic, number) for number in numbers]
        self._consumer.assign(partitions)
        self._ends = self._consumer.end_offsets(partitions)
        self._starts = self._consumer.beginning_offsets(partitions)
        if since_ms is not None:
            found = self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            self._starts = {p: found[p].offset if found.get(p) else self._ends[p] for p in partitions}
        self.starts = {p.partition: offset for p, offset in self._starts.items()}
        self.ends = {p.partition: offset for p, offset in self._ends.items()}

    def __iter__(self) -> Iterator[Any]:
        for partition, offset in self._starts.items():
            self._consumer.seek(partition, offset)
        heard, before = time.monotonic(), -1
        while any(self._consumer.position(partition) < end for partition, end in self._ends.items()):
            for partition, records in self._consumer.poll(timeout_ms=500).items():
                yield from (record for record in records if record.offset < self._ends[partition])
            # the sum of positions also moves over what is no record: marks of transactions, what compaction took away
            if (read := sum(map(self._consumer.position, self._ends))) != before:
                heard, before = time.monotonic(), read
            elif time.monotonic() - heard > SILENT_S:
                raise BrokerError(
                    f"records up to the end of {next(iter(self._ends)).topic}",
                    f"none for {SILENT_S:.0f} s",
                    "try again: the broker went away, or a transaction is open",
                    retriable=True,
                )

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()


def stretch(settings: KafkaSettings, topic: str, since_ms: int | None) -> Iterator[Any]:
    """The records of a `Stretch`, closed at its end."""
    found = Stretch(settings, topic, since_ms)
    try:
        yield from found
    finally:
        found.close()
